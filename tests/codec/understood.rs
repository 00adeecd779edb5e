//! What valid messages mean.

use crate::files::torture;
use sipsilo::sip::{Contact, Message, Name, Scheme, Uri};

fn read(name: &str) -> Message {
    Message::parse_datagram(torture(name)).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

fn aor(message: &Message) -> String {
    Uri::parse(message.request_uri()).unwrap().aor().unwrap().to_string()
}

#[test]
fn white_space_and_continued_lines_may_stand_wherever_the_grammar_has_them() {
    let message = read("v_everything_spaced");
    assert_eq!(message.method(), b"MESSAGE");
    assert_eq!(message.to().display, br#""B. \\ \"Ob\"\"""#);
    assert_eq!(message.to().uri, b"sip:bob@example.com");
    assert_eq!(message.to().params.value(b"later"), Some(&b"1"[..]));
    assert_eq!(message.from().display, b"Ann");
    assert_eq!(message.from_tag(), Some(&b"a1"[..]));
    assert_eq!(message.max_forwards(), Some(68));
    assert_eq!(message.cseq(), (9, &b"MESSAGE"[..]));
    let via = message.top_via();
    assert_eq!((via.transport, via.host), (&b"TCP"[..], &b"relay.example.net"[..]));
    assert_eq!((via.port, via.branch), (Some(5070), Some(&b"z9hG4bK-one"[..])));
    assert_eq!(message.list(Name::Via).count(), 2);
    assert_eq!(message.field(Name::Subject), Some(&b""[..]));
    assert_eq!(message.other(b"unheard-of"), Some(&b"one; two;;; three,,, ; = and on"[..]));
    assert_eq!(message.field(Name::Route), Some(&b"<sip:out.example.net;lr;x=%68y;odd>"[..]));
    let contact = Contact::parse(message.field(Name::Contact).unwrap()).unwrap();
    assert_eq!((contact.q(), contact.addr.uri), (Some(330), &b"sip:ann@192.0.2.9"[..]));
    assert_eq!(&message.body()[..], b"hello");
}

#[test]
fn any_token_is_a_method_and_any_header_is_carried() {
    let message = read("v_any_method");
    assert_eq!(message.method(), b"!odd-1._*+`'~%token");
    assert_eq!(message.known_method(), None);
    assert_eq!(message.cseq().0, 139_122_385);
    assert_eq!(message.to().display, b"\"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f\"");
    assert_eq!(message.from_tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(message.call_id(), br#"odd.%!*_+`'~()<>:\"/[]?{}"#);
    assert!(message.other(b"extensionHeader-!.%*+_`'~").is_some());
    let uri = Uri::parse(message.request_uri()).unwrap();
    assert_eq!(uri.user, Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
    assert_eq!(uri.password, Some(&b"&it+has=1,word."[..]));
    assert_eq!(uri.host, b"example.com");
}

#[test]
fn an_escaped_at_sign_or_nul_stays_inside_the_user_part() {
    assert_eq!(aor(&read("v_escaped_at_in_user")), "sips%3Aann%40example.com@example.net");
    assert_eq!(aor(&read("v_escaped_nul_in_user")), "null-%00-null@example.com");
    assert_eq!(aor(&read("v_semicolon_in_user")), "user;par=u%40example.net@example.com");
}

#[test]
fn an_escape_in_a_method_is_not_decoded() {
    let message = read("v_method_with_percent");
    assert_eq!(message.method(), b"MESS%41GE");
    assert_eq!(message.known_method(), None);
}

#[test]
fn long_values_and_many_hops_are_taken() {
    let message = read("v_long_values");
    assert_eq!(message.fields(Name::Via).count(), 33);
    assert_eq!(message.from_tag().map(<[u8]>::len), Some(200));
    assert_eq!(message.call_id().len(), 500);
}

#[test]
fn bytes_after_the_body_are_cut_off() {
    let message = read("v_bytes_after_the_body");
    assert_eq!(&message.body()[..], b"hello");
    assert!(message.raw().ends_with(b"\r\n\r\nhello"));
}

#[test]
fn without_a_content_length_the_body_is_the_rest_of_the_datagram() {
    assert_eq!(&read("v_no_content_length").body()[..], b"hello");
    assert_eq!(&read("v_old_rfc2543").body()[..], b"old");
    assert_eq!(&read("v_same_content_length_twice").body()[..], b"hello");
}

#[test]
fn a_binary_body_is_byte_exact() {
    let message = read("v_multipart_binary");
    assert_eq!(message.body().len(), 70);
    assert!(message.body().windows(4).any(|bytes| bytes == [0, 1, 0xff, 0xfe]));
    assert_eq!(message.field(Name::ContentType), Some(&b"multipart/mixed;boundary=\"a b\""[..]));
}

#[test]
fn a_response_may_have_any_reason_or_none() {
    let message = read("v_reason_in_utf8");
    assert_eq!(
        (message.is_request(), message.code(), message.method()),
        (false, 200, &b"MESSAGE"[..])
    );
    assert_eq!(read("v_empty_reason").code(), 100);
}

#[test]
fn schemes_nobody_knows_are_valid_wherever_they_stand() {
    let message = read("v_unknown_schemes");
    let uri = Uri::parse(message.request_uri()).unwrap();
    assert_eq!((uri.scheme, uri.aor(), uri.next_hop()), (Scheme::Other, None, None));
    assert_eq!(message.to().uri, b"isbn:2983792873");
    let tel = read("v_tel");
    let uri = Uri::parse(tel.request_uri()).unwrap();
    assert_eq!((uri.scheme, uri.user), (Scheme::Tel, Some(&b"+358-40-123"[..])));
}

#[test]
fn a_request_of_rfc_2543_has_no_branch_and_no_tag() {
    let message = read("v_old_rfc2543");
    assert_eq!(
        (message.top_via().branch, message.from_tag(), message.max_forwards()),
        (None, None, None)
    );
    assert_eq!(read("v_bare_cookie_branch").top_via().branch, Some(&b"z9hG4bK"[..]));
}

#[test]
fn compact_names_are_the_long_ones() {
    let message = read("v_compact");
    let of = |name| message.field(name).map(|value| String::from_utf8_lossy(value).into_owned());
    for (name, value) in [
        (Name::ContentType, "text/plain"),
        (Name::ContentEncoding, "gzip"),
        (Name::Subject, "Lunch"),
        (Name::Event, "presence"),
        (Name::AllowEvents, "reg"),
        (Name::Contact, "<sip:ann@ua.example.net>"),
    ] {
        assert_eq!(of(name).as_deref(), Some(value));
    }
    assert_eq!(message.list(Name::Supported).collect::<Vec<_>>(), [&b"path"[..], b"outbound"]);
    assert_eq!(message.other(b"REFER-TO"), Some(&b"<sip:else@example.com>"[..]));
    assert_eq!(message.other(b"v"), message.field(Name::Via));
    assert_eq!(&message.body()[..], b"hi");
}

#[test]
fn empty_lines_before_a_datagram_and_bare_line_feeds_are_tolerated() {
    for name in ["v_leading_line_ends", "v_line_feeds_only"] {
        let message = read(name);
        assert_eq!(
            (aor(&message).as_str(), &message.body()[..]),
            ("bob@example.com", &b"hello"[..])
        );
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_carried() {
    assert_eq!(read("v_not_utf8").other(b"X-Latin"), Some(&b"caf\xe9"[..]));
}

#[test]
fn ipv6_is_understood_in_every_place() {
    let message = read("v_ipv6");
    let via = message.top_via();
    assert_eq!((via.host, via.port), (&b"[2001:db8::9:1]"[..], Some(5070)));
    assert_eq!(via.ip(), "2001:db8::9:1".parse().ok());
    assert_eq!(via.received_ip(), "2001:db8::9:255".parse().ok());
    assert_eq!(via.rport, Some(None));
    assert_eq!(aor(&message), "bob@[2001:db8::10]");
    let bracketed = read("v_ipv6_received_in_brackets");
    assert_eq!(bracketed.top_via().received_ip(), "2001:db8::9:255".parse().ok());
    assert_eq!(read("v_ipv6_mapped").top_via().port, Some(19_823));
}

#[test]
fn a_port_is_a_port_only_outside_of_the_brackets() {
    let port = |name| Uri::parse(read(name).request_uri()).unwrap().port;
    assert_eq!(port("v_ipv6_port_or_group"), None);
    assert_eq!(port("v_ipv6_with_port"), Some(5070));
}

#[test]
fn three_colons_are_read_as_two() {
    let message = read("v_ipv6_three_colons");
    assert_eq!(message.top_via().ip(), "2001:db8::192.0.2.1".parse().ok());
    assert_eq!(aor(&message), "bob@[2001:db8::c000:201]");
}

#[test]
fn contacts_are_split_outside_of_quotes_and_brackets() {
    let message = read("v_outbound_contact");
    let contacts: Vec<Contact<'_>> =
        message.list(Name::Contact).map(|value| Contact::parse(value).unwrap()).collect();
    let [first, second] = contacts[..] else { panic!("{contacts:?}") };
    assert_eq!(first.addr.uri, b"sip:ann@192.0.2.1;transport=tcp;ob?Route=%3Csip:x%3E");
    assert_eq!(first.addr.display, br#""A, <b>; \"c\"""#);
    assert_eq!((first.instance(), first.reg_id()), (Some(&b"<urn:uuid:0-1>"[..]), Some(1)));
    assert_eq!(second.q(), Some(500));
    let all = read("v_star_contact");
    assert!(all.list(Name::Contact).all(|value| Contact::parse(value).unwrap().is_all()));
}

#[test]
fn commas_in_comments_and_in_parameters_separate_nothing() {
    let message = read("v_contact_comment");
    assert_eq!(message.list(Name::UserAgent).count(), 1);
    assert_eq!(message.list(Name::Accept).count(), 2);
    let message = read("v_quoted_comma_in_via_param");
    assert_eq!(message.list(Name::Via).count(), 2);
    assert_eq!(message.top_via().branch, Some(&b"z9hG4bK-a"[..]));
}
