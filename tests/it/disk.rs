//! Goal: a disk that is full costs new messages and nothing else.
//! Method: a node that may not write long files.

use crate::support::{Server, Ua};

/// Y5.
#[test]
fn without_room_on_the_disk_a_message_is_503_and_users_still_register() {
    let mut server = Server::with_little_room();
    let mut alice = Ua::new("alice", server.udp);
    let answer = alice.say("bob", "no room");
    assert_eq!(answer.code(), 503);
    assert!(answer.header("Retry-After").is_some(), "{answer:?}");
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let request = alice.message("bob", "live", "");
    alice.send(&request);
    assert_eq!(bob.take_message().text(), "live");
    assert_eq!(alice.answer_to(&request).code(), 200);
    bob.hears_nothing();
    let (_, log) = server.terminate();
    assert!(log.contains("cannot be written") || log.contains("no spare log file"), "{log}");
}
