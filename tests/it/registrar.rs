//! Goal: the registrar keeps RFC 3261 section 10.3, seen from outside.
//! Method: Bob registers in every way; the bindings that the 200 shows are compared.

use crate::support::{SILENCE, Server, Sip, Ua};
use std::time::{Duration, Instant};

/// The bindings that a 200 shows, without the time they have left.
fn bindings(answer: &Sip) -> Vec<String> {
    assert_eq!(answer.code(), 200, "{answer:?}");
    let without_time = |value: &str| {
        let parts = value.split(';').filter(|part| !part.starts_with("expires="));
        parts.collect::<Vec<_>>().join(";")
    };
    answer.all("Contact").map(without_time).collect()
}

/// The times that the bindings of a 200 have left, in seconds.
fn times(answer: &Sip) -> Vec<u32> {
    assert_eq!(answer.code(), 200, "{answer:?}");
    let time = |value: &str| {
        let (_, time) = value.split_once(";expires=").expect("each binding shows its time");
        time.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    answer.all("Contact").map(time).collect()
}

/// True for the time that is left of `granted` seconds a moment later.
fn is_about(times: &[u32], granted: u32) -> bool {
    matches!(times, [left] if (granted.saturating_sub(10)..=granted).contains(left))
}

fn register(ua: &mut Ua, extra: &str) -> Sip {
    let request = ua.register_with(extra);
    ua.call(request)
}

/// What is bound now.
fn fetch(ua: &mut Ua) -> Vec<String> {
    bindings(&register(ua, ""))
}

fn bob() -> (Server, Ua) {
    bob_with(&[])
}

fn bob_with(options: &[&str]) -> (Server, Ua) {
    let server = Server::with(options);
    let ua = Ua::new("bob", server.udp);
    (server, ua)
}

/// R1, R5.
#[test]
fn only_users_of_our_domains_can_register() {
    let (_server, mut bob) = bob();
    let request = bob.register_request(3600);
    let elsewhere = request.replacen("sip:example.com ", "sip:elsewhere.example ", 1);
    assert_eq!(bob.call(&elsewhere).code(), 403);
    for (to, code) in [
        ("<sip:bob@elsewhere.example>", 404),
        ("<sip:example.com>", 404),
        ("<tel:+15551234>", 400),
        ("<mailto:bob@example.com>", 400),
    ] {
        let request = bob.register_request(3600);
        let request = request.replace("To: <sip:bob@example.com>", &format!("To: {to}"));
        assert_eq!(bob.call(&request).code(), code, "{to}");
    }
    assert!(fetch(&mut bob).is_empty());
}

/// R5.
#[test]
fn every_spelling_of_an_address_is_one_user() {
    let (server, mut bob) = bob();
    let mut alice = Ua::new("alice", server.udp);
    let request = bob.register_request(3600);
    let spelled = "To: \"Bob\" <sip:%62ob@EXAMPLE.com:5060;user=phone;x=y?h=v>";
    let request = request.replace("To: <sip:bob@example.com>", spelled);
    assert_eq!(bob.call(&request).code(), 200);
    assert_eq!(fetch(&mut bob).len(), 1);
    let mut other = Ua::new("Bob", server.udp);
    assert!(fetch(&mut other).is_empty(), "the user part knows upper and lower case");
    let uri = "sip:b%6Fb@Example.COM;transport=udp";
    let message = alice.request("MESSAGE", uri, "");
    alice.send(&message);
    bob.take_message();
    assert_eq!(alice.answer_to(&message).code(), 200);
}

/// R6, R17.
#[test]
fn a_register_without_contact_shows_the_bindings_and_changes_nothing() {
    let (_server, mut bob) = bob();
    let added = register(&mut bob, "Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.2>;q=0.5\r\n");
    assert!(added.header("Date").unwrap().ends_with(" GMT"));
    let seen = fetch(&mut bob);
    assert_eq!(seen.len(), 2);
    assert_eq!(fetch(&mut bob), seen);
}

/// R7.
#[test]
fn a_star_with_expires_0_removes_all() {
    let (_server, mut bob) = bob();
    register(&mut bob, "Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.2>\r\n");
    let answer = register(&mut bob, "Contact: *\r\nExpires: 0\r\n");
    assert!(bindings(&answer).is_empty());
    assert!(fetch(&mut bob).is_empty());
}

/// R8, R27.
#[test]
fn a_contact_that_makes_no_sense_is_refused_and_nothing_changes() {
    let (_server, mut bob) = bob();
    register(&mut bob, "Contact: <sip:a@192.0.2.1>\r\n");
    let before = fetch(&mut bob);
    for contact in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 60\r\n",
        "Contact: *;expires=0\r\n",
        "Contact: *, <sip:b@192.0.2.2>\r\nExpires: 0\r\n",
        "Contact: <sip:b@192.0.2.2>, *\r\nExpires: 0\r\n",
        "Contact: <sip:b@192.0.2.2>, <sip:c@>\r\n",
        "Contact: <sip:b@192.0.2.2>\r\nContact: \"open <sip:c@192.0.2.3>\r\n",
        "Contact: <sip:b@192.0.2.2>;q=1.5\r\n",
    ] {
        assert_eq!(register(&mut bob, contact).code(), 400, "{contact}");
        assert_eq!(fetch(&mut bob), before, "{contact}");
    }
}

/// R9, R11, R12.
#[test]
fn the_time_granted_follows_the_contact_then_the_header_then_the_default() {
    let (_server, mut bob) =
        bob_with(&["registrar.default_expires=30m", "registrar.max_expires=2h"]);
    for (extra, granted) in [
        ("Contact: <sip:a@192.0.2.1>;expires=120\r\nExpires: 600\r\n", 120),
        ("Contact: <sip:a@192.0.2.1>\r\nExpires: 600\r\n", 600),
        ("Contact: <sip:a@192.0.2.1>\r\n", 1_800),
        ("Contact: <sip:a@192.0.2.1>;expires=86400\r\n", 7_200),
        ("Contact: <sip:a@192.0.2.1>;expires=4294967295\r\n", 7_200),
        ("Contact: <sip:a@192.0.2.1>;expires=\"soon\"\r\n", 3_600),
        ("Contact: <sip:a@192.0.2.1>;expires=99999999999999\r\n", 3_600),
    ] {
        let answer = register(&mut bob, extra);
        assert_eq!(times(&answer), [granted], "{extra}");
    }
}

/// R10.
#[test]
fn too_short_a_time_is_423_or_lifted_by_option_and_never_for_0() {
    let (_server, mut bob) = bob_with(&["registrar.min_expires=2m"]);
    let answer = register(&mut bob, "Contact: <sip:a@192.0.2.1>;expires=119\r\n");
    assert_eq!(answer.code(), 423);
    assert_eq!(answer.header("Min-Expires"), Some("120"));
    assert!(fetch(&mut bob).is_empty());
    assert_eq!(register(&mut bob, "Contact: <sip:a@192.0.2.1>;expires=0\r\n").code(), 200);
    let (_server, mut bob) =
        bob_with(&["registrar.min_expires=2m", "registrar.lift_short_expires=true"]);
    assert_eq!(times(&register(&mut bob, "Contact: <sip:a@192.0.2.1>;expires=5\r\n")), [120]);
}

/// R13.
#[test]
fn contacts_are_one_binding_when_their_uris_are_equal() {
    let (_server, mut bob) = bob();
    for (first, second, count) in [
        ("sip:a@example.net", "sip:a@EXAMPLE.net", 1),
        ("sip:a@example.net", "sip:%61@example.net", 1),
        ("sip:a@example.net;x=1", "sip:a@example.net", 1),
        ("sip:a@example.net", "sip:A@example.net", 2),
        ("sip:a@example.net", "sip:a@example.net:5060", 2),
        ("sip:a@example.net", "sip:a@example.net;transport=udp", 2),
        ("sip:a@example.net", "sips:a@example.net", 2),
        ("sip:a@example.net;x=1", "sip:a@example.net;x=2", 2),
        ("sip:a@example.net?subject=x", "sip:a@example.net", 2),
    ] {
        register(&mut bob, &format!("Contact: <{first}>\r\n"));
        let answer = register(&mut bob, &format!("Contact: <{second}>\r\n"));
        assert_eq!(bindings(&answer).len(), count, "{first} {second}");
        register(&mut bob, "Contact: *\r\nExpires: 0\r\n");
    }
}

/// R14, R15.
#[test]
fn an_old_request_of_the_same_call_is_refused_and_another_call_is_not() {
    let (server, mut bob) = bob();
    let early = register_line(&mut bob, "sip:a@192.0.2.1", 300);
    let late = register_line(&mut bob, "sip:a@192.0.2.1", 600);
    assert_eq!(times(&bob.call(&late)), [600]);
    assert_eq!(bob.call(&early).code(), 400);
    assert!(is_about(&times(&register(&mut bob, "")), 600));
    // A copy of what was done is not old: it gets the same answer.
    assert_eq!(times(&bob.call(&late)), [600]);
    let mut other = Ua::new("bob", server.udp);
    assert_eq!(times(&register(&mut other, "Contact: <sip:a@192.0.2.1>;expires=300\r\n")), [300]);
}

fn register_line(ua: &mut Ua, contact: &str, expires: u32) -> String {
    ua.register_with(&format!("Contact: <{contact}>;expires={expires}\r\n"))
}

/// R16.
#[test]
fn one_request_may_add_and_remove_and_does_both_or_nothing() {
    let (_server, mut bob) = bob();
    register(&mut bob, "Contact: <sip:a@192.0.2.1>\r\n");
    let swap = "Contact: <sip:a@192.0.2.1>;expires=0, <sip:b@192.0.2.2>\r\n";
    assert_eq!(bindings(&register(&mut bob, swap)), ["<sip:b@192.0.2.2>"]);
    let half = "Contact: <sip:b@192.0.2.2>;expires=0, <sip:c@192.0.2.3>;expires=1\r\n";
    assert_eq!(register(&mut bob, half).code(), 423);
    assert_eq!(fetch(&mut bob), ["<sip:b@192.0.2.2>"]);
}

/// R18.
#[test]
fn registers_take_effect_in_the_order_they_came() {
    let (_server, mut bob) = bob();
    let requests: Vec<String> =
        (0..30).map(|n| register_line(&mut bob, "sip:a@192.0.2.1", 600 + n)).collect();
    for request in &requests {
        bob.send(request);
    }
    for (request, n) in requests.iter().zip(0..) {
        assert_eq!(times(&bob.answer_to(request)), [600 + n]);
    }
}

/// R19.
#[test]
fn a_record_route_is_ignored() {
    let (_server, mut bob) = bob();
    let answer =
        register(&mut bob, "Contact: <sip:a@192.0.2.1>\r\nRecord-Route: <sip:p.example;lr>\r\n");
    assert_eq!(answer.code(), 200);
    assert_eq!(answer.header("Record-Route"), None);
}

/// R20, R21.
#[test]
fn all_that_a_contact_says_is_shown_again_best_first() {
    let (_server, mut bob) = bob();
    let plain = "<sip:low@192.0.2.1;ob;x=%41>;q=0.1;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
    let rich =
        "\"Bob, B\" <sip:high@192.0.2.2?Subject=x>;q=0.95;methods=\"MESSAGE,OPTIONS\";unheard=of";
    register(
        &mut bob,
        &format!("Contact: {plain}, {rich}\r\nContact: sip:bare@192.0.2.3;q=0.5;x=1\r\n"),
    );
    let shown = fetch(&mut bob);
    let expected = [
        "<sip:high@192.0.2.2?Subject=x>;q=0.95;methods=\"MESSAGE,OPTIONS\";unheard=of",
        "<sip:bare@192.0.2.3>;q=0.5;x=1",
        plain,
    ];
    let unnamed = |value: &String| value.trim_start_matches("\"Bob, B\" ").to_owned();
    assert_eq!(shown.iter().map(unnamed).collect::<Vec<_>>(), expected);
}

/// R22.
#[test]
fn one_contact_too_many_is_refused_or_takes_the_place_of_the_oldest() {
    let (_server, mut bob) = bob_with(&["registrar.max_contacts=2"]);
    register(&mut bob, "Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.2>\r\n");
    assert_eq!(register(&mut bob, "Contact: <sip:c@192.0.2.3>\r\n").code(), 403);
    assert_eq!(fetch(&mut bob).len(), 2);
    let (_server, mut bob) =
        bob_with(&["registrar.max_contacts=2", "registrar.replace_oldest=true"]);
    for contact in ["sip:a@192.0.2.1", "sip:b@192.0.2.2", "sip:c@192.0.2.3"] {
        register(&mut bob, &format!("Contact: <{contact}>\r\n"));
    }
    let mut shown = fetch(&mut bob);
    shown.sort();
    assert_eq!(shown, ["<sip:b@192.0.2.2>", "<sip:c@192.0.2.3>"]);
}

/// R24.
#[test]
fn a_contact_that_leads_back_to_the_server_is_refused() {
    let (server, mut bob) = bob();
    for contact in [format!("sip:bob@{}", server.udp), "sip:bob@example.com".to_owned()] {
        assert_eq!(register(&mut bob, &format!("Contact: <{contact}>\r\n")).code(), 400);
    }
    assert!(fetch(&mut bob).is_empty());
}

/// R26.
#[test]
fn a_binding_ends_with_its_time() {
    let (server, mut bob) = bob_with(&["registrar.min_expires=1s"]);
    let mut alice = Ua::new("alice", server.udp);
    let contact = bob.contact();
    let granted = Instant::now();
    register(&mut bob, &format!("Contact: <{contact}>;expires=2\r\n"));
    let request = alice.message("bob", "live", "");
    alice.send(&request);
    bob.take_message();
    assert_eq!(alice.answer_to(&request).code(), 200);
    while !fetch(&mut bob).is_empty() {
        assert!(granted.elapsed() < Duration::from_secs(10), "the binding never ends");
        assert!(bob.wait_until(Instant::now() + SILENCE, |_| true).is_none());
    }
    assert!(granted.elapsed() >= Duration::from_millis(1_900), "{:?}", granted.elapsed());
    assert_eq!(alice.say("bob", "kept").code(), 202);
    bob.hears_nothing();
}

/// O8.
#[test]
fn a_path_is_followed_and_shown_to_who_knows_path() {
    let (server, mut bob) = bob();
    let mut alice = Ua::new("alice", server.udp);
    let mut edge = Ua::new("edge", server.udp);
    let path = format!("<sip:edge@{};lr>", edge.addr());
    let contact = "Contact: <sip:bob@192.0.2.1>\r\n";
    let answer = register(&mut bob, &format!("{contact}Supported: path\r\nPath: {path}\r\n"));
    assert_eq!(answer.header("Path"), Some(path.as_str()));
    let request = alice.message("bob", "by the edge", "");
    alice.send(&request);
    let message = edge.take_message();
    assert_eq!(message.start, "MESSAGE sip:bob@192.0.2.1 SIP/2.0");
    assert_eq!(message.header("Route"), Some(path.as_str()));
    assert_eq!(alice.answer_to(&request).code(), 200);
}
