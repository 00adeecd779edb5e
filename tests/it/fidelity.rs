//! Goal: a message that waited arrives as it was written.
//! Method: odd but valid messages go in; what Bob gets is compared byte for byte.

use crate::support::{Server, Sip, Ua};

/// Stores a MESSAGE that Alice made for Bob, and gives what he gets.
fn delivered(server: &Server, request: impl AsRef<[u8]>) -> Sip {
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    assert_eq!(alice.call(request).code(), 202);
    bob.register();
    let message = bob.take_message();
    bob.unregister();
    message
}

#[test]
fn a_body_of_any_bytes_arrives_as_it_was_sent() {
    let server = Server::start();
    let alice = Ua::new("alice", server.udp);
    let every_byte: Vec<u8> = (0..=255).collect();
    let bodies: [&[u8]; 5] = [
        &every_byte,
        b"\0\0\0",
        b"a\nb\r\n\r\nMESSAGE sip:x SIP/2.0\r\n\r\n",
        "grüße \u{1f600} שלום".as_bytes(),
        b"\xff\xfe\x00h\x00i",
    ];
    for body in bodies {
        let bob = "sip:bob@example.com";
        let kind = "Content-Type: application/octet-stream; x=\"a;b\" ;y=1\r\n";
        let message = delivered(&server, alice.draft("MESSAGE", bob, bob, kind, body));
        assert_eq!(message.body, body);
        assert_eq!(
            message.header("Content-Type"),
            Some("application/octet-stream; x=\"a;b\" ;y=1")
        );
        assert_eq!(message.header("Content-Length"), Some(body.len().to_string().as_str()));
    }
}

#[test]
fn an_empty_body_is_kept_as_such() {
    let server = Server::start();
    let alice = Ua::new("alice", server.udp);
    let message = delivered(&server, alice.message("bob", "", ""));
    assert!(message.body.is_empty());
    assert_eq!(message.header("Content-Length"), Some("0"));
}

#[test]
fn every_header_that_a_user_would_miss_arrives_with_the_message() {
    let server = Server::start();
    let alice = Ua::new("alice", server.udp);
    let kept = [
        ("Subject", "Dinner?; at eight, \"sharp\""),
        ("Priority", "urgent"),
        ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
        ("Reply-To", "<sip:alice@home.example>"),
        ("In-Reply-To", "abc@def"),
        ("Call-Info", "<http://www.example.com/alice/photo.jpg> ;purpose=icon"),
        ("Organization", "Boxes by Bob"),
        ("User-Agent", "Phone/1.0 (x)"),
        ("Content-Encoding", "gzip"),
        ("Content-Language", "fr, en"),
        ("Content-Disposition", "render;handling=optional"),
        ("Content-Transfer-Encoding", "binary"),
        ("MIME-Version", "1.0"),
        ("Privacy", "none"),
        ("Referred-By", "<sip:carol@example.com>"),
        ("History-Info", "<sip:bob@example.com>;index=1"),
        ("X-Anything", "at all"),
        ("Contribution-ID", "abcdef-1234"),
    ];
    let lines: String = kept.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let message = delivered(&server, alice.message("bob", "hi", &lines));
    for (name, value) in kept {
        assert_eq!(message.all(name).collect::<Vec<_>>(), [value], "{name}");
    }
}

#[test]
fn names_keep_their_quotes_and_their_language() {
    let server = Server::start();
    let alice = Ua::new("alice", server.udp);
    let request = alice
        .message("bob", "hi", "Subject: ça va \u{1f44b}\r\n")
        .replace(
            "From: <sip:alice@example.com>;",
            "From: \"Ålice \\\"the\\\" <A>, Ms\" <sip:alice@example.com;x=1>;y=2;",
        )
        .replace("To: <sip:bob@example.com>", "To: Bob the Great <sip:bob@example.com>");
    let message = delivered(&server, request);
    let from = message.header("From").unwrap();
    let name = "\"Ålice \\\"the\\\" <A>, Ms\" <sip:alice@example.com;x=1>;y=2;tag=";
    assert!(from.starts_with(name), "{from}");
    assert_eq!(message.header("To"), Some("Bob the Great <sip:bob@example.com>"));
    assert_eq!(message.header("Subject"), Some("ça va \u{1f44b}"));
}

#[test]
fn what_concerned_the_sender_s_hop_does_not_go_on() {
    let server = Server::start();
    let alice = Ua::new("alice", server.udp);
    let hop = format!(
        "Contact: <sip:alice@127.0.0.1>\r\nRecord-Route: <sip:p.example;lr>\r\n\
         Route: <sip:{};lr>\r\nSupported: path\r\nRequire: path\r\n\
         Authorization: Digest username=\"alice\"\r\nProxy-Authorization: Digest x=\"1\"\r\n\
         Timestamp: 1\r\nP-Charging-Vector: icid-value=1\r\n",
        server.udp
    );
    let message = delivered(&server, alice.message("bob", "hi", &hop));
    for line in hop.lines() {
        let name = line.split(':').next().unwrap();
        assert_eq!(message.header(name), None, "{name}");
    }
}

#[test]
fn an_identity_that_a_stranger_asserts_does_not_go_on_and_a_trusted_one_does() {
    let claim = "P-Asserted-Identity: <sip:president@example.com>\r\n";
    for (options, expected) in [(&[][..], None), (&["sip.trusted=127.0.0.1"], Some(()))] {
        let server = Server::with(options);
        let alice = Ua::new("alice", server.udp);
        let message = delivered(&server, alice.message("bob", "hi", claim));
        assert_eq!(message.header("P-Asserted-Identity").map(|_| ()), expected);
    }
}

#[test]
fn a_message_without_a_date_gets_the_time_it_was_accepted() {
    let server = Server::start();
    let alice = Ua::new("alice", server.udp);
    let before = chrono::Utc::now().timestamp();
    let message = delivered(&server, alice.message("bob", "hi", ""));
    let date = message.header("Date").expect("a Date");
    assert!(date.ends_with(" GMT"), "{date}");
    let date = chrono::DateTime::parse_from_rfc2822(date).expect("a date").timestamp();
    assert!((before..=chrono::Utc::now().timestamp()).contains(&date));
    assert_eq!(message.text(), "hi");
}

#[test]
fn equal_texts_are_two_messages() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    assert_eq!(alice.say("bob", "ping").code(), 202);
    assert_eq!(alice.say("bob", "ping").code(), 202);
    bob.register();
    assert_eq!(bob.take_message().text(), "ping");
    assert_eq!(bob.take_message().text(), "ping");
    bob.hears_nothing();
}

#[test]
fn compact_names_and_continued_lines_say_the_same() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let request = format!(
        "MESSAGE sip:bob@example.com SIP/2.0\r\n\
         c : text/plain\r\n ;charset=utf-8\r\nCSEQ: 1\r\n MESSAGE\r\n\
         v:SIP / 2.0 / UDP {};rport\r\n ;branch=z9hG4bKcompact\r\n\
         s: a subject\r\n\tin two lines\r\nf:<sip:alice@example.com>\r\n ;tag=1\r\n\
         t:   <sip:bob@example.com>\r\ni: compact@test\r\nL: 2\r\nmax-forwards: 70\r\n\r\nhi",
        alice.addr()
    );
    assert_eq!(alice.call(&request).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.text(), "hi");
    let subject = message.header("s").or(message.header("Subject")).unwrap();
    assert_eq!(subject.split_whitespace().collect::<Vec<_>>().join(" "), "a subject in two lines");
    let kind = message.header("Content-Type").unwrap();
    assert_eq!(kind.split_whitespace().collect::<String>(), "text/plain;charset=utf-8");
}
