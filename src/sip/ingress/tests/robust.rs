//! Whatever comes in, it is judged: nothing here may panic, and no answer may grow a header line
//! that a stranger wrote.

use super::*;
use crate::sip::build::{Outgoing, print_request, print_response};
use crate::sip::egress::{Ids, delivery};
use crate::sip::relay::{Fork, ForkEffect, Sender, Settings};
use crate::vocab::{Contact, Message as Kept, NextHop};
use proptest::prelude::*;
use std::time::Duration;

fn contact() -> Contact {
    Contact {
        uri: "sip:bob@203.0.113.50:5070".into(),
        q: 1_000,
        next_hop: NextHop::Path(path_from("203.0.113.50")),
        route: [].into(),
        instance: None,
        takes_messages: true,
        expires_us: i64::MAX,
    }
}

/// Follows a request wherever it is sent, and gives the bytes that would leave.
fn follow(bytes: Vec<u8>, peer: &str) -> Option<Vec<bytes::Bytes>> {
    let request = Arc::new(Message::parse_datagram(bytes.into()).ok()?);
    if !request.is_request() {
        return None;
    }
    let printed = |out: &Outgoing| print_request(out, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    let forked = |target: Target| {
        let window = Duration::from_secs(5);
        let settings = Settings { group_window: window, window, loop_key: 1 };
        let (_, effects) = Fork::new(&request, vec![target], Sender::Untrusted, settings, NOW);
        let started = effects.iter().filter_map(|effect| match effect {
            ForkEffect::Start(branch) => Some(printed(&branch.outgoing)),
            ForkEffect::Cancel(_) | ForkEffect::Done(_) => None,
        });
        started.collect()
    };
    let policy = policy();
    Some(match classify(&request, &path_from(peer), &policy, NOW) {
        Verdict::Reply(reply) => vec![print_response(&request, &reply, "tag")],
        Verdict::Register { .. } => Vec::new(),
        Verdict::LocalOther { .. } => forked(Target::contact(&contact())),
        Verdict::Foreign { target, .. } => forked(*target),
        Verdict::Message { submission } => {
            let kept = Kept::accept(*submission, NOW.unix_us, NOW_S + 60);
            let ids = Ids::attempt(&kept, 9);
            vec![printed(&delivery(&kept, &contact(), &ids, &policy))]
        }
    })
}

fn method() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["MESSAGE", "REGISTER", "OPTIONS", "INFO", "FOO", "INVITE"])
}

fn uri() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["example.com", "192.0.2.1", "[2001:db8::1]", "h.example"]);
    let user = "([a-z0-9;?&=+$,]|%[0-9A-F]{2}){1,8}@";
    let params = "(;(lr|maddr=192\\.0\\.2\\.1|transport=(udp|tcp|x)|method=[A-Z]{1,4}|[a-z]{1,3}(=[a-z0-9]{1,5})?)){0,3}";
    let parts = (prop::option::of(user), host, prop::option::of(1_u16..), params);
    let sip = parts.prop_map(|(user, host, port, params)| {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("sip:{}{host}{port}{params}", user.unwrap_or_default())
    });
    prop_oneof![
        4 => Just("sip:bob@example.com".to_owned()),
        8 => sip,
        1 => "(sips|tel|im|x):[a-z0-9+]{1,9}",
        1 => "[a-zA-Z:@;?%=.]{1,24}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    let route = (prop::sample::select(vec!["Route", "Record-Route", "P-Asserted-Identity"]), uri())
        .prop_map(|(name, uri)| format!("{name}: <{uri}>"));
    let date = "(Mon|Thu)?,? ?[0-9]{1,3} (Jan|Dec|Xyz) [0-9]{1,5} [0-9:]{1,9} GMT";
    let names =
        vec!["Require", "Expires", "Date", "Content-Type", "Privacy", "Subject", "X", "Route"];
    let via =
        "[ -~]{0,20}".prop_map(|odd| format!("Via: SIP/2.0/UDP 192.0.2.3;sipsilo-loop={odd}"));
    prop_oneof![
        4 => route,
        2 => date.prop_map(|date| format!("Date: {date}")),
        2 => "[0-9]{1,20}".prop_map(|seconds| format!("Expires: {seconds}")),
        1 => any::<u8>().prop_map(|hops| format!("Max-Forwards: {hops}")),
        1 => via,
        2 => (prop::sample::select(names), "[ -~]{0,40}").prop_map(|(n, v)| format!("{n}: {v}")),
    ]
}

fn head(bytes: &[u8]) -> Vec<&[u8]> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").expect("an empty line ends the head");
    bytes[..end].split(|&byte| byte == b'\n').collect()
}

proptest! {
    #[test]
    fn every_request_is_judged_and_what_leaves_can_be_read_again(
        method in method(),
        uri in uri(),
        to in uri(),
        lines in prop::collection::vec(line(), 0..8),
        body in prop::collection::vec(any::<u8>(), 0..32),
        trusted in any::<bool>(),
    ) {
        let mut bytes = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKa\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <{to}>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n{}\r\n\r\n",
            lines.join("\r\n")
        ).into_bytes();
        bytes.extend_from_slice(&body);
        let peer = if trusted { "198.51.100.7" } else { "203.0.113.9" };
        for sent in follow(bytes, peer).unwrap_or_default() {
            prop_assert!(Message::parse_datagram(sent.clone()).is_ok(), "{:?}", sent);
        }
    }

    #[test]
    fn no_line_of_ours_is_written_by_a_stranger(evil in "[ -~\\r\\n\\x00]{0,40}") {
        let mut bytes = "MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKa\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\
             Content-Type: text/plain\r\nX-Mine: ".as_bytes().to_vec();
        bytes.extend_from_slice(evil.replace("\r\n", "\r").replace('\n', "\r").as_bytes());
        bytes.extend_from_slice(b"\r\nContent-Length: 0\r\n\r\n");
        for sent in follow(bytes, "203.0.113.9").unwrap_or_default() {
            for line in head(&sent) {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                prop_assert!(!line.contains(&b'\r'), "{:?}", sent);
            }
        }
    }
}

#[test]
fn a_stored_header_block_cannot_smuggle_lines_into_a_delivery() {
    let mut kept = Kept::accept(text_for("sip:bob@example.com").submission(), 0, NOW_S);
    kept.from = "<sip:a@b>;x=\"\r\nX-Evil: 1\"".into();
    kept.content_type = "text/plain\r\nX-Evil: 2".into();
    kept.headers =
        "Subject: a\nX-Evil: 3\rX-Evil: 4\r\nVia: SIP/2.0/UDP evil\r\nContent-Length: 9\r\n\
         Route: <sip:evil>\r\nno header\r\nX Evil: 5\r\n: 6\r\n"
            .into();
    let out = delivery(&kept, &contact(), &Ids::attempt(&kept, 1), &policy());
    let sent = print_request(&out, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx");
    let message = Message::parse_datagram(sent.clone()).unwrap();
    let names: Vec<&[u8]> = message.all_fields().map(|field| field.name_text).collect();
    assert!(!names.iter().any(|name| name.starts_with(b"X")), "{sent:?}");
    assert_eq!(message.fields(Name::Via).count(), 1);
    assert_eq!(message.fields(Name::ContentLength).count(), 1);
    assert_eq!(message.field(Name::Route), None);
    assert_eq!(&message.body()[..], b"hello");
}
