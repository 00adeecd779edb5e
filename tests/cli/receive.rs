//! `sipsilo receive` against a scripted registrar, and together with `sipsilo send`.

use super::support::{Peer, Running};
use super::{err, out, sipsilo};
use rsip::headers::UntypedHeader as _;
use sipsilo::sip::build::Reply;
use sipsilo::sip::{Message, Name};
use std::net::SocketAddr;

fn receive(peer: &Peer, args: &[&str]) -> Running {
    let via = peer.address().to_string();
    let mut all = vec!["receive", "sip:bob@example.com", "--via", &via];
    all.extend(args);
    Running::start(&all)
}

fn value(message: &Message, name: Name) -> &str {
    std::str::from_utf8(message.field(name).unwrap_or_default()).unwrap()
}

fn contact_of(register: &Message) -> String {
    let contact = value(register, Name::Contact);
    contact.trim_matches(['<', '>']).to_owned()
}

/// Takes the first REGISTER: the user's contact and address.
fn register(peer: &Peer, receiver: &Running) -> (String, SocketAddr) {
    let request = peer.hear();
    assert_eq!(request.0.method(), b"REGISTER");
    assert_eq!(request.0.request_uri(), b"sip:example.com");
    assert_eq!(value(&request.0, Name::Expires), "3600");
    peer.answer(&request, &Reply::new(200));
    assert!(receiver.line().starts_with("registered bob@example.com at "));
    (contact_of(&request.0), request.1)
}

fn message(peer: &Peer, contact: &str, serial: u32, lines: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "MESSAGE {contact} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {};rport;branch=z9hG4bK{serial}\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@example.com>;tag=1\r\n\
         To: <sip:bob@example.com>\r\n\
         Call-ID: {serial}\r\n\
         CSeq: 1 MESSAGE\r\n\
         {lines}Content-Length: {}\r\n\r\n",
        peer.address(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn a_message_is_printed_and_answered_and_the_user_unregisters_on_sigterm() {
    let peer = Peer::new();
    let receiver = receive(&peer, &[]);
    let (contact, address) = register(&peer, &receiver);
    let lines = "Date: Fri, 13 Nov 2026 23:29:00 GMT\r\nSubject: dinner\r\n\
                 Content-Type: text/plain\r\n";
    peer.say(&message(&peer, &contact, 1, lines, b"at eight?\nyours, A."), address);
    assert_eq!(
        receiver.line(),
        "2026-11-13 23:29:00 from \"Alice\" <sip:alice@example.com> text/plain"
    );
    assert_eq!(receiver.line(), "  Subject: dinner");
    assert_eq!(receiver.line(), "  at eight?");
    assert_eq!(receiver.line(), "  yours, A.");
    assert_eq!(peer.hear().0.code(), 200);
    receiver.terminate();
    let farewell = peer.hear();
    assert_eq!(value(&farewell.0, Name::Expires), "0");
    assert_eq!(contact_of(&farewell.0), contact);
    assert_eq!(farewell.0.cseq().0, 2);
    peer.answer(&farewell, &Reply::new(200));
    assert!(receiver.end().success());
}

#[test]
fn a_message_that_comes_twice_in_one_transaction_is_printed_once() {
    let peer = Peer::new();
    let receiver = receive(&peer, &["--count", "2"]);
    let (contact, address) = register(&peer, &receiver);
    let first = message(&peer, &contact, 1, "", b"one");
    peer.say(&first, address);
    let answer = peer.hear().0;
    peer.say(&first, address);
    assert_eq!(peer.hear().0.raw(), answer.raw(), "the same answer again");
    peer.say(&message(&peer, &contact, 2, "", b"two"), address);
    assert_eq!(peer.hear().0.code(), 200);
    let lines: Vec<String> = (0..4).map(|_| receiver.line()).collect();
    assert_eq!((lines[1].as_str(), lines[3].as_str()), ("  one", "  two"));
    let farewell = peer.hear();
    assert_eq!(value(&farewell.0, Name::Expires), "0");
    peer.answer(&farewell, &Reply::new(200));
    assert!(receiver.end().success());
}

#[test]
fn a_message_cannot_steer_the_terminal_of_its_reader() {
    let peer = Peer::new();
    let receiver = receive(&peer, &[]);
    let (contact, address) = register(&peer, &receiver);
    peer.say(&message(&peer, &contact, 1, "", b"\x1b[2Jgone"), address);
    assert!(receiver.line().ends_with("from \"Alice\" <sip:alice@example.com>"));
    assert_eq!(receiver.line(), "  \\u{1b}[2Jgone");
}

#[test]
fn other_methods_are_answered_without_a_line() {
    let peer = Peer::new();
    let receiver = receive(&peer, &[]);
    let (contact, address) = register(&peer, &receiver);
    for (serial, method, code) in [(1, "OPTIONS", 200), (2, "NOTIFY", 405)] {
        let text = String::from_utf8(message(&peer, &contact, serial, "", b"")).unwrap();
        peer.say(text.replace("MESSAGE", method).as_bytes(), address);
        let (answer, _) = peer.hear();
        assert_eq!(answer.code(), code, "{method}");
        assert_eq!(value(&answer, Name::Allow), "MESSAGE, OPTIONS");
    }
}

#[test]
fn a_registration_that_the_server_finds_too_short_is_asked_for_longer() {
    let peer = Peer::new();
    let receiver = receive(&peer, &["--expires", "10"]);
    let first = peer.hear();
    assert_eq!(value(&first.0, Name::Expires), "10");
    peer.answer(&first, &Reply::new(423).with(rsip::headers::MinExpires::new("60")));
    let second = peer.hear();
    assert_eq!(value(&second.0, Name::Expires), "60");
    peer.answer(&second, &Reply::new(200));
    assert!(receiver.line().contains(" for 60 s"));
}

#[test]
fn a_registration_is_refreshed_before_what_the_server_granted_runs_out() {
    let peer = Peer::new();
    let _receiver = receive(&peer, &[]);
    let first = peer.hear();
    let contact = format!("<{}>;expires=1", contact_of(&first.0));
    let granted = Reply::new(200)
        .with(rsip::headers::Contact::new("<sip:bob@192.0.2.1>;expires=3000"))
        .with(rsip::headers::Contact::new(contact));
    peer.answer(&first, &granted);
    let second = peer.hear();
    assert_eq!(second.0.cseq().0, first.0.cseq().0 + 1);
    assert_eq!(second.0.call_id(), first.0.call_id());
}

#[test]
fn a_refused_registration_ends_with_1_and_one_sentence() {
    let peer = Peer::new();
    let via = peer.address().to_string();
    std::thread::scope(|scope| {
        let args = ["receive", "bob@example.com", "--via", &via];
        let received = scope.spawn(move || sipsilo(&args));
        peer.answer(&peer.hear(), &Reply::new(403));
        let output = received.join().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = format!("sipsilo: cannot register at {via} by udp: 403 Forbidden\n");
        assert_eq!(err(&output), text);
        assert_eq!(out(&output), "");
    });
}

#[test]
fn a_registrar_that_is_not_there_is_noticed_at_once() {
    for transport in ["udp", "tcp"] {
        let via = Peer::new().address().to_string();
        let output =
            sipsilo(&["receive", "bob@example.com", "--via", &via, "--transport", transport]);
        assert_eq!(output.status.code(), Some(1));
        let text = format!("sipsilo: cannot register at {via} by {transport}: ");
        assert!(err(&output).starts_with(&text), "{}", err(&output));
    }
}

#[test]
fn what_send_sends_receive_prints() {
    let peer = Peer::new();
    let receiver = receive(&peer, &["--count", "2"]);
    let (_, address) = register(&peer, &receiver);
    let via = address.to_string();
    let long = "x".repeat(2_000);
    for text in ["hello", long.as_str()] {
        let sent = sipsilo(&[
            "send",
            "bob@example.com",
            text,
            "--from",
            "alice@example.com",
            "--via",
            &via,
        ]);
        assert!(out(&sent).starts_with("200 OK: delivered"), "{}{}", out(&sent), err(&sent));
        assert!(receiver.line().ends_with(" from <sip:alice@example.com> text/plain"));
        assert_eq!(receiver.line(), format!("  {text}"));
    }
}
