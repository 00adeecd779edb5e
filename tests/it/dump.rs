//! Goal: stored messages reach their user in order, one at a time, whatever his phones answer.
//! Method: a node that retries quickly, and phones that do not behave.

use crate::support::{Server, Ua};
use std::time::{Duration, Instant};

/// A node that comes back soon to a phone that could not be had.
fn eager(options: &[&str]) -> Server {
    let mut all = vec!["delivery.retry_initial=100ms", "delivery.retry_jitter=0"];
    all.extend(options);
    Server::with(&all)
}

/// Alice, and a Bob for whom these texts are stored.
fn stored(server: &Server, texts: &[&str]) -> (Ua, Ua) {
    let mut alice = Ua::new("alice", server.udp);
    for text in texts {
        assert_eq!(alice.say("bob", text).code(), 202);
    }
    (alice, Ua::new("bob", server.udp))
}

#[test]
fn the_register_is_answered_before_the_first_message_leaves() {
    let server = Server::start();
    let (_, mut bob) = stored(&server, &["hello"]);
    let register = bob.register_request(3600);
    bob.send(register);
    assert_eq!(bob.next().code(), 200);
    assert!(bob.next().is("MESSAGE"));
}

#[test]
fn a_delivery_is_a_new_request_from_the_sender_to_the_contact() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let request = alice
        .message("bob", "hello", "Contact: <sip:alice@127.0.0.1:9>\r\n")
        .replace("To: <sip:bob@example.com>", "To: \"Bob\" <sip:bob@example.com>;x=1");
    assert_eq!(alice.call(&request).code(), 202);
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.start, format!("MESSAGE {} SIP/2.0", bob.contact()));
    assert_eq!(message.header("To"), Some("\"Bob\" <sip:bob@example.com>;x=1"));
    let from = message.header("From").unwrap();
    let tag = from.strip_prefix("<sip:alice@example.com>;tag=").expect("from Alice with a tag");
    assert!(!request.contains(tag), "the tag is the node's own");
    assert!(!request.contains(message.header("Call-ID").unwrap()));
    assert_eq!(message.header("CSeq"), Some("1 MESSAGE"));
    assert_eq!(message.header("Max-Forwards"), Some("70"));
    assert_eq!(message.all("Via").count(), 1);
    assert!(message.header("Contact").is_none() && message.header("Record-Route").is_none());
}

#[test]
fn a_phone_that_cannot_take_a_message_now_gets_it_again_after_a_while() {
    let server = eager(&[]);
    let mut alice = Ua::new("alice", server.udp);
    for code in [404, 408, 410, 430, 480, 484, 486, 500, 503, 504] {
        let name = format!("bob{code}");
        assert_eq!(alice.say(&name, "please").code(), 202);
        let mut bob = Ua::new(&name, server.udp);
        bob.register();
        let first = bob.turn_down(code);
        let second = bob.take_message();
        assert_eq!(second.text(), "please");
        assert_ne!(first.header("Via"), second.header("Via"), "a try is a new transaction");
        assert_eq!(first.header("Call-ID"), second.header("Call-ID"));
    }
}

#[test]
fn a_phone_that_says_when_to_come_back_is_left_alone_until_then() {
    let server = eager(&[]);
    let (_, mut bob) = stored(&server, &["please"]);
    bob.register();
    let first = bob.next_message();
    let refused = Instant::now();
    bob.answer(&first, 503, "Retry-After: 1\r\n");
    assert_eq!(bob.take_message().text(), "please");
    assert!(refused.elapsed() >= Duration::from_millis(990), "{:?}", refused.elapsed());
}

#[test]
fn a_register_ends_the_wait_for_the_next_try() {
    let server = Server::with(&["delivery.retry_initial=10m"]);
    let (_, mut bob) = stored(&server, &["please"]);
    bob.register();
    bob.turn_down(480);
    bob.hears_nothing();
    bob.register();
    assert_eq!(bob.take_message().text(), "please");
}

#[test]
fn a_phone_that_does_not_answer_gets_the_message_again() {
    let server = eager(&["delivery.timeout=500ms"]);
    let (_, mut bob) = stored(&server, &["are you there"]);
    bob.register();
    let first = bob.next_message();
    let second = bob.take_message();
    assert_eq!(second.text(), "are you there");
    assert_ne!(first.header("Via"), second.header("Via"));
    bob.hears_nothing();
}

#[test]
fn what_the_user_refuses_for_good_is_not_offered_again() {
    let server = eager(&[]);
    let (_, mut bob) = stored(&server, &["unwanted", "wanted"]);
    bob.register();
    assert_eq!(bob.turn_down(603).text(), "unwanted");
    assert_eq!(bob.take_message().text(), "wanted");
    bob.register();
    bob.hears_nothing();
}

#[test]
fn any_2xx_ends_a_message() {
    let server = eager(&[]);
    let (_, mut bob) = stored(&server, &["one", "two"]);
    bob.register();
    assert_eq!(bob.turn_down(202).text(), "one");
    assert_eq!(bob.turn_down(299).text(), "two");
    bob.register();
    bob.hears_nothing();
}

#[test]
fn a_poison_message_does_not_hold_up_those_behind_it() {
    let server = eager(&["delivery.retry_initial=500ms"]);
    let (_, mut bob) = stored(&server, &["poison", "second", "third"]);
    bob.register();
    assert_eq!(bob.turn_down(415).text(), "poison");
    assert_eq!(bob.take_message().text(), "second");
    assert_eq!(bob.take_message().text(), "third");
    assert_eq!(bob.take_message().text(), "poison");
    bob.hears_nothing();
}

#[test]
fn a_message_that_was_rejected_often_enough_is_set_aside() {
    let server = eager(&["delivery.attempts_max=3"]);
    let (mut alice, mut bob) = stored(&server, &["poison"]);
    bob.register();
    for code in [415, 400, 403] {
        assert_eq!(bob.turn_down(code).text(), "poison");
    }
    bob.register();
    bob.hears_nothing();
    // It is in nobody's way.
    let request = alice.message("bob", "fresh", "");
    alice.send(&request);
    assert_eq!(bob.take_message().text(), "fresh");
    assert_eq!(alice.answer_to(&request).code(), 200);
}

#[test]
fn a_phone_that_is_unfit_for_a_message_leaves_it_to_the_next() {
    let server = eager(&[]);
    let mut alice = Ua::new("alice", server.udp);
    for code in [405, 413, 415, 488, 493, 501, 513] {
        let name = format!("bob{code}");
        assert_eq!(alice.say(&name, "for whoever can").code(), 202);
        let (mut first, mut second) = (Ua::new(&name, server.udp), Ua::new(&name, server.udp));
        let both = format!("Contact: <{}>;q=1, <{}>;q=0.5\r\n", first.contact(), second.contact());
        first.registers(&both);
        first.turn_down(code);
        assert_eq!(second.take_message().text(), "for whoever can");
    }
}

#[test]
fn of_two_phones_the_preferred_one_gets_the_message_and_the_other_no_copy() {
    let server = eager(&[]);
    let (_, mut desk) = stored(&server, &["one", "two"]);
    let mut mobile = Ua::new("bob", server.udp);
    let both = format!("Contact: <{}>;q=0.2, <{}>;q=0.9\r\n", desk.contact(), mobile.contact());
    desk.registers(&both);
    assert_eq!(mobile.take_message().text(), "one");
    assert_eq!(mobile.take_message().text(), "two");
    desk.hears_nothing();
}

#[test]
fn a_device_with_two_flows_gets_one_copy() {
    let server = eager(&[]);
    let (_, mut first) = stored(&server, &["once"]);
    let mut second = Ua::new("bob", server.udp);
    let device = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"";
    let both = format!(
        "Contact: <{}>;q=1;reg-id=1;{device}\r\nContact: <{}>;q=0.5;reg-id=2;{device}\r\n",
        first.contact(),
        second.contact()
    );
    first.registers(&both);
    // The device was there and would not have it: its other flow leads to the same device.
    first.turn_down(480);
    second.hears_nothing();
}

#[test]
fn a_flow_that_failed_leaves_the_message_to_the_next_flow_of_the_device() {
    let server = Server::start();
    let (_, mut first) = stored(&server, &["once"]);
    let mut second = Ua::new("bob", server.udp);
    let device = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"";
    let both = format!(
        "Contact: <{}>;q=1;reg-id=1;{device}\r\nContact: <{}>;q=0.5;reg-id=2;{device}\r\n",
        first.contact(),
        second.contact()
    );
    first.registers(&both);
    first.turn_down(430);
    assert_eq!(second.take_message().text(), "once");
}

#[test]
fn a_phone_that_knows_no_messages_gets_none() {
    let server = eager(&[]);
    let (_, mut bob) = stored(&server, &["hello"]);
    let contact = bob.contact();
    bob.registers(&format!("Contact: <{contact}>;methods=\"INVITE,BYE\"\r\n"));
    bob.hears_nothing();
    bob.registers(&format!("Contact: <{contact}>;methods=\"INVITE,MESSAGE\"\r\n"));
    assert_eq!(bob.take_message().text(), "hello");
}

#[test]
fn a_refresh_in_the_middle_of_a_dump_starts_no_second_one() {
    let server = Server::start();
    let (_, mut bob) = stored(&server, &["one", "two", "three"]);
    bob.register();
    let first = bob.next_message();
    bob.register();
    bob.hears_nothing();
    bob.answer(&first, 200, "");
    assert_eq!(bob.take_message().text(), "two");
    assert_eq!(bob.take_message().text(), "three");
    bob.hears_nothing();
}

#[test]
fn who_unregisters_in_the_middle_of_a_dump_keeps_the_rest_for_later() {
    let server = Server::start();
    let (_, mut bob) = stored(&server, &["one", "two"]);
    bob.register();
    let first = bob.next_message();
    bob.unregister();
    bob.answer(&first, 200, "");
    bob.hears_nothing();
    bob.register();
    assert_eq!(bob.take_message().text(), "two");
    bob.hears_nothing();
}

#[test]
fn asking_for_bindings_and_removing_them_start_no_dump() {
    let server = Server::start();
    let (mut alice, mut bob) = stored(&server, &[]);
    let contact = bob.contact();
    bob.registers(&format!("Contact: <{contact}>;methods=\"INVITE\"\r\n"));
    assert_eq!(alice.say("bob", "hello").code(), 202);
    bob.registers("");
    bob.registers("Contact: *\r\nExpires: 0\r\n");
    let too_brief = bob.register_request(1);
    assert_eq!(bob.call(too_brief).code(), 423);
    bob.hears_nothing();
}

#[test]
fn one_user_s_silent_phone_keeps_nobody_else_waiting() {
    let server = Server::start();
    let (mut alice, mut bob) = stored(&server, &["to bob"]);
    assert_eq!(alice.say("carol", "to carol").code(), 202);
    let mut carol = Ua::new("carol", server.udp);
    bob.register();
    bob.next_message();
    carol.register();
    assert_eq!(carol.take_message().text(), "to carol");
}

#[test]
fn what_comes_in_during_a_dump_waits_behind_it() {
    let server = Server::start();
    let (mut alice, mut bob) = stored(&server, &["one", "two"]);
    bob.register();
    let first = bob.next_message();
    assert_eq!(alice.say("bob", "three").code(), 202);
    bob.answer(&first, 200, "");
    assert_eq!(bob.take_message().text(), "two");
    assert_eq!(bob.take_message().text(), "three");
    bob.hears_nothing();
}

#[test]
fn a_long_inbox_comes_whole_and_in_order() {
    // More than a page of the store.
    let server = Server::start();
    let texts: Vec<String> = (0..150).map(|n| format!("number {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (_, mut bob) = stored(&server, &texts);
    bob.register();
    for text in texts {
        assert_eq!(bob.take_message().text(), text);
    }
    bob.hears_nothing();
}
