//! Goal: strangers get nothing out of the server that is not theirs.
//! Method: requests as an attacker would send them.

use crate::support::{PATIENCE, SILENCE, Server, TcpLine, TcpUa, Ua};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// P6, S5.
#[test]
fn a_stranger_cannot_send_elsewhere_through_us() {
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    let mut victim = Ua::new("victim", server.udp);
    let elsewhere = format!("sip:victim@{}", victim.addr());
    for method in ["MESSAGE", "INFO", "OPTIONS", "REGISTER", "INVITE"] {
        let request = mallory.request(method, &elsewhere, "");
        assert_eq!(mallory.call(&request).code(), 403, "{method}");
    }
    let route = format!("Route: <sip:{};lr>\r\n", victim.addr());
    let request = mallory.message("bob", "hi", &route);
    assert_eq!(mallory.call(&request).code(), 403);
    let through = format!("Route: <sip:{};lr>, <sip:{};lr>\r\n", server.udp, victim.addr());
    let request = mallory.message("bob", "hi", &through);
    assert_eq!(mallory.call(&request).code(), 403);
    assert!(victim.wait_until(Instant::now() + SILENCE, |_| true).is_none());
}

/// S5, P5.
#[test]
fn a_trusted_peer_may_send_elsewhere_and_hears_the_answer() {
    let server = Server::with(&["sip.trusted=127.0.0.0/8"]);
    let mut peer = Ua::new("peer", server.udp);
    let mut carol = Ua::new("carol", server.udp);
    let uri = format!("sip:carol@{}", carol.addr());
    let request = peer.draft("MESSAGE", &uri, &uri, "Content-Type: text/plain\r\n", "far away");
    peer.send(&request);
    let message = carol.take_message();
    assert_eq!(message.text(), "far away");
    assert_eq!(message.header("Max-Forwards"), Some("69"));
    assert_eq!(peer.answer_to(&request).code(), 200);
    // Our own Route goes, the next hop's stays.
    let route = format!("Route: <sip:{};lr>, <sip:{};lr>\r\n", server.udp, carol.addr());
    let request = peer.draft("MESSAGE", "sip:dave@far.example", "sip:dave@far.example", &route, "");
    peer.send(&request);
    let message = carol.take_message();
    assert_eq!(message.start, "MESSAGE sip:dave@far.example SIP/2.0");
    assert_eq!(message.header("Route"), Some(format!("<sip:{};lr>", carol.addr()).as_str()));
    assert_eq!(peer.answer_to(&request).code(), 200);
    let request = peer.request("MESSAGE", &uri, "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(peer.call(&request).code(), 483);
}

#[test]
fn escaped_line_ends_begin_no_header() {
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    let name = "bob%0D%0AX-Evil:%201%0D%0A";
    let uri = format!("sip:{name}@example.com");
    let lines = "Content-Type: text/plain\r\nSubject: x%0D%0AX-Evil: 1\r\n";
    let request = mallory.draft("MESSAGE", &uri, &uri, lines, "hi");
    assert_eq!(mallory.call(request).code(), 202);
    let mut bob = Ua::new(name, server.udp);
    let contact = bob.contact();
    let answer =
        bob.registers(&format!("Contact: \"%0D%0AX-Evil: 1\" <{contact}>;x=\"%0D%0AX-Evil\"\r\n"));
    assert!(answer.header("X-Evil").is_none(), "{answer:?}");
    let message = bob.take_message();
    assert!(message.header("X-Evil").is_none(), "{message:?}");
    assert_eq!(message.start, format!("MESSAGE {contact} SIP/2.0"));
}

#[test]
fn what_the_sender_says_about_transport_and_way_does_not_steer_the_delivery() {
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    let mut spy = Ua::new("spy", server.udp);
    let lines = format!(
        "Contact: <sip:spy@{0}>\r\nPath: <sip:{0};lr>\r\nRecord-Route: <sip:{0};lr>\r\n\
         Content-Type: text/plain\r\nContent-Length : 2\r\n",
        spy.addr()
    );
    let uri = format!("sip:bob@example.com;maddr=127.0.0.1;transport=udp;x={}", spy.addr());
    let request = mallory.draft("MESSAGE", &uri, "sip:bob@example.com", &lines, "hi");
    assert_eq!(mallory.call(request).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.start, format!("MESSAGE {} SIP/2.0", bob.contact()));
    assert_eq!(message.all("Content-Length").collect::<Vec<_>>(), ["2"]);
    assert!(message.header("Route").is_none() && message.header("Path").is_none());
    assert!(spy.wait_until(Instant::now() + SILENCE, |_| true).is_none());
}

/// Y7, P10.
#[test]
fn responses_and_acks_are_never_answered() {
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    let request = mallory.request("ACK", "sip:bob@example.com", "");
    mallory.send(&request);
    let response = request.replacen("ACK sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK", 1);
    mallory.send(&response);
    mallory.send(response.replace("Call-ID", "X-Call-ID"));
    mallory.send(request.replace("Call-ID", "X-Call-ID"));
    assert!(mallory.line.datagram(Instant::now() + SILENCE).is_none());
}

/// X12, Y7.
#[test]
fn a_via_of_a_crowd_gets_nothing() {
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    for host in ["255.255.255.255", "224.0.0.1", "0.0.0.0"] {
        let request = mallory.message("bob", "hi", "").replace(&mallory.addr().to_string(), host);
        mallory.send(request.replace(";rport", ""));
        mallory.send(&request);
    }
    let heard = mallory.line.datagram(Instant::now() + SILENCE);
    assert!(heard.is_none(), "{:?}", heard.map(|h| String::from_utf8_lossy(&h).into_owned()));
}

/// Y7.
#[test]
fn each_bad_request_gets_one_answer_no_longer_than_itself() {
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    let filler = format!("X-Filler: {}\r\n", "x".repeat(200));
    let bad = mallory.message("bob", "hi", &filler).replace("CSeq: 1", "CSeq: one");
    for _ in 0..5 {
        mallory.send(&bad);
    }
    let mut answers = Vec::new();
    while let Some(answer) = mallory.line.datagram(Instant::now() + SILENCE) {
        answers.push(answer);
    }
    assert_eq!(answers.len(), 5);
    assert!(answers.iter().all(|answer| answer == &answers[0] && answer.len() <= bad.len()));
}

/// R28.
#[test]
fn whoever_gets_the_port_of_a_closed_connection_gets_none_of_its_messages() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let line = TcpLine::accepted(connect(anywhere, server.tcp).unwrap());
    let mut bob = TcpUa::on("bob", line);
    bob.register();
    let port = bob.addr();
    drop(bob);
    let deadline = Instant::now() + PATIENCE;
    let stream = loop {
        match connect(port, server.tcp) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    let mut thief = TcpUa::on("thief", TcpLine::accepted(stream));
    assert_eq!(thief.addr(), port);
    assert_eq!(thief.say("carol", "hello").code(), 202);
    assert_eq!(alice.say("bob", "not for thieves").code(), 202);
    thief.hears_nothing();
}

/// A connection from a local port, which is free again as soon as the connection is closed.
fn connect(from: SocketAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.bind(&from.into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}
