//! Goal: what strangers send costs what it is worth, and no more.
//! Method: a node on one thread with held time.

use crate::world::{World, pass, story};
use sipsilo::vocab::Transport;
use std::time::Duration;

#[test]
fn a_response_that_names_a_worker_nobody_knows_is_dropped() {
    story(async {
        let world = World::start().await;
        let mut eve = world.ua("eve", 66);
        eve.send(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKfff.0000000000000abc\
             \r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n",
        );
        // With the time held, a node that passes it on and on to itself never gets here.
        pass(Duration::from_secs(1)).await;
        assert_eq!(eve.says(&world, "bob", "still there?").await, 202);
    });
}

#[test]
fn a_registration_over_a_connection_that_ends_at_once_is_not_believed() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        bob.transport = Transport::Tcp;
        let request = bob.register_request(&world, 3600);
        bob.send(request);
        // Gone before the node has looked at it: the end of the connection is right behind.
        drop(bob);
        pass(Duration::from_secs(1)).await;
        assert_eq!(world.node.observe().await.users, 0);
        assert_eq!(alice.says(&world, "bob", "later then").await, 202);
    });
}
