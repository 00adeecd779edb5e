//! Goal: a message lives as long as its sender and the operator let it, and not a second longer.
//! Method: short lives, and a phone that turns messages down until they are over.

use crate::support::{SILENCE, Server, Ua};
use std::time::{Duration, Instant};

/// Far more than the retries of [`impatient`] leave between two tries.
const PAUSE: Duration = Duration::from_millis(700);

/// A node that keeps offering what is turned down.
fn impatient(options: &[&str]) -> Server {
    let mut all =
        vec!["delivery.retry_initial=100ms", "delivery.retry_max=100ms", "delivery.retry_jitter=0"];
    all.extend(options);
    Server::with(&all)
}

/// Turns down whatever comes until nothing comes any more, and gives the time this took.
fn refuse_until_quiet(bob: &mut Ua) -> Duration {
    let begun = Instant::now();
    let mut last = begun;
    while let Some(message) = bob.wait_until(Instant::now() + PAUSE, |sip| sip.is("MESSAGE")) {
        bob.answer(&message, 480, "");
        last = Instant::now();
        assert!(begun.elapsed() < Duration::from_secs(20), "the message never ends");
    }
    last - begun
}

fn lives_about_two_seconds(server: &Server, expires: &str) {
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let request = alice.message("bob", "short-lived", expires);
    assert_eq!(alice.call(&request).code(), 202);
    bob.register();
    let life = refuse_until_quiet(&mut bob);
    assert!((500..4_000).contains(&life.as_millis()), "it lived for {life:?}");
    bob.register();
    bob.hears_nothing();
    bob.unregister();
}

#[test]
fn a_message_ends_when_its_sender_said() {
    lives_about_two_seconds(&impatient(&[]), "Expires: 2\r\n");
}

#[test]
fn no_message_lives_longer_than_the_operator_allows() {
    let server = impatient(&["msilo.expire_time=2"]);
    lives_about_two_seconds(&server, "");
    lives_about_two_seconds(&server, "Expires: 3600\r\n");
    lives_about_two_seconds(&server, "Expires: 99999999999999999999\r\n");
}

#[test]
fn expires_0_means_now_or_never() {
    let server = Server::with(&["delivery.relay_timeout=500ms"]);
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    // He is not here.
    let request = alice.message("bob", "now?", "Expires: 0\r\n");
    assert_eq!(alice.call(&request).code(), 480);
    bob.register();
    bob.hears_nothing();
    // He is here.
    let request = alice.message("bob", "now!", "Expires: 0\r\n");
    alice.send(&request);
    assert_eq!(bob.take_message().text(), "now!");
    assert_eq!(alice.answer_to(&request).code(), 200);
    // He is here and does not take it.
    let request = alice.message("bob", "and now?", "Expires: 0\r\n");
    alice.send(&request);
    bob.turn_down(486);
    assert_eq!(alice.answer_to(&request).code(), 480);
    bob.register();
    bob.hears_nothing();
}

#[test]
fn the_life_of_a_message_is_counted_from_its_date() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let an_hour_ago = chrono::Utc::now() - chrono::Duration::hours(1);
    let date = an_hour_ago.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let over = alice.message("bob", "late", &format!("Date: {date}\r\nExpires: 1800\r\n"));
    let answer = alice.call(&over);
    assert_eq!(answer.code(), 480);
    assert!(answer.header("Warning").unwrap().contains("expired"), "{answer:?}");
    let alive = alice.message("bob", "in time", &format!("Date: {date}\r\nExpires: 7200\r\n"));
    assert_eq!(alice.call(&alive).code(), 202);
    bob.register();
    let message = bob.take_message();
    assert_eq!(message.text(), "in time");
    assert_eq!(message.header("Date"), Some(date.as_str()));
    assert_eq!(message.header("Expires"), Some("7200"));
    bob.hears_nothing();
}

#[test]
fn an_expires_that_is_no_number_is_as_if_absent() {
    let server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let request = alice.message("bob", "whenever", "Expires: soon\r\n");
    assert_eq!(alice.call(&request).code(), 202);
    bob.register();
    assert_eq!(bob.take_message().text(), "whenever");
}

#[test]
fn a_message_that_ended_makes_room_in_a_full_mailbox() {
    let server =
        Server::with(&["msilo.max_messages=1", "msilo.check_time=1", "msilo.clean_period=1"]);
    let mut alice = Ua::new("alice", server.udp);
    let request = alice.message("bob", "short-lived", "Expires: 1\r\n");
    assert_eq!(alice.call(&request).code(), 202);
    assert_eq!(alice.say("bob", "too many").code(), 480);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut idle = Ua::new("idle", server.udp);
    while alice.say("bob", "at last").code() != 202 {
        assert!(Instant::now() < deadline, "the mailbox stays full");
        // Listening to nobody is a wait that no node can shorten.
        assert!(idle.wait_until(Instant::now() + SILENCE, |_| true).is_none());
    }
}
