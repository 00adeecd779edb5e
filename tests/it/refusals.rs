//! Goal: what the server cannot do, or must not, it refuses with the right code.
//! Method: one request for each rule; the answer is compared.

use crate::support::{Server, Sip, Ua};

fn alice(options: &[&str]) -> (Server, Ua) {
    let server = Server::with(options);
    let ua = Ua::new("alice", server.udp);
    (server, ua)
}

fn ask(ua: &mut Ua, method: &str, uri: &str, extra: &str) -> Sip {
    let request = ua.request(method, uri, extra);
    ua.call(request)
}

/// Sends a MESSAGE after a change to its text.
fn changed(ua: &mut Ua, from: &str, to: &str) -> Sip {
    let request = ua.message("bob", "hi", "");
    let changed = request.replacen(from, to, 1);
    assert_ne!(request, changed, "{from} is not in the request");
    ua.call(changed)
}

/// U1.
#[test]
fn a_known_method_that_is_not_served_gets_405_with_what_is() {
    let (_server, mut alice) = alice(&[]);
    for method in ["INVITE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "BYE", "UPDATE"] {
        let answer = ask(&mut alice, method, "sip:example.com", "");
        assert_eq!(answer.code(), 405, "{method}");
        let allow = answer.header("Allow").unwrap();
        assert!(allow.contains("MESSAGE") && allow.contains("REGISTER"), "{allow}");
    }
    assert_eq!(ask(&mut alice, "INVITE", "sip:bob@example.com", "").code(), 405);
}

/// U2.
#[test]
fn an_unknown_method_gets_501_and_is_not_taken_for_another() {
    let (_server, mut alice) = alice(&[]);
    for method in ["RE%47ISTER", "message", "NEWMETHOD", "!interesting-Method0123456789_*+`.%'~"] {
        for uri in ["sip:example.com", "sip:bob@example.com"] {
            let answer = ask(&mut alice, method, uri, "");
            assert_eq!(answer.code(), 501, "{method}");
            assert!(answer.header("Allow").is_some());
        }
    }
}

/// U3.
#[test]
fn a_scheme_without_mailboxes_gets_416_whatever_to_says() {
    let (_server, mut alice) = alice(&[]);
    for uri in ["tel:+15551234", "im:bob@example.com", "http://example.com/", "nobody:knows"] {
        let request = alice.draft("MESSAGE", uri, "sip:bob@example.com", "", "hi");
        assert_eq!(alice.call(request).code(), 416, "{uri}");
    }
}

/// U4.
#[test]
fn a_message_goes_by_its_request_uri_and_not_by_to() {
    let (server, mut alice) = alice(&[]);
    let to = "sip:carol@elsewhere.example";
    let request = alice.draft("MESSAGE", "sip:bob@example.com", to, "", "hi");
    assert_eq!(alice.call(request).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.take_message().header("To"), Some("<sip:carol@elsewhere.example>"));
}

/// U6, R2, P4.
#[test]
fn an_extension_that_is_required_and_unknown_gets_420_and_is_named() {
    let (_server, mut alice) = alice(&[]);
    let bob = "sip:bob@example.com";
    for (method, uri, line, unsupported) in [
        ("MESSAGE", bob, "Require: foo, path\r\nRequire: bar\r\n", "foo, bar"),
        ("MESSAGE", bob, "Proxy-Require: foo\r\n", "foo"),
        ("REGISTER", "sip:example.com", "Require: gruu\r\n", "gruu"),
        ("OPTIONS", "sip:example.com", "Require: foo\r\n", "foo"),
    ] {
        let answer = ask(&mut alice, method, uri, line);
        assert_eq!(answer.code(), 420, "{method} {line}");
        assert_eq!(answer.header("Unsupported"), Some(unsupported));
    }
}

/// U8.
#[test]
fn an_answer_copies_what_it_must_and_adds_a_tag() {
    let (_server, mut alice) = alice(&[]);
    let request = alice.message("bob", "hi", "Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKlower\r\n");
    let sent = Sip::read(request.as_bytes());
    let answer = alice.call(&request);
    for name in ["From", "Call-ID", "CSeq"] {
        assert_eq!(answer.header(name), sent.header(name), "{name}");
    }
    let vias: Vec<&str> = answer.all("Via").collect();
    assert_eq!(vias.len(), 2);
    assert_eq!(vias[1], "SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKlower");
    let to = answer.header("To").unwrap();
    assert!(to.starts_with("<sip:bob@example.com>;tag="), "{to}");
    assert_eq!(answer.header("Content-Length"), Some("0"));
}

/// U9.
#[test]
fn a_request_without_what_every_request_has_gets_400() {
    let (_server, mut alice) = alice(&[]);
    for (from, to) in [
        ("Call-ID: ", "X-Call-ID: "),
        ("CSeq: 1 MESSAGE", "CSeq: 1 OPTIONS"),
        ("CSeq: 1 MESSAGE", "CSeq: 4294967296 MESSAGE"),
        ("CSeq: 1 MESSAGE\r\n", ""),
        ("From: ", "X-From: "),
        ("To: ", "X-To: "),
        ("To: ", "To: <sip:other@example.com>\r\nTo: "),
        ("Call-ID: ", "Call-ID: another\r\nCall-ID: "),
        ("Max-Forwards: 70", "Max-Forwards: 256"),
        ("Content-Length: 2", "Content-Length: 2000"),
        ("Content-Length: 2", "Content-Length: -2"),
        ("MESSAGE sip:bob@example.com", "MESSAGE <sip:bob@example.com>"),
        ("MESSAGE sip:bob@example.com", "MESSAGE sip:bob@example.com "),
    ] {
        assert_eq!(changed(&mut alice, from, to).code(), 400, "{from} {to}");
    }
    // Of a method nobody knows, that is the better answer.
    let request = alice.request("UNHEARDOF", "sip:bob@example.com", "");
    let request = request.replace("CSeq: 1 UNHEARDOF", "CSeq: 1 MESSAGE");
    assert_eq!(alice.call(&request).code(), 501);
}

/// U10.
#[test]
fn another_version_of_sip_gets_505() {
    let (_server, mut alice) = alice(&[]);
    assert_eq!(changed(&mut alice, " SIP/2.0\r\n", " SIP/7.0\r\n").code(), 505);
}

/// U11.
#[test]
fn the_server_says_what_it_can_do() {
    let (server, mut alice) = alice(&[]);
    for uri in ["sip:example.com".to_owned(), format!("sip:{}", server.udp)] {
        let answer = ask(&mut alice, "OPTIONS", &uri, "Accept: application/sdp\r\n");
        assert_eq!(answer.code(), 200);
        assert!(answer.header("Allow").unwrap().contains("MESSAGE"));
        assert_eq!(answer.header("Accept"), Some("*/*"));
        assert_eq!(answer.header("Supported"), Some("path"));
    }
    let request = alice.request("OPTIONS", "sip:carol@elsewhere.example", "");
    let request = request.replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(alice.call(&request).code(), 200, "it asks how far it came");
}

/// U12.
#[test]
fn a_cancel_of_a_message_is_answered_and_changes_nothing() {
    let (server, mut alice) = alice(&[]);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let message = alice.message("bob", "hi", "");
    alice.send(&message);
    let ringing = bob.next_message();
    let (head, _) = message.split_once("Content-Type").unwrap();
    let cancel = format!("{head}Content-Length: 0\r\n\r\n")
        .replace("MESSAGE sip", "CANCEL sip")
        .replace("1 MESSAGE", "1 CANCEL");
    alice.send(&cancel);
    let of_cancel = alice.next();
    assert_eq!((of_cancel.code(), of_cancel.header("CSeq")), (200, Some("1 CANCEL")));
    bob.answer(&ringing, 200, "");
    let of_message = alice.next();
    assert_eq!((of_message.code(), of_message.header("CSeq")), (200, Some("1 MESSAGE")));
    assert_eq!(ask(&mut alice, "CANCEL", "sip:bob@example.com", "").code(), 481);
}

/// U13.
#[test]
fn a_message_in_a_dialog_that_never_was_gets_481_and_is_not_kept() {
    let (server, mut alice) = alice(&[]);
    let tagged = "To: <sip:bob@example.com>;tag=dialog";
    assert_eq!(changed(&mut alice, "To: <sip:bob@example.com>", tagged).code(), 481);
    // Not even when it comes through us as a proxy.
    let route = format!("Route: <sip:{};lr>\r\n{tagged}", server.udp);
    assert_eq!(changed(&mut alice, "To: <sip:bob@example.com>", &route).code(), 481);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    bob.hears_nothing();
}

/// U14.
#[test]
fn what_is_too_long_is_refused_and_the_longest_body_is_not() {
    let (_server, mut alice) = alice(&["sip.body_bytes_max=1000"]);
    let body = |length| "x".repeat(length);
    assert_eq!(alice.say("bob", &body(1_000)).code(), 202);
    assert_eq!(alice.say("bob", &body(1_001)).code(), 413);
    let long_line = format!("X-Long: {}\r\n", body(20_000));
    let request = alice.message("bob", "hi", &long_line);
    assert_eq!(alice.call(&request).code(), 513);
    let many_lines = "X-Many: 1\r\n".repeat(300);
    let request = alice.message("bob", "hi", &many_lines);
    assert_eq!(alice.call(&request).code(), 513);
}

/// R19: a registrar never says 6xx, nor 401 while nobody is asked who he is.
#[test]
fn a_message_for_nobody_gets_404() {
    let (_server, mut alice) = alice(&[]);
    assert_eq!(ask(&mut alice, "MESSAGE", "sip:example.com", "").code(), 404);
}

/// S4.
#[test]
fn with_a_list_of_users_nobody_else_has_a_mailbox() {
    let (_server, mut alice) = alice(&["sip.users=bob@example.com"]);
    assert_eq!(alice.say("bob", "hi").code(), 202);
    assert_eq!(alice.say("mallory", "hi").code(), 404);
}

/// S9.
#[test]
fn by_option_an_empty_message_is_refused() {
    let (_server, mut alice) = alice(&["sip.empty_body=refuse"]);
    assert_eq!(alice.say("bob", "").code(), 400);
    assert_eq!(alice.say("bob", "x").code(), 202);
}

/// S16.
#[test]
fn by_option_a_typing_notice_for_an_offline_user_gets_200() {
    let (_server, mut alice) = alice(&["sip.iscomposing=200"]);
    let bob = "sip:bob@example.com";
    let kind = "Content-Type: application/im-iscomposing+xml\r\n";
    let notice = alice.draft("MESSAGE", bob, bob, kind, "<isComposing/>");
    assert_eq!(alice.call(notice).code(), 200);
}

/// P1, S21.
#[test]
fn no_hops_left_stops_what_must_go_on_and_not_what_ends_here() {
    let (server, mut alice) = alice(&[]);
    let no_hops = "Max-Forwards: 0";
    assert_eq!(changed(&mut alice, "Max-Forwards: 70", no_hops).code(), 202);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    bob.take_message();
    let info = alice.request("INFO", "sip:bob@example.com", "");
    assert_eq!(alice.call(info.replace("Max-Forwards: 70", no_hops)).code(), 483);
}

/// P3.
#[test]
fn a_request_that_comes_back_unchanged_gets_482() {
    let (server, mut alice) = alice(&[]);
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    let request = alice.message("bob", "round and round", "");
    alice.send(&request);
    let passed = bob.next_message();
    // Bob's phone is in truth a proxy that sends everything for Bob to where it came from.
    let vias: Vec<&str> = passed.all("Via").collect();
    let lower: String = vias.iter().map(|via| format!("Via: {via}\r\n")).collect();
    let again = request.replacen("Via: ", &format!("{lower}Via: "), 1);
    let (start, rest) = again.split_once("\r\n").unwrap();
    let own = format!("Via: SIP/2.0/UDP {};branch=z9hG4bKround", bob.addr());
    assert_eq!(bob.call(format!("{start}\r\n{own}\r\n{rest}")).code(), 482);
}

/// S10.
#[test]
fn a_full_mailbox_is_480_with_a_reason_and_never_503() {
    let (server, mut alice) = alice(&["msilo.max_messages=2"]);
    assert_eq!(alice.say("bob", "one").code(), 202);
    assert_eq!(alice.say("bob", "two").code(), 202);
    let answer = alice.say("bob", "three");
    assert_eq!(answer.code(), 480);
    assert!(answer.header("Warning").unwrap().contains("mailbox full"), "{answer:?}");
    assert_eq!(alice.say("carol", "one").code(), 202, "each mailbox has its own limit");
    let mut bob = Ua::new("bob", server.udp);
    bob.register();
    assert_eq!(bob.take_message().text(), "one");
    assert_eq!(bob.take_message().text(), "two");
    bob.hears_nothing();
    bob.unregister();
    assert_eq!(alice.say("bob", "four").code(), 202, "what was delivered makes room");
}
