//! Goal: sipp stores messages and gets them.
//! Method: its own scenarios, run to their end; sipp itself judges.

use crate::peer::{Peer, free_port};
use crate::support::{Server, Ua};

/// Runs `calls` calls of a scenario as `user` from `port`; the rest are options of sipp's.
fn sipp(server: &Server, scenario: &str, user: &str, port: u16, calls: u32, own: &[&str]) -> Peer {
    let asset = format!("{}/tests/peers/assets/{scenario}", env!("CARGO_MANIFEST_DIR"));
    let target = if own.contains(&"t1") { server.tcp } else { server.udp }.to_string();
    let (port, calls) = (port.to_string(), calls.to_string());
    let mut args = vec![target.as_str(), "-sf", &asset, "-s", user];
    args.extend(["-i", "127.0.0.1", "-p", &port, "-m", &calls, "-r", "50", "-l", "20"]);
    args.extend(["-timeout", "15s", "-timeout_error", "-nostdin"]);
    args.extend(own);
    Peer::start("sipp", &args)
}

fn stores(own: &[&str]) {
    let server = Server::start();
    sipp(&server, "store.xml", "bob", free_port(), 25, own).succeeds();
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    for _ in 0..25 {
        assert_eq!(bob.take_message().text(), "stored by sipp");
    }
    bob.hears_nothing();
}

#[test]
fn what_sipp_sends_to_an_offline_user_is_accepted_and_delivered() {
    stores(&[]);
}

#[test]
fn what_sipp_sends_by_tcp_is_accepted_and_delivered() {
    stores(&["-t", "t1"]);
}

#[test]
fn sipp_registers_and_gets_what_was_stored_for_it() {
    // The first try may come before sipp listens.
    let server = Server::with(&["delivery.retry_initial=100ms", "delivery.retry_max=100ms"]);
    let mut alice = Ua::new("alice", server.udp);
    for n in 0..25 {
        assert_eq!(alice.say("carol", &format!("for sipp, number {n}")).code(), 202);
    }
    let port = free_port();
    let receiver = sipp(&server, "receive.xml", "carol", port, 25, &[]);
    let contact = ["-key", "contact_port", &port.to_string()];
    sipp(&server, "register.xml", "carol", free_port(), 1, &contact).succeeds();
    receiver.succeeds();
    // What it took is not kept.
    let mut carol = Ua::new("carol", server.udp);
    carol.registers("Contact: *\r\nExpires: 0\r\n");
    carol.register();
    carol.hears_nothing();
}
