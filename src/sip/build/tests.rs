use super::*;
use crate::sip::codec::{Message, Name};
use bytes::Bytes;
use rsip::{Header, Headers, Method, StatusCode};

const REQUEST: &str = "MESSAGE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP ua.example.net:5070;branch=z9hG4bK1;rport;x=\"a;b\" , SIP/2.0/UDP low;branch=z9hG4bK0\r\n\
    v: SIP/2.0/TCP lowest\r\nMax-Forwards: 70\r\n\
    Route: <sip:us;lr> , <sip:next;lr>\r\nroute: <sip:last;lr>\r\n\
    f: \"A\" <sip:ann@example.net>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\n\
    CSeq: 1 MESSAGE\r\nX-Odd:   kept as it is\r\nAuthorization: Digest x\r\n\
    Content-Length: 2\r\n\r\nhi";

fn read(text: &str) -> Message {
    Message::parse_datagram(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn sent_from(source: &str) -> Message {
    let mut request = read(REQUEST);
    request.set_source(source.parse().unwrap());
    request
}

#[test]
fn a_response_copies_what_belongs_to_the_request_and_adds_a_tag() {
    let reply = Reply::new(202).with(Header::Expires(60.into()));
    assert_eq!(
        text(&print_response(&read(REQUEST), &reply, "t9")),
        "SIP/2.0 202 Accepted\r\n\
         Via: SIP/2.0/UDP ua.example.net:5070;branch=z9hG4bK1;rport;x=\"a;b\" , SIP/2.0/UDP low;branch=z9hG4bK0\r\n\
         Via: SIP/2.0/TCP lowest\r\n\
         From: \"A\" <sip:ann@example.net>;tag=1\r\nTo: <sip:bob@example.com>;tag=t9\r\n\
         Call-ID: c1\r\nCSeq: 1 MESSAGE\r\nExpires: 60\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn a_tag_that_is_there_is_kept() {
    let request = read(&REQUEST.replace("bob@example.com>", "bob@example.com>;tag=theirs"));
    let answer = print_response(&request, &Reply::new(200), "ours");
    assert!(text(&answer).contains("To: <sip:bob@example.com>;tag=theirs\r\n"));
    let trying = print_response(&read(REQUEST), &Reply::new(100), "");
    assert!(text(&trying).contains("To: <sip:bob@example.com>\r\n"));
}

#[test]
fn the_topmost_via_says_where_the_request_came_from() {
    let answer = print_response(&sent_from("192.0.2.7:40000"), &Reply::new(200), "t");
    assert!(text(&answer).contains(
        "Via: SIP/2.0/UDP ua.example.net:5070;branch=z9hG4bK1;x=\"a;b\";rport=40000;received=192.0.2.7 , SIP/2.0/UDP low;branch=z9hG4bK0\r\n\
         Via: SIP/2.0/TCP lowest\r\n"
    ), "{}", text(&answer));
}

#[test]
fn received_is_written_when_sent_by_is_not_the_source_and_a_forged_one_goes() {
    let via = |via: &str, source: &str| {
        let start = REQUEST.find("Via:").unwrap();
        let end = REQUEST.find("v:").unwrap();
        let mut request = read(&format!("{}Via: {via}\r\n{}", &REQUEST[..start], &REQUEST[end..]));
        request.set_source(source.parse().unwrap());
        let answer = print_response(&request, &Reply::new(200), "t");
        text(&answer).lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        via("SIP/2.0/UDP 192.0.2.1;branch=b", "192.0.2.1:5060"),
        "Via: SIP/2.0/UDP 192.0.2.1;branch=b"
    );
    assert_eq!(
        via("SIP/2.0/UDP 192.0.2.1;received=10.0.0.1;branch=b", "192.0.2.2:5060"),
        "Via: SIP/2.0/UDP 192.0.2.1;branch=b;received=192.0.2.2"
    );
    assert_eq!(
        via("SIP/2.0/UDP [2001:DB8::1]:5060;rport;branch=b", "[2001:db8::1]:5062"),
        "Via: SIP/2.0/UDP [2001:DB8::1]:5060;branch=b;rport=5062;received=2001:db8::1"
    );
}

#[test]
fn every_code_has_its_registered_phrase() {
    for (code, phrase) in [
        (202, "Accepted"),
        (403, "Forbidden"),
        (416, "Unsupported URI Scheme"),
        (423, "Interval Too Brief"),
        (481, "Call/Transaction Does Not Exist"),
        (489, "Bad Event"),
        (503, "Service Unavailable"),
        (504, "Server Time-out"),
        (513, "Message Too Large"),
        (499, "Bad Request"),
        (299, "OK"),
    ] {
        let reply = Reply::new(code);
        assert_eq!((reply.code(), reply.phrase()), (code, phrase));
    }
    assert_eq!(Reply::new(202).status, StatusCode::Other(202, "Accepted".into()));
    let own =
        Reply { status: StatusCode::Other(480, "Gone\r\nFishing: x".into()), ..Reply::new(480) };
    let answer = print_response(&read(REQUEST), &own, "t");
    assert!(text(&answer).starts_with("SIP/2.0 480 Gone  Fishing: x\r\n"));
}

#[test]
fn a_value_cannot_begin_a_header_line() {
    let headers: Headers = vec![
        Header::Subject("a\r\nRoute: <sip:evil>\nX: y\0z\r".into()),
        Header::Other("X-A\r\nRoute".into(), "<sip:evil>".into()),
        Header::Other("X B".into(), "no token".into()),
        Header::Other("Good".into(), " fine ".into()),
        Header::ContentLength(99.into()),
    ]
    .into();
    let out =
        Outgoing::new(Method::Message, "sip:a@h\r\nX: y", &headers, Bytes::from_static(b"hi"));
    assert_eq!(
        text(&print_request(&out, "SIP/2.0/UDP h;branch=1\r\nY: 1")),
        "MESSAGE sip:a@h%0D%0AX:%20y SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=1  Y: 1\r\n\
         Subject: a  Route: <sip:evil> X: y z\r\nGood: fine\r\nContent-Length: 2\r\n\r\nhi"
    );
}

#[test]
fn a_request_is_passed_on_in_its_own_order_and_spelling() {
    let edit = Edit {
        max_forwards: Some(69),
        without: &[Name::Authorization],
        without_first: &[Name::Route],
        with: &[("Route", "<sip:first;lr>")],
    };
    assert_eq!(
        text(&forward_lines(&sent_from("192.0.2.7:40000"), &edit)),
        "Route: <sip:first;lr>\r\n\
         Via: SIP/2.0/UDP ua.example.net:5070;branch=z9hG4bK1;x=\"a;b\";rport=40000;received=192.0.2.7 , SIP/2.0/UDP low;branch=z9hG4bK0\r\n\
         v: SIP/2.0/TCP lowest\r\nMax-Forwards: 69\r\n\
         Route: <sip:next;lr>\r\nroute: <sip:last;lr>\r\n\
         f: \"A\" <sip:ann@example.net>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\n\
         CSeq: 1 MESSAGE\r\nX-Odd: kept as it is\r\n"
    );
}

#[test]
fn max_forwards_is_added_where_there_was_none() {
    let request = read(&REQUEST.replace("Max-Forwards: 70\r\n", ""));
    let lines = forward_lines(&request, &Edit { max_forwards: Some(70), ..Edit::default() });
    assert!(text(&lines).ends_with("Max-Forwards: 70\r\n"));
    assert!(!text(&forward_lines(&request, &Edit::default())).contains("Max-Forwards"));
}

#[test]
fn a_response_is_passed_on_without_our_via() {
    let response = |vias: &str| {
        format!(
            "SIP/2.0 480 Gone fishing\r\n{vias}From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nRetry-After: 5\r\nContent-Length: 3\r\n\r\n\0\r\n"
        )
    };
    let own = "Via: SIP/2.0/UDP us;branch=z9hG4bKours";
    let low = "SIP/2.0/UDP low;branch=z9hG4bK0";
    for vias in [format!("{own}, {low}\r\n"), format!("{own}\r\nVia: {low}\r\n")] {
        let passed = relay_response(&read(&response(&vias)));
        assert_eq!(text(&passed), response(&format!("Via: {low}\r\n")));
    }
}

#[test]
fn the_printer_and_the_parser_agree_on_binary_bodies() {
    let body = Bytes::from((0..=255).collect::<Vec<u8>>());
    let headers = Headers::from(vec![
        Header::From("<sip:a@h>;tag=1".into()),
        Header::To("<sip:b@h>".into()),
        Header::CallId("1".into()),
        Header::CSeq("1 MESSAGE".into()),
    ]);
    let out = Outgoing::new(Method::Message, "sip:b@h", &headers, body.clone());
    let message = Message::parse_framed(print_request(&out, "SIP/2.0/TCP h;branch=1")).unwrap();
    assert_eq!(message.body(), body);
}
