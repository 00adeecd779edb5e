//! Goal: who is online gets a message at once; the sender hears what became of it.
//! Method: Bob's phones answer in every way; Alice's answer and the phones' copies are compared.

use crate::support::{Server, Sip, Ua};

/// A node with Alice and one phone of Bob's.
fn online(options: &[&str]) -> (Server, Ua, Ua) {
    let server = Server::with(options);
    let alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    (server, alice, bob)
}

/// A node with Alice and two phones of Bob's with these values of `q`.
fn two_phones(q: [&str; 2], options: &[&str]) -> (Server, Ua, Ua, Ua) {
    let server = Server::with(options);
    let alice = Ua::new("alice", server.udp);
    let mut first = Ua::new("bob", server.udp);
    let second = Ua::new("bob", server.udp);
    let (a, b) = (first.contact(), second.contact());
    first.registers(&format!("Contact: <{a}>;q={}, <{b}>;q={}\r\n", q[0], q[1]));
    (server, alice, first, second)
}

#[test]
fn the_answer_of_the_phone_goes_back_to_the_sender() {
    let (_server, mut alice, mut bob) = online(&[]);
    let request = alice.message("bob", "hi", "");
    alice.send(&request);
    let message = bob.next_message();
    bob.answer(&message, 200, "X-From-Bob: yes\r\n");
    let answer = alice.answer_to(&request);
    assert_eq!(answer.code(), 200);
    assert_eq!(answer.header("X-From-Bob"), Some("yes"));
    assert_eq!(answer.header("To"), Some("<sip:bob@example.com>;tag=ua"));
    assert_eq!(answer.all("Via").count(), 1);
    // It was delivered: nothing is kept.
    bob.register();
    bob.hears_nothing();
}

#[test]
fn a_request_that_is_passed_on_changes_only_where_a_proxy_must_change_it() {
    let (server, mut alice, mut bob) = online(&[]);
    let request = alice.message("bob", "hi\0there", "Subject: x\r\nX-Odd:  two   spaces\r\n");
    alice.send(&request);
    let message = bob.take_message();
    assert_eq!(message.start, format!("MESSAGE {} SIP/2.0", bob.contact()));
    let sent = Sip::read(request.as_bytes());
    for name in ["From", "To", "Call-ID", "CSeq", "Content-Type", "Subject", "X-Odd"] {
        assert_eq!(message.header(name), sent.header(name), "{name}");
    }
    assert_eq!(message.body, b"hi\0there");
    assert_eq!(message.header("Max-Forwards"), Some("69"));
    let vias: Vec<&str> = message.all("Via").collect();
    assert_eq!(vias.len(), 2);
    assert!(vias[0].contains(&server.udp.to_string()), "{vias:?}");
    assert!(vias[0].contains("branch=z9hG4bK"), "{vias:?}");
    assert!(message.header("Record-Route").is_none());
}

#[test]
fn phones_of_equal_preference_ring_together_and_one_answer_goes_back() {
    let (_server, mut alice, mut first, mut second) = two_phones(["0.5", "0.5"], &[]);
    let request = alice.message("bob", "hi", "");
    alice.send(&request);
    let (one, two) = (first.next_message(), second.next_message());
    assert_ne!(one.header("Via"), two.header("Via"), "each copy is a transaction of its own");
    first.answer(&one, 404, "");
    second.answer(&two, 200, "");
    assert_eq!(alice.answer_to(&request).code(), 200);
    alice.is_not_answered(&request);
}

#[test]
fn a_less_preferred_phone_is_tried_when_the_better_one_does_not_take_it() {
    let (_server, mut alice, mut desk, mut mobile) = two_phones(["0.9", "0.1"], &[]);
    let request = alice.message("bob", "hi", "");
    alice.send(&request);
    let message = desk.next_message();
    mobile.hears_nothing();
    desk.answer(&message, 486, "");
    assert_eq!(mobile.take_message().text(), "hi");
    assert_eq!(alice.answer_to(&request).code(), 200);
}

#[test]
fn a_message_that_no_phone_takes_is_kept_and_the_sender_hears_202() {
    let (_server, mut alice, mut bob) = online(&["delivery.retry_initial=10m"]);
    for code in [404, 408, 415, 480, 486, 500, 503] {
        let text = format!("after {code}");
        let request = alice.message("bob", &text, "");
        alice.send(&request);
        bob.turn_down(code);
        assert_eq!(alice.answer_to(&request).code(), 202, "{code}");
        bob.register();
        assert_eq!(bob.take_message().text(), text);
    }
    bob.hears_nothing();
}

#[test]
fn a_message_that_no_phone_answers_in_time_is_kept_and_the_sender_hears_202() {
    let (_server, mut alice, mut bob) = online(&["delivery.relay_timeout=500ms"]);
    let request = alice.message("bob", "hello?", "");
    alice.send(&request);
    let live = bob.next_message();
    assert_eq!(alice.answer_to(&request).code(), 202);
    bob.register();
    let stored = bob.take_message();
    assert_eq!(stored.text(), "hello?");
    assert_ne!(live.header("Call-ID"), stored.header("Call-ID"));
    bob.hears_nothing();
}

#[test]
fn a_user_s_refusal_for_good_goes_back_and_nothing_is_kept() {
    let (_server, mut alice, mut bob) = online(&[]);
    for code in [600, 603, 604, 606] {
        let request = alice.message("bob", "hi", "");
        alice.send(&request);
        bob.turn_down(code);
        assert_eq!(alice.answer_to(&request).code(), code);
    }
    bob.register();
    bob.hears_nothing();
}

#[test]
fn a_typing_notice_is_for_who_is_online_and_never_kept() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let uri = "sip:bob@example.com";
    let kind = "Content-Type: application/im-iscomposing+xml;charset=utf-8\r\n";
    let notice = alice.draft("MESSAGE", uri, uri, kind, "<isComposing/>");
    assert_eq!(alice.call(&notice).code(), 202);
    bob.register();
    bob.hears_nothing();
    let notice = alice.draft("MESSAGE", uri, uri, kind, "<isComposing/>");
    alice.send(&notice);
    assert_eq!(bob.take_message().text(), "<isComposing/>");
    assert_eq!(alice.answer_to(&notice).code(), 200);
}

#[test]
fn other_requests_reach_who_is_online_and_nobody_else() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let request = alice.request("INFO", "sip:bob@example.com", "");
    assert_eq!(alice.call(&request).code(), 404);
    bob.register();
    for method in ["INFO", "OPTIONS", "SUBSCRIBE", "UNHEARDOF"] {
        let request = alice.request(method, "sip:bob@example.com", "");
        alice.send(&request);
        let passed = bob.next_request(method);
        bob.answer(&passed, 488, "");
        assert_eq!(alice.answer_to(&request).code(), 488, "{method}");
    }
    bob.hears_nothing();
}

/// U13.
#[test]
fn a_message_in_a_dialog_of_others_reaches_who_is_online() {
    let (server, mut alice, mut bob) = online(&[]);
    let request = alice
        .message("bob", "as I said", &format!("Route: <sip:{};lr>\r\n", server.udp))
        .replace("To: <sip:bob@example.com>", "To: <sip:bob@example.com>;tag=dialog");
    alice.send(&request);
    let message = bob.take_message();
    assert_eq!(message.header("To"), Some("<sip:bob@example.com>;tag=dialog"));
    assert!(message.header("Route").is_none());
    assert_eq!(alice.answer_to(&request).code(), 200);
    // What he does not take is not kept.
    let again =
        request.replace("Call-ID: ", "Call-ID: again").replace("branch=", "branch=z9hG4bKx");
    alice.send(&again);
    bob.turn_down(480);
    assert_eq!(alice.answer_to(&again).code(), 480);
    bob.register();
    bob.hears_nothing();
}

#[test]
fn by_option_other_requests_for_an_offline_user_get_480() {
    let server = Server::with(&["sip.offline_other=480", "sip.invite=480"]);
    let mut alice = Ua::new("alice", server.udp);
    for method in ["INFO", "INVITE"] {
        let request = alice.request(method, "sip:bob@example.com", "");
        assert_eq!(alice.call(&request).code(), 480, "{method}");
    }
}

#[test]
fn who_unregistered_is_offline_again() {
    let (_server, mut alice, mut bob) = online(&[]);
    bob.unregister();
    assert_eq!(alice.say("bob", "later").code(), 202);
    bob.hears_nothing();
    bob.register();
    assert_eq!(bob.take_message().text(), "later");
}

#[test]
fn a_phone_that_knows_no_messages_does_not_make_its_user_reachable() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let contact = bob.contact();
    bob.registers(&format!("Contact: <{contact}>\r\nAllow: INVITE, BYE\r\n"));
    assert_eq!(alice.say("bob", "kept").code(), 202);
    bob.hears_nothing();
}

#[test]
fn a_copy_that_comes_while_the_phone_rings_rings_no_second_time() {
    let (_server, mut alice, mut bob) = online(&[]);
    let request = alice.message("bob", "hi", "");
    alice.send(&request);
    let message = bob.next_message();
    alice.send(&request);
    alice.send(&request);
    bob.hears_nothing();
    bob.answer(&message, 200, "");
    let answer = alice.answer_to(&request);
    assert_eq!(alice.call(&request), answer, "copies get the same bytes");
    bob.hears_nothing();
}
