//! Goal: behind Kamailio the node keeps what Kamailio could not deliver.
//! Method: a real Kamailio that is the users' proxy. It forwards REGISTERs with a Path, relays
//! MESSAGEs to whoever it knows to be there, and hands the rest to the node.

use crate::peer::{Peer, free_port};
use crate::support::{PATIENCE, Server, Ua};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

struct Kamailio {
    addr: SocketAddr,
    _folder: tempfile::TempDir,
    _peer: Peer,
}

impl Kamailio {
    fn in_front_of(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let template = include_str!("assets/front_proxy.cfg");
        let config = folder.path().join("kamailio.cfg");
        let text = template
            .replace("PROXY_ADDR", &addr.to_string())
            .replace("SILO_ADDR", &server.udp.to_string())
            .replace("SILO_PORT", &server.udp.port().to_string());
        std::fs::write(&config, text).unwrap();
        let (config, run) = (config.display().to_string(), folder.path().display().to_string());
        let args = ["-f", &config, "-DD", "-E", "-m", "64", "-M", "8", "-Y", &run, "-w", &run];
        let peer = Peer::start("kamailio", &args);
        let proxy = Self { addr, _folder: folder, _peer: peer };
        proxy.wait_until_it_answers();
        proxy
    }

    fn wait_until_it_answers(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let probe = format!(
            "OPTIONS sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {1};rport;branch=z9hG4bKprobe\r\n\
             Max-Forwards: 70\r\nFrom: <sip:probe@example.com>;tag=1\r\nTo: <sip:{0}>\r\n\
             Call-ID: probe\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
            self.addr,
            socket.local_addr().unwrap()
        );
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 2_048];
        loop {
            let _ = socket.send_to(probe.as_bytes(), self.addr);
            if socket.recv(&mut buffer).is_ok() {
                return;
            }
            assert!(Instant::now() < deadline, "Kamailio does not come up");
        }
    }
}

#[test]
fn a_message_that_kamailio_cannot_deliver_is_kept_and_delivered_through_kamailio() {
    let server = Server::start();
    let proxy = Kamailio::in_front_of(&server);
    let mut alice = Ua::new("alice", proxy.addr);
    let mut bob = Ua::new("bob", proxy.addr);
    assert_eq!(alice.say("bob", "through the proxy").code(), 202);
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.text(), "through the proxy");
    let via = message.all("Via").count();
    assert_eq!(via, 2, "it came by way of the proxy:\n{message:?}");
    bob.hears_nothing();
}

#[test]
fn a_message_whose_recipient_does_not_take_it_now_is_kept_by_the_failure_route() {
    let server = Server::with(&["delivery.retry_initial=10m"]);
    let proxy = Kamailio::in_front_of(&server);
    let mut alice = Ua::new("alice", proxy.addr);
    let mut bob = Ua::new("bob", proxy.addr);
    bob.register();
    let request = alice.message("bob", "not just now", "");
    alice.send(&request);
    // Once when Kamailio asks, and once more when the node, to whom he is online, too, asks him.
    bob.turn_down(480);
    bob.turn_down(480);
    assert_eq!(alice.answer_to(&request).code(), 202);
    bob.register();
    assert_eq!(bob.take_message().text(), "not just now");
    bob.hears_nothing();
}

#[test]
fn kamailio_relays_to_an_online_user_without_the_node() {
    let server = Server::start();
    let proxy = Kamailio::in_front_of(&server);
    let mut alice = Ua::new("alice", proxy.addr);
    let mut bob = Ua::new("bob", proxy.addr);
    bob.register();
    let request = alice.message("bob", "live", "");
    alice.send(&request);
    assert_eq!(bob.take_message().text(), "live");
    assert_eq!(alice.answer_to(&request).code(), 200);
    bob.hears_nothing();
}
