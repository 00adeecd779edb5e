//! What is refused, and how. The file's name says what is expected: `i400_…` is answered with 400,
//! `d_…` is dropped, `v_…` is taken.

use crate::files::{all, torture};
use bytes::Bytes;
use sipsilo::sip::build::{Reply, print_response};
use sipsilo::sip::{Malformed, Message};

#[test]
fn every_message_is_taken_answered_or_dropped_as_its_name_says() {
    let mut wrong = Vec::new();
    for (name, bytes) in all("tests/torture") {
        let found = match Message::parse_datagram(bytes.into()) {
            Ok(_) => "v".to_owned(),
            Err(Malformed::Drop(_)) => "d".to_owned(),
            Err(Malformed::Answer { code, .. }) => format!("i{code}"),
        };
        if name.split('_').next() != Some(&found) {
            wrong.push(format!("{name}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_refused_request_can_be_answered_with_what_could_be_read_of_it() {
    for (name, bytes) in all("tests/torture") {
        let Err(Malformed::Answer { code, message, .. }) = Message::parse_datagram(bytes.into())
        else {
            continue;
        };
        let answer = print_response(&message, &Reply::new(code), "t");
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with(&format!("SIP/2.0 {code} ")), "{name}: {text}");
        assert!(text.contains("\r\nVia: SIP/"), "{name}: {text}");
        assert!(text.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{name}: {text}");
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])), "{name}: {text}");
        assert!(lines.iter().all(|line| !line.starts_with("Route")), "{name}: {text}");
    }
}

#[test]
fn a_message_above_the_limit_is_refused_before_it_is_indexed() {
    let mut text = torture("v_no_content_length").to_vec();
    text.resize(70_000, b'x');
    let Err(Malformed::Answer { code, .. }) = Message::parse_datagram(Bytes::from(text)) else {
        panic!("70,000 bytes were taken");
    };
    assert_eq!(code, 513);
}

#[test]
fn on_a_stream_a_line_ends_in_crlf_only() {
    let framed = Message::parse_framed(torture("v_line_feeds_only"));
    assert!(matches!(framed, Err(Malformed::Answer { code: 400, .. })), "{framed:?}");
}
