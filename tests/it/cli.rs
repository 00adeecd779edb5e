//! Goal: the commands tell the whole story against a node.
//! Method: `sipsilo send` and `sipsilo receive` as a user types them.

use crate::support::process::{Log, ends_within};
use crate::support::{PATIENCE, Server, Ua};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A command on its way.
struct Run {
    child: Child,
    out: Log,
    err: Log,
}

impl Run {
    fn start(args: &[&str], via: SocketAddr) -> Self {
        let via = via.to_string();
        Self::plain(&[args, &["--via", &via]].concat())
    }

    fn plain(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sipsilo"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) = (Log::default(), Log::default());
        out.follow(child.stdout.take().unwrap());
        err.follow(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Waits for its end: the exit code.
    fn code(self) -> i32 {
        let status = ends_within(self.child, PATIENCE);
        let status = status.unwrap_or_else(|| panic!("it does not end:\n{}", self.err.text()));
        status.code().expect("an exit code")
    }
}

#[test]
fn a_sent_message_is_stored_and_received_later() {
    let server = Server::start();
    let bob = "sip:bob@example.com";
    let args = ["send", bob, "see you", "--from", "sip:alice@example.com", "--subject", "tonight"];
    let send = Run::start(&args, server.udp);
    send.out.wait_for("202 Accepted: stored");
    assert_eq!(send.code(), 0);
    let receive = Run::start(&["receive", bob, "--count", "1"], server.udp);
    receive.out.wait_for("<sip:alice@example.com>");
    receive.out.wait_for("Subject: tonight");
    receive.out.wait_for("see you");
    assert_eq!(receive.code(), 0);
    // It unregistered, and what it took is gone.
    let mut bob = Ua::new("bob", server.udp);
    assert!(bob.registers("").header("Contact").is_none());
    bob.register();
    bob.hears_nothing();
}

#[test]
fn a_message_to_who_is_receiving_arrives_at_once_by_udp_and_by_tcp() {
    let server = Server::start();
    for (transport, via) in [("udp", server.udp), ("tcp", server.tcp)] {
        let name = format!("sip:{transport}@example.com");
        let args = ["receive", &name, "--transport", transport, "--count", "1"];
        let receive = Run::start(&args, via);
        receive.err.wait_for("registered");
        let send = Run::start(&["send", &name, "hello", "--transport", transport], via);
        send.out.wait_for("200 OK: delivered");
        assert_eq!(send.code(), 0);
        receive.out.wait_for("hello");
        assert_eq!(receive.code(), 0);
    }
}

#[test]
fn a_message_that_is_refused_says_why_and_fails() {
    let server = Server::with(&["msilo.max_messages=1"]);
    let bob = "sip:bob@example.com";
    assert_eq!(Run::start(&["send", bob, "one"], server.udp).code(), 0);
    let full = Run::start(&["send", bob, "two"], server.udp);
    full.out.wait_for("480 Temporarily Unavailable");
    full.out.wait_for("mailbox full");
    assert_eq!(full.code(), 1);
    let foreign = Run::start(&["send", "sip:bob@elsewhere.example", "hi"], server.udp);
    foreign.out.wait_for("403 Forbidden");
    assert_eq!(foreign.code(), 1);
}

#[test]
fn nobody_at_home_is_an_error_that_says_so() {
    let mut server = Server::start();
    server.terminate();
    for (transport, via) in [("udp", server.udp), ("tcp", server.tcp)] {
        let args = ["send", "sip:bob@example.com", "hi", "--transport", transport];
        let send = Run::start(&args, via);
        send.err.wait_for("cannot reach");
        assert_eq!(send.code(), 1);
    }
}

#[test]
fn dead_letters_are_counted_when_the_node_is_down_and_gone_when_purged() {
    let mut server = Server::with(&["delivery.attempts_max=1", "delivery.retry_initial=10m"]);
    let mut alice = Ua::new("alice", server.udp);
    assert_eq!(alice.say("bob", "poison").code(), 202);
    assert_eq!(alice.say("bob", "later").code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.turn_down(415).text(), "poison");
    // The second is sent once the first is out of the way; it stays.
    bob.turn_down(480);
    let data = server.data().display().to_string();
    let busy = Run::plain(&["inbox", "list", "--data", &data]);
    assert_ne!(busy.code(), 0, "a running node has the store for itself");
    server.terminate();
    let list = Run::plain(&["inbox", "list", "--data", &data]);
    list.out.wait_for("1  bob@example.com");
    list.out.wait_for("1 message in 1 inbox and 1 dead letter");
    assert_eq!(list.code(), 0);
    let show = Run::plain(&["inbox", "show", "bob@example.com", "--data", &data]);
    show.out.wait_for("later");
    assert_eq!(show.code(), 0);
    assert_eq!(Run::plain(&["inbox", "purge", "bob@example.com", "--data", &data]).code(), 0);
    server.restart();
    bob.register();
    bob.hears_nothing();
}
