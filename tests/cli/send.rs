//! `sipsilo send` against a scripted server.

use super::support::{Peer, answer_by_tcp};
use super::{command, err, out, sipsilo};
use rsip::headers::UntypedHeader as _;
use sipsilo::sip::build::Reply;
use sipsilo::sip::{Message, Name};
use std::net::TcpListener;
use std::process::{Output, Stdio};

/// Sends "hello" with `args` to a server that answers `reply`: the request, and what was printed.
fn send(args: &[&str], reply: &Reply) -> (Message, Output) {
    let peer = Peer::new();
    let via = peer.address().to_string();
    let mut all = vec!["send", "sip:bob@example.com", "hello", "--via", &via];
    all.extend(args);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| sipsilo(&all));
        let request = peer.hear();
        peer.answer(&request, reply);
        (request.0, sent.join().unwrap())
    })
}

fn value(message: &Message, name: Name) -> &str {
    std::str::from_utf8(message.field(name).unwrap_or_default()).unwrap()
}

#[test]
fn a_delivered_message_exits_with_0_and_says_so() {
    let (request, output) = send(&[], &Reply::new(200));
    assert_eq!(request.method(), b"MESSAGE");
    assert_eq!(request.request_uri(), b"sip:bob@example.com");
    assert_eq!(request.body(), "hello");
    assert_eq!(value(&request, Name::ContentType), "text/plain");
    assert_eq!(value(&request, Name::To), "<sip:bob@example.com>");
    assert!(value(&request, Name::From).starts_with("<sip:anonymous@example.com>;tag="));
    assert_eq!(out(&output), "200 OK: delivered: the recipient's device has the message\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_stored_message_exits_with_0_and_says_so() {
    let (_, output) = send(&[], &Reply::new(202));
    assert!(out(&output).starts_with("202 Accepted: stored: "), "{}", out(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_refused_message_exits_with_1_and_says_why() {
    for (code, text) in [
        (404, "404 Not Found: refused: the server knows no such user"),
        (480, "480 Temporarily Unavailable: not delivered and not stored"),
        (503, "503 Service Unavailable: not stored"),
    ] {
        let (_, output) = send(&[], &Reply::new(code));
        assert!(out(&output).starts_with(text), "{}", out(&output));
        assert_eq!(output.status.code(), Some(1), "{code}");
    }
}

#[test]
fn a_warning_of_the_server_is_shown_but_cannot_steer_the_terminal() {
    let warning = rsip::headers::Warning::new("399 silo \"mailbox full\u{1b}[2J\"");
    let (_, output) = send(&[], &Reply::new(480).with(warning));
    let text = out(&output);
    assert!(text.contains("Warning: 399 silo \"mailbox full\\u{1b}[2J\"\n"), "{text}");
}

#[test]
fn all_options_reach_the_request() {
    let args = [
        "--from",
        "\"Alice\" <sip:alice@example.com>",
        "--expires",
        "60",
        "--subject",
        "dinner\r\nX-Evil: 1",
        "--content-type",
        "text/html",
    ];
    let (request, _) = send(&args, &Reply::new(202));
    assert!(value(&request, Name::From).starts_with("\"Alice\" <sip:alice@example.com>;tag="));
    assert_eq!(value(&request, Name::Expires), "60");
    assert_eq!(value(&request, Name::Subject), "dinner  X-Evil: 1");
    assert_eq!(value(&request, Name::ContentType), "text/html");
    assert_eq!(request.other(b"X-Evil"), None);
}

#[test]
fn a_lost_message_is_sent_again_until_it_is_answered() {
    let peer = Peer::new();
    let via = peer.address().to_string();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| sipsilo(&["send", "sip:bob@example.com", "hi", "--via", &via]));
        let (first, _) = peer.hear();
        let second = peer.hear();
        assert_eq!(first.raw(), second.0.raw(), "a copy is the same to the byte");
        peer.answer(&second, &Reply::new(202));
        assert!(sent.join().unwrap().status.success());
    });
}

#[test]
fn a_message_goes_by_tcp_when_asked_or_when_it_is_too_long_for_udp() {
    let long = "x".repeat(2_000);
    for (text, transport) in [("hello", "tcp"), (long.as_str(), "udp")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Holds the port for UDP too, so that nothing says that nobody is there.
        let _udp = std::net::UdpSocket::bind(listener.local_addr().unwrap());
        let via = listener.local_addr().unwrap().to_string();
        let args = ["send", "sip:bob@example.com", text, "--via", &via, "--transport", transport];
        std::thread::scope(|scope| {
            let sent = scope.spawn(|| sipsilo(&args));
            let request = answer_by_tcp(&listener, &Reply::new(202));
            assert_eq!(request.body(), text);
            assert_eq!(request.top_via().transport, b"TCP");
            assert!(sent.join().unwrap().status.success());
        });
    }
}

#[test]
fn the_body_can_come_from_standard_input_as_it_is() {
    let peer = Peer::new();
    let via = peer.address().to_string();
    let mut child = command(&["send", "bob@example.com", "-", "--via", &via])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"a\0b\r\n\xff").unwrap();
    let request = peer.hear();
    peer.answer(&request, &Reply::new(200));
    assert_eq!(&request.0.body()[..], b"a\0b\r\n\xff");
    assert!(child.wait().unwrap().success());
}

#[test]
fn nobody_at_the_other_end_is_noticed_at_once() {
    for transport in ["udp", "tcp"] {
        let via = Peer::new().address().to_string();
        let args = ["send", "bob@example.com", "hi", "--via", &via, "--transport", transport];
        let output = sipsilo(&args);
        assert_eq!(output.status.code(), Some(1));
        let text =
            format!("sipsilo: cannot reach {via} by {transport}: is a server running there?\n");
        assert_eq!(err(&output), text);
    }
}

#[test]
fn what_is_no_address_is_refused_with_an_example() {
    let output = sipsilo(&["send", "bob", "hi"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("is no SIP address such as sip:bob@example.com"));
}
