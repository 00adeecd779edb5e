//! Goal: a MESSAGE for a user who is offline is kept and delivered when he registers.
//! Method: a real node, Alice and Bob on UDP sockets.

use crate::support::{Server, Ua};

#[test]
fn a_message_for_an_offline_user_is_answered_202_and_delivered_when_he_registers() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let answer = alice.say("bob", "hello bob");
    assert_eq!(answer.start, "SIP/2.0 202 Accepted");
    assert!(answer.body.is_empty() && answer.header("Contact").is_none());
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.text(), "hello bob");
    assert!(message.header("From").unwrap().starts_with("<sip:alice@example.com>"));
    bob.hears_nothing();
}

#[test]
fn messages_are_delivered_in_the_order_of_acceptance_one_at_a_time() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    for n in 0..20 {
        assert_eq!(alice.say("bob", &format!("number {n}")).code(), 202);
    }
    bob.register();
    for n in 0..20 {
        let message = bob.next_message();
        assert_eq!(message.text(), format!("number {n}"));
        if n == 3 {
            bob.hears_nothing();
        }
        bob.answer(&message, 200, "");
    }
    bob.hears_nothing();
}

#[test]
fn what_was_accepted_survives_a_crash_of_the_node() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    assert_eq!(alice.say("bob", "before the crash").code(), 202);
    server.crash_and_restart();
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.take_message().text(), "before the crash");
    bob.hears_nothing();
}

#[test]
fn a_delivered_message_does_not_come_again_after_a_crash_and_a_refresh() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    assert_eq!(alice.say("bob", "once").code(), 202);
    bob.register();
    assert_eq!(bob.take_message().text(), "once");
    bob.hears_nothing();
    server.crash_and_restart();
    bob.register();
    bob.hears_nothing();
}

#[test]
fn a_retry_of_the_application_with_the_same_ids_is_the_same_message() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let request = alice.message("bob", "only once", "");
    assert_eq!(alice.call(&request).code(), 202);
    let again = request.replacen("branch=z9hG4bK", "branch=z9hG4bKagain", 1);
    assert_eq!(alice.call(&again).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.take_message().text(), "only once");
    bob.hears_nothing();
}

#[test]
fn a_retransmission_gets_the_same_bytes_again_and_is_stored_once() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let request = alice.message("bob", "only once", "");
    let first = alice.call(&request);
    assert_eq!(alice.call(&request), first);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.take_message().text(), "only once");
    bob.hears_nothing();
}

/// U16.
#[test]
fn call_ids_in_other_letters_are_other_calls() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let request = alice.message("bob", "small letters", "");
    let shouted = request
        .replace("Call-ID: c", "Call-ID: C")
        .replace("small letters", "large letters")
        .replacen("branch=z9hG4bK", "branch=z9hG4bKother", 1);
    assert_eq!(alice.call(&request).code(), 202);
    assert_eq!(alice.call(&shouted).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.take_message().text(), "small letters");
    assert_eq!(bob.take_message().text(), "large letters");
    bob.hears_nothing();
}
