//! Goal: with several worker threads everything is as with one.
//! Method: a real node with four workers. The kernel spreads peers over its sockets, so of many
//! users each comes to another thread than his inbox lives on, and responses to deliveries come to
//! another than they were sent from.

use crate::support::{Server, TcpUa, Ua};
use std::net::SocketAddr;
use std::time::Instant;

const USERS: usize = 24;

fn users(server: &Server) -> Vec<Ua> {
    (0..USERS).map(|n| Ua::new(&format!("user{n}"), server.udp)).collect()
}

/// Stores some messages for each user.
fn fill(server: &Server, users: &[Ua]) {
    let mut senders: Vec<Ua> = (0..8).map(|n| Ua::new(&format!("s{n}"), server.udp)).collect();
    for round in 0..4 {
        for (n, user) in users.iter().enumerate() {
            let sender = &mut senders[(n + round) % 8];
            assert_eq!(sender.say(&user.name, &format!("{round}")).code(), 202);
        }
    }
}

#[test]
fn four_workers_answer_a_register_before_they_deliver_in_order_and_once() {
    let server = Server::with(&["sip.workers=4"]);
    let mut users = users(&server);
    fill(&server, &users);
    for user in &mut users {
        let request = user.register_request(3600);
        user.send(request);
        assert_eq!(user.next().code(), 200, "the first thing that comes is the answer");
        for round in 0..4 {
            assert_eq!(user.take_message().text(), format!("{round}"));
        }
    }
    // Had responses gone astray, the messages would be there still.
    users.iter_mut().for_each(|user| {
        user.register();
    });
    users[0].hears_nothing();
    for user in &mut users {
        let more = user.wait_until(Instant::now(), |sip| sip.is("MESSAGE"));
        assert!(more.is_none(), "{more:?}");
    }
}

#[test]
fn four_workers_deliver_over_connections_that_another_of_them_holds() {
    let server = Server::with(&["sip.workers=4"]);
    let mut alice = Ua::new("alice", server.udp);
    for n in 0..USERS {
        let name = format!("tcp{n}");
        assert_eq!(alice.say(&name, "stored").code(), 202);
        let mut bob = TcpUa::new(&name, server.tcp);
        bob.register();
        assert_eq!(bob.take_message().text(), "stored");
        let live = alice.message(&name, "live", "");
        alice.send(&live);
        assert_eq!(bob.take_message().text(), "live");
        // 202 as long as the one before is not off the books.
        assert!(matches!(alice.answer_to(&live).code(), 200 | 202));
    }
}

#[test]
fn users_of_four_workers_are_still_registered_after_a_planned_restart() {
    let mut server = Server::with(&["sip.workers=4"]);
    let mut users = users(&server);
    users.iter_mut().for_each(|user| {
        user.register();
    });
    assert!(server.terminate().0.success());
    server.restart();
    let mut alice = Ua::new("alice", server.udp);
    for user in &mut users {
        let live = alice.message(&user.name, "live", "");
        alice.send(&live);
        assert_eq!(user.take_message().text(), "live");
        assert_eq!(alice.answer_to(&live).code(), 200);
    }
}

#[test]
fn a_node_that_listens_everywhere_names_an_address_that_can_be_answered() {
    let server = Server::listening("0.0.0.0", &["sip.workers=4"]);
    let here = |at: SocketAddr| SocketAddr::from(([127, 0, 0, 1], at.port()));
    let mut alice = Ua::new("alice", here(server.udp));
    let mut bob = Ua::new("bob", here(server.udp));
    let mut carol = TcpUa::new("carol", here(server.tcp));
    let (udp, tcp) = (here(server.udp).to_string(), here(server.tcp).to_string());
    assert_eq!(alice.say("bob", "by udp").code(), 202);
    assert_eq!(alice.say("carol", "by tcp").code(), 202);
    bob.register();
    let message = bob.take_message();
    assert!(message.header("Via").unwrap().contains(&udp), "{message:?}");
    carol.register();
    let message = carol.take_message();
    assert!(message.header("Via").unwrap().contains(&tcp), "{message:?}");
    bob.hears_nothing();
    carol.hears_nothing();
    // A contact at the node itself would be a loop, whatever the address it listens on.
    let contact = format!("Contact: <sip:bob@{udp}>;expires=3600\r\n");
    let request = bob.register_with(&contact);
    assert_ne!(bob.call(request).code(), 200);
}
