//! What is kept of a MESSAGE.

use super::*;

fn lines(submission: &Submission) -> Vec<&str> {
    let text = std::str::from_utf8(&submission.headers).unwrap();
    text.strip_suffix("\r\n").map(|text| text.split("\r\n").collect()).unwrap_or_default()
}

/// S14, S15, S7.
#[test]
fn everything_a_recipient_would_miss_is_kept_in_order_and_nothing_else() {
    let ask = text_for("sip:bob@example.com;transport=tcp")
        .to("\"Bob\" <sip:bob@example.com>;x=1")
        .with("s: greetings, all")
        .with("Contact: <sip:alice@203.0.113.9>")
        .with("X-Mine:   two  words ")
        .with("Date: Thu, 01 Jan 2026 00:00:00 GMT")
        .with("Supported: foo")
        .with("Content-Encoding: deflate")
        .with("Authorization: Digest username=\"alice\"")
        .with("Record-Route: <sip:192.0.2.77;lr>")
        .with("MIME-Version: 1.0")
        .with("Privacy: id")
        .with("x-mine: again");
    let submission = ask.submission();
    assert_eq!(
        lines(&submission),
        [
            "s: greetings, all",
            "X-Mine: two  words",
            "Date: Thu, 01 Jan 2026 00:00:00 GMT",
            "Content-Encoding: deflate",
            "MIME-Version: 1.0",
            "Privacy: id",
            "x-mine: again",
        ]
    );
    assert_eq!(&submission.from[..], b"\"Alice\" <sip:alice@example.org>;tag=f1");
    assert_eq!(&submission.to[..], b"\"Bob\" <sip:bob@example.com>;x=1");
    assert_eq!(&submission.call_id[..], b"c1@203.0.113.9");
    assert_eq!(submission.owner.as_str(), "bob@example.com");
    assert!(submission.storable);
}

/// S14, U7.
#[test]
fn any_body_of_any_type_is_kept_byte_for_byte() {
    let types = ["multipart/mixed;boundary=\"a;b\"", "application/octet-stream", "x/y; q=\"\\\"\""];
    for content_type in types {
        let mut ask =
            ask("MESSAGE", "sip:bob@example.com").with(format!("Content-Type: {content_type}"));
        ask.body = (0..=255).chain(*b"\r\n\r\n\0\n").collect();
        let submission = ask.submission();
        assert_eq!(submission.body, ask.body);
        assert_eq!(&submission.content_type[..], content_type.as_bytes());
    }
}

#[test]
fn a_message_without_a_content_type_is_kept_without_one() {
    let mut ask = ask("MESSAGE", "sip:bob@example.com");
    ask.body = b"hello".to_vec();
    assert!(ask.submission().content_type.is_empty());
}

/// S9.
#[test]
fn an_empty_body_is_kept_unless_the_operator_refuses_it() {
    let mut ask = ask("MESSAGE", "sip:bob@example.com");
    assert!(ask.submission().body.is_empty());
    ask.policy.empty_body = false;
    assert_eq!(ask.code(), 400);
}

/// S16.
#[test]
fn a_typing_indication_is_never_to_be_kept() {
    for (content_type, storable) in [
        ("application/im-iscomposing+xml", false),
        ("Application/IM-isComposing+XML ; charset=utf-8", false),
        ("application/im-iscomposing+xml2", true),
        ("message/cpim", true),
    ] {
        let ask =
            ask("MESSAGE", "sip:bob@example.com").with(format!("Content-Type: {content_type}"));
        assert_eq!(ask.submission().storable, storable, "{content_type}");
    }
}

/// Y1.
#[test]
fn an_asserted_identity_is_kept_from_trusted_peers_only() {
    let ask = text_for("sip:bob@example.com").with("P-Asserted-Identity: <sip:alice@example.org>");
    assert!(lines(&ask.submission()).is_empty());
    let submission = ask.by_a_trusted_peer().submission();
    assert_eq!(lines(&submission), ["P-Asserted-Identity: <sip:alice@example.org>"]);
}

/// S11: what is left of a life is counted from `Date`, and never beyond what the server allows.
#[test]
fn a_message_ends_when_its_sender_or_the_server_says() {
    const LONGEST: i64 = 259_200;
    let cases: [(&[&str], i64); 10] = [
        (&[], LONGEST),
        (&["Expires: 60"], 60),
        (&["Expires: 300000"], LONGEST),
        (&["Expires: 99999999999999999999999"], LONGEST),
        (&["Expires: soon"], LONGEST),
        (&["Expires: -1"], LONGEST),
        (&["Expires: 60", "Date: Wed, 31 Dec 2025 23:59:30 GMT"], 30),
        // A clock that runs ahead.
        (&["Expires: 60", "Date: Thu, 01 Jan 2026 01:00:00 GMT"], 60),
        (&["Expires: 60", "Date: yesterday"], 60),
        (&["Date: Wed, 31 Dec 2025 23:59:30 GMT"], LONGEST),
    ];
    for (headers, left) in cases {
        let ask = headers.iter().fold(text_for("sip:bob@example.com"), |ask, h| ask.with(*h));
        assert_eq!(ask.submission().expires_s, Some(NOW_S + left), "{headers:?}");
    }
}

/// S11.
#[test]
fn a_message_that_was_over_before_it_came_gets_480() {
    for date in ["Wed, 31 Dec 2025 23:59:00 GMT", "Sat, 13 Nov 2010 23:29:00 GMT"] {
        let ask = text_for("sip:bob@example.com").with("Expires: 60").with(format!("Date: {date}"));
        assert_eq!(ask.code(), 480, "{date}");
    }
}

/// S12.
#[test]
fn a_message_for_now_or_never_has_no_end_to_wait_for() {
    let ask = text_for("sip:bob@example.com").with("Expires: 0");
    assert_eq!(ask.submission().expires_s, None);
}

#[test]
fn a_retry_by_another_way_is_the_same_message() {
    let first = text_for("sip:bob@example.com").submission();
    let again = text_for("sips:%62ob@EXAMPLE.com:5061;transport=tcp")
        .with("Via: SIP/2.0/TCP 192.0.2.200;branch=z9hG4bKother")
        .with("Subject: came by a proxy that adds headers")
        .submission();
    assert_eq!(first.id, again.id);
}

/// S13.
#[test]
fn messages_with_equal_text_and_other_ids_are_different_messages() {
    let original = text_for("sip:bob@example.com");
    let text = String::from_utf8(original.bytes()).unwrap();
    let id_of = |text: String| {
        let request = Arc::new(Message::parse_datagram(text.into()).unwrap());
        match classify(&request, &path_from("203.0.113.9"), &policy(), NOW) {
            Verdict::Message { submission } => submission.id,
            other => panic!("taken in, not {other:?}"),
        }
    };
    let mut ids = vec![id_of(text.clone())];
    for (from, to) in [
        ("Call-ID: c1@", "Call-ID: c2@"),
        ("CSeq: 7", "CSeq: 8"),
        (";tag=f1", ";tag=f2"),
        (";tag=f1", ""),
        ("MESSAGE sip:bob@", "MESSAGE sip:Bob@"),
    ] {
        ids.push(id_of(text.replace(from, to)));
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
