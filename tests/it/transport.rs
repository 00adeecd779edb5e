//! Goal: UDP and TCP as RFC 3261 section 18 and RFC 3581 want them.
//! Method: user agents that look at addresses, ports and segments.

use crate::support::{Line, PATIENCE, Server, Sip, TcpLine, TcpUa, Ua};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

#[test]
fn what_came_by_tcp_is_answered_and_delivered_by_tcp() {
    let server = Server::start();
    let mut alice = TcpUa::new("alice", server.tcp);
    assert_eq!(alice.say("bob", "over a stream").code(), 202);
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.text(), "over a stream");
    assert!(message.header("Via").unwrap().starts_with("SIP/2.0/TCP "));
    assert_eq!(message.start, format!("MESSAGE {} SIP/2.0", bob.contact()));
}

#[test]
fn a_message_is_delivered_over_the_connection_that_registered_whatever_the_contact_says() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.registers("Contact: <sip:bob@hidden.invalid;transport=tcp>\r\n");
    let request = alice.message("bob", "behind a nat", "");
    alice.send(&request);
    let message = bob.take_message();
    assert_eq!(message.start, "MESSAGE sip:bob@hidden.invalid;transport=tcp SIP/2.0");
    assert_eq!(alice.answer_to(&request).code(), 200);
}

#[test]
fn who_closes_his_connection_is_offline() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.register();
    drop(bob);
    // The node hears of it a moment later.
    let deadline = Instant::now() + PATIENCE;
    while !bindings_are_gone(&server) {
        assert!(Instant::now() < deadline, "the binding outlives its connection");
    }
    assert_eq!(alice.say("bob", "kept").code(), 202);
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.register();
    assert_eq!(bob.take_message().text(), "kept");
}

fn bindings_are_gone(server: &Server) -> bool {
    let mut other = Ua::new("bob", server.udp);
    other.registers("").header("Contact").is_none()
}

#[test]
fn many_messages_in_one_segment_are_each_answered_in_order() {
    let server = Server::start();
    let mut alice = TcpUa::new("alice", server.tcp);
    let requests: Vec<String> =
        (0..20).map(|n| alice.message("bob", &format!("number {n}"), "")).collect();
    alice.send(requests.concat());
    for request in &requests {
        assert_eq!(alice.answer_to(request).code(), 202);
    }
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.register();
    for n in 0..20 {
        assert_eq!(bob.take_message().text(), format!("number {n}"));
    }
}

#[test]
fn a_message_in_many_segments_is_one_message() {
    let server = Server::start();
    let mut alice = TcpUa::new("alice", server.tcp);
    let request = alice.message("bob", "bit by bit\r\n\r\nto the end", "");
    for piece in request.as_bytes().chunks(7) {
        alice.send(piece);
    }
    assert_eq!(alice.answer_to(&request).code(), 202);
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.register();
    assert_eq!(bob.take_message().text(), "bit by bit\r\n\r\nto the end");
}

#[test]
fn a_double_line_end_on_a_connection_is_answered_with_one() {
    let server = Server::start();
    let mut alice = TcpUa::new("alice", server.tcp);
    alice.send("\r\n\r\n");
    assert_eq!(alice.line.bytes(2), b"\r\n");
    // A single one is nothing, and the next message is whole.
    alice.send("\r\n");
    assert_eq!(alice.say("bob", "after the ping").code(), 202);
}

#[test]
fn a_keep_alive_over_udp_is_no_message() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    alice.send("\r\n\r\n");
    let request = alice.message("bob", "hi", "");
    alice.send(format!("\r\n{request}"));
    assert_eq!(alice.next().code(), 202, "nothing else was answered");
}

#[test]
fn a_request_on_a_stream_without_a_usable_length_is_answered_and_the_connection_ends() {
    let server = Server::start();
    for wrong in ["", "Content-Length: -1\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n"] {
        let mut alice = TcpUa::new("alice", server.tcp);
        let request = alice.message("bob", "hi", "").replace("Content-Length: 2\r\n", wrong);
        assert_eq!(alice.call(&request).code(), 400, "{wrong}");
        alice.line.is_closed_by_node();
    }
}

#[test]
fn what_is_not_sip_ends_its_connection() {
    let server = Server::start();
    let mut alice = TcpUa::new("alice", server.tcp);
    alice.send("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
    alice.line.is_closed_by_node();
}

#[test]
fn half_a_message_does_not_hold_a_connection_for_ever() {
    let server = Server::with(&["limits.partial_message_timeout=300ms"]);
    let mut alice = TcpUa::new("alice", server.tcp);
    let mut patient = TcpUa::new("patient", server.tcp);
    assert_eq!(patient.say("bob", "first").code(), 202);
    let request = alice.message("bob", "never whole", "");
    alice.send(&request[..request.len() - 3]);
    alice.line.is_closed_by_node();
    assert_eq!(patient.say("bob", "second").code(), 202, "between messages there is time");
}

/// X16.
#[test]
fn connections_are_bounded_in_all_and_for_each_address() {
    for option in ["limits.tcp_connections_per_ip_max=2", "limits.tcp_connections_max=2"] {
        let server = Server::with(&[option]);
        let mut first = TcpUa::new("first", server.tcp);
        let mut second = TcpUa::new("second", server.tcp);
        assert_eq!(first.say("bob", "hi").code(), 202);
        assert_eq!(second.say("bob", "hi").code(), 202);
        let mut third = TcpUa::new("third", server.tcp);
        third.line.is_closed_by_node();
        drop(first);
        let deadline = Instant::now() + PATIENCE;
        while !gets_through(&server) {
            assert!(Instant::now() < deadline, "a connection that ended makes no room");
        }
        assert_eq!(second.say("bob", "still here").code(), 202);
    }
}

fn gets_through(server: &Server) -> bool {
    let mut alice = TcpUa::new("alice", server.tcp);
    alice.send("\r\n\r\n");
    let mut pong = [0; 2];
    alice.line.try_bytes(&mut pong)
}

/// X8, X9, X10.
#[test]
fn an_answer_goes_where_via_says_and_from_where_the_request_came() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    // With rport: to the source port, which is told.
    let request = alice.message("bob", "hi", "");
    let via = request.replace(&alice.addr().to_string(), "192.0.2.9:5060");
    let answer = alice.call(&via);
    let top = answer.header("Via").unwrap();
    let (rport, received) = (format!("rport={}", alice.addr().port()), "received=127.0.0.1");
    assert!(top.contains(&rport) && top.contains(received), "{top}");
    assert_eq!(alice.line.heard_from, Some(server.udp));
    // Without it: to the source address and the port of sent-by, even if nobody asked from there.
    let mut other = Ua::new("other", server.udp);
    let request = alice.message("bob", "hi", "").replace(";rport", "");
    let request =
        request.replace(&alice.addr().to_string(), &format!("x.example:{}", other.addr().port()));
    alice.send(&request);
    let answer = other.answer_to(&request);
    assert!(answer.header("Via").unwrap().contains(received));
    alice.is_not_answered(&request);
}

/// X4.
#[test]
fn a_datagram_is_read_up_to_its_content_length() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let request = alice.message("bob", "whole", "");
    assert_eq!(alice.call(format!("{request}and more")).code(), 202);
    let request = alice.message("bob", "no length", "").replace("Content-Length: 9\r\n", "");
    assert_eq!(alice.call(&request).code(), 202);
    bob.register();
    assert_eq!(bob.take_message().text(), "whole");
    assert_eq!(bob.take_message().text(), "no length");
}

/// X2, X3, S8, D15.
#[test]
fn a_long_message_is_taken_by_udp_and_delivered_by_tcp() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let text = "long ".repeat(10_000);
    assert_eq!(alice.say("bob", &text).code(), 202);
    // Bob registers by UDP and listens on the same port number by TCP.
    let (mut bob, listener) = udp_and_tcp(&server);
    bob.register();
    let (stream, _) = listener.accept().unwrap();
    let mut line = TcpLine::accepted(stream);
    let message = heard(&mut line);
    assert_eq!(message.text(), text);
    assert!(message.header("Via").unwrap().starts_with("SIP/2.0/TCP "));
    line.send(&message.answer(200, "OK", ""));
    // It is gone: nothing comes at the next registration.
    bob.register();
    bob.hears_nothing();
}

#[test]
fn by_option_a_long_message_goes_by_udp_to_who_has_nothing_else() {
    let server = Server::with(&["sip.oversize_udp=true"]);
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let text = "long ".repeat(1_000);
    assert_eq!(alice.say("bob", &text).code(), 202);
    bob.register();
    assert_eq!(bob.take_message().text(), text);
}

#[test]
fn a_long_message_waits_for_a_way_that_can_carry_it() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let text = "long ".repeat(1_000);
    assert_eq!(alice.say("bob", &text).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    bob.hears_nothing();
    let mut at_a_desk = TcpUa::new("bob", server.tcp);
    at_a_desk.register();
    assert_eq!(at_a_desk.take_message().text(), text);
}

/// A user agent on a UDP port, and a listener on the TCP port of the same number.
fn udp_and_tcp(server: &Server) -> (Ua, TcpListener) {
    loop {
        let bob = Ua::new("bob", server.udp);
        if let Ok(listener) = TcpListener::bind(bob.addr()) {
            return (bob, listener);
        }
    }
}

fn heard(line: &mut TcpLine) -> Sip {
    match line.receive(Instant::now() + PATIENCE) {
        crate::support::line::Heard::Message(sip) => sip,
        _ => panic!("nothing came over the connection"),
    }
}

/// X13.
#[test]
fn the_whole_story_over_ipv6() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let server = Server::listening("[::1]", &[]);
    let mut alice = Ua::new("alice", server.udp);
    let answer = alice.say("bob", "by six");
    assert_eq!(answer.code(), 202);
    let via = answer.header("Via").unwrap();
    assert!(via.contains("received=::1") || via.contains("received=[::1]"), "{via}");
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.text(), "by six");
    assert!(message.start.contains("@[::1]:"), "{}", message.start);
    let mut carol = TcpUa::new("carol", server.tcp);
    assert_eq!(alice.say("carol", "and by stream").code(), 202);
    carol.register();
    assert_eq!(carol.take_message().text(), "and by stream");
}

/// T8, T9.
#[test]
fn a_sender_who_waits_long_hears_100_and_never_408() {
    let server = Server::with(&["delivery.relay_timeout=4s"]);
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let request = alice.message("bob", "hello?", "");
    let sent = Instant::now();
    alice.send(&request);
    bob.next_message();
    assert_eq!(alice.next().code(), 100);
    assert!(sent.elapsed() >= Duration::from_millis(3_450), "{:?}", sent.elapsed());
    assert_eq!(alice.next().code(), 202);
}

/// X14.
#[test]
fn a_stun_request_is_answered_with_the_address_it_came_from() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend_from_slice(b"transaction!");
    alice.send(&request);
    let answer = alice.line.datagram(Instant::now() + PATIENCE).expect("an answer");
    assert_eq!(answer[..2], [1, 1], "a Binding success");
    assert_eq!(answer[4..20], request[4..20]);
    let port = u16::from_be_bytes([answer[26], answer[27]]) ^ 0x2112;
    assert_eq!(port, alice.addr().port());
}
