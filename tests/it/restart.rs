//! Goal: a node that ends, or dies, loses nothing it has taken responsibility for.
//! Method: signals to a real process, and a second process on the same folder and ports.

use crate::support::process::{Log, ends_within};
use crate::support::{PATIENCE, SILENCE, Server, TcpUa, Ua};
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn a_planned_restart_keeps_messages_and_bindings() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    assert_eq!(alice.say("carol", "for later").code(), 202);
    bob.register();
    let (status, log) = server.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    server.restart();
    let request = alice.message("bob", "still there?", "");
    alice.send(&request);
    assert_eq!(bob.take_message().text(), "still there?");
    assert_eq!(alice.answer_to(&request).code(), 200);
    let mut carol = Ua::new("carol", server.udp);
    carol.register();
    assert_eq!(carol.take_message().text(), "for later");
    carol.hears_nothing();
}

#[test]
fn by_option_and_after_a_crash_users_are_offline_until_they_register() {
    let mut server = Server::with(&["registrar.keep_bindings=false"]);
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    server.terminate();
    server.restart();
    assert_eq!(alice.say("bob", "one").code(), 202);
    bob.hears_nothing();
    bob.register();
    assert_eq!(bob.take_message().text(), "one");
    server.crash_and_restart();
    assert_eq!(alice.say("bob", "two").code(), 202);
    bob.hears_nothing();
}

#[test]
fn bindings_of_connections_end_with_the_process() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.register();
    server.terminate();
    bob.line.is_closed_by_node();
    server.restart();
    assert_eq!(alice.say("bob", "kept").code(), 202);
    let mut bob = TcpUa::new("bob", server.tcp);
    bob.register();
    assert_eq!(bob.take_message().text(), "kept");
}

#[test]
fn what_is_on_its_way_comes_to_its_end_before_the_node_goes() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let request = alice.message("bob", "just in time", "");
    alice.send(&request);
    let message = bob.next_message();
    server.signal("TERM");
    server.logs("going down");
    bob.answer(&message, 200, "");
    assert_eq!(alice.answer_to(&request).code(), 200);
    let (status, log) = server.terminated();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// D13.
#[test]
fn a_crash_in_the_middle_of_a_dump_loses_nothing_and_repeats_at_most_what_was_in_flight() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let mut bob = Ua::new("bob", server.udp);
    let texts = ["one", "two", "three", "four"];
    for text in texts {
        assert_eq!(alice.say("bob", text).code(), 202);
    }
    bob.register();
    assert_eq!(bob.take_message().text(), "one");
    assert_eq!(bob.next_message().text(), "two");
    server.crash_and_restart();
    bob.register();
    let first = bob.take_message().text();
    assert!(first == "one" || first == "two", "{first}");
    let rest = if first == "one" { &texts[1..] } else { &texts[2..] };
    for text in rest {
        assert_eq!(bob.take_message().text(), *text);
    }
    bob.hears_nothing();
}

/// T11.
#[test]
fn a_copy_that_comes_after_a_crash_is_answered_202_and_not_stored_again() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    let request = alice.message("bob", "once", "");
    assert_eq!(alice.call(&request).code(), 202);
    server.crash_and_restart();
    assert_eq!(alice.call(&request).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.take_message().text(), "once");
    bob.hears_nothing();
}

#[test]
fn the_order_of_acceptance_holds_over_a_crash() {
    let mut server = Server::start();
    let mut alice = Ua::new("alice", server.udp);
    for n in 0..10 {
        assert_eq!(alice.say("bob", &format!("number {n}")).code(), 202);
        if n % 4 == 3 {
            server.crash_and_restart();
        }
    }
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    for n in 0..10 {
        assert_eq!(bob.take_message().text(), format!("number {n}"));
    }
    bob.hears_nothing();
}

#[test]
fn a_hang_up_signal_reloads_what_can_be_reloaded() {
    let server = Server::configured("[sip]\noffline_other = 404\n");
    let mut alice = Ua::new("alice", server.udp);
    let ask = |alice: &mut Ua| {
        let request = alice.request("INFO", "sip:bob@example.com", "");
        alice.call(&request).code()
    };
    assert_eq!(ask(&mut alice), 404);
    server.write_config("[sip]\noffline_other = 480\n\n[limits]\ntcp_idle = \"2h\"\n");
    server.signal("HUP");
    server.logs("settings reloaded");
    assert_eq!(ask(&mut alice), 480);
    assert!(server.log().contains("changes in [limits] need a restart"), "{}", server.log());
    // A mistake changes nothing.
    server.write_config("[sip]\noffline_other = 200\n");
    server.signal("HUP");
    server.logs("the settings were not reloaded");
    assert_eq!(ask(&mut alice), 480);
}

/// What `sipsilo run` says when it cannot start.
fn refused(args: &[&str]) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sipsilo"))
        .arg("run")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = Log::default();
    let reader = log.follow(child.stderr.take().unwrap());
    let status = ends_within(child, PATIENCE).expect("it ends by itself");
    reader.join().unwrap();
    assert!(!status.success());
    log.text()
}

#[test]
fn a_second_node_on_the_same_folder_or_port_is_refused_with_a_reason() {
    let server = Server::start();
    let url = format!("embedded:{}", server.data().display());
    let text = refused(&["--listen", "udp:127.0.0.1:0", "--db-url", &url]);
    assert!(text.contains(&server.data().display().to_string()), "{text}");
    let listen = format!("udp:{}", server.udp);
    let text = refused(&["--listen", &listen, "--db-url", "memory:"]);
    assert!(text.contains(&server.udp.to_string()), "{text}");
    let mut alice = Ua::new("alice", server.udp);
    assert_eq!(alice.say("bob", "the first one serves on").code(), 202);
}

/// R26.
#[test]
fn a_binding_s_time_goes_on_while_the_node_is_down() {
    let mut server = Server::with(&["registrar.min_expires=1s"]);
    let mut bob = Ua::new("bob", server.udp);
    let contact = bob.contact();
    bob.registers(&format!("Contact: <{contact}>;expires=3\r\n"));
    let registered = Instant::now();
    server.terminate();
    server.restart();
    while bob.registers("").header("Contact").is_some() {
        assert!(registered.elapsed() < PATIENCE, "the binding never ends");
        assert!(bob.wait_until(Instant::now() + SILENCE, |_| true).is_none());
    }
    assert!(registered.elapsed().as_millis() < 4_500, "{:?}", registered.elapsed());
}
