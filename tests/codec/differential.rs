//! The same message through `rsip`'s parser: where that reads it, both must agree. The messages
//! are made of what `rsip` can read: no continued lines, compact names, IPv6 or unknown methods, and no
//! dot in a user part, which it loses.

use bytes::Bytes;
use proptest::prelude::*;
use rsip::message::HeadersExt;
use rsip::prelude::UntypedHeader;
use sipsilo::sip::{Message, Name, Uri};

fn message() -> impl Strategy<Value = String> {
    let method = prop::sample::select(vec!["MESSAGE", "REGISTER", "OPTIONS", "NOTIFY", "PUBLISH"]);
    let uri = "sip:[a-z0-9][a-z0-9_-]{0,11}@[a-z]{1,8}\\.example\\.com(:[1-9][0-9]{1,3})?(;transport=(udp|tcp|tls))?";
    let display = "(\"[A-Za-z0-9 ,;]{0,12}\" |[A-Z][a-z]{0,6} )?";
    let others = prop::collection::vec(
        ("X-[A-Za-z-]{1,10}", "[!-~]([ -~]{0,30}[!-~])?")
            .prop_map(|(n, v)| format!("{n}: {v}\r\n")),
        0..6,
    );
    let body = "[ -~\r\n]{0,80}";
    (method, uri, (display, "[a-z0-9]{1,10}"), (1_u32.., 0_u8..), others, body).prop_map(
        |(method, uri, (display, tag), (cseq, hops), others, body)| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP ua.example.net:5062;branch=z9hG4bK{tag}\r\n\
                 Max-Forwards: {hops}\r\nFrom: {display}<sip:ann@example.net>;tag={tag}\r\n\
                 To: {display}<{uri}>\r\nCall-ID: {tag}@example.net\r\nCSeq: {cseq} {method}\r\n\
                 {}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
                others.concat(),
                body.len()
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_parsers_read_the_same(text in message()) {
        let theirs = rsip::Request::try_from(text.as_bytes()).expect("made of what rsip can read");
        let ours = Message::parse_datagram(Bytes::from(text.clone().into_bytes())).unwrap();
        prop_assert_eq!(ours.known_method(), Some(theirs.method));
        let their_uri = theirs.uri.to_string();
        let uri = Uri::parse(ours.request_uri()).unwrap();
        // It prints a transport in upper case.
        prop_assert!(uri.equals(&Uri::parse(their_uri.as_bytes()).unwrap()), "{}", their_uri);
        prop_assert_eq!(uri.port, theirs.uri.port().map(|port| *port.value()));
        let user = theirs.uri.user().map(str::to_owned);
        prop_assert_eq!(uri.user, user.as_ref().map(String::as_bytes));
        prop_assert_eq!(ours.field(Name::From), Some(theirs.from_header().unwrap().value().as_bytes()));
        prop_assert_eq!(ours.field(Name::To), Some(theirs.to_header().unwrap().value().as_bytes()));
        prop_assert_eq!(ours.field(Name::Via), Some(theirs.via_header().unwrap().value().as_bytes()));
        prop_assert_eq!(ours.call_id(), theirs.call_id_header().unwrap().value().as_bytes());
        prop_assert_eq!(ours.cseq().0, theirs.cseq_header().unwrap().seq().unwrap());
        prop_assert_eq!(ours.body(), theirs.body);
        let lines = |name: &[u8], value: &[u8]| {
            format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        let ours: Vec<String> = ours.all_fields().map(|f| lines(f.name_text, f.value)).collect();
        let theirs: Vec<String> = theirs.headers.iter().map(ToString::to_string).collect();
        prop_assert_eq!(ours, theirs);
    }
}
