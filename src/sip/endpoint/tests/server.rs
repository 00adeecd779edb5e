//! Goal: a request comes up once and has one answer, replayed byte for byte while it lives.
//! Method: the same datagrams again at chosen moments.

use super::*;

/// T4
#[test]
fn a_copy_of_an_unanswered_request_is_absorbed() {
    let mut world = World::new();
    world.open(&message("z9hG4bKa"));
    for ms in [500, 1_500, 3_499] {
        assert!(world.run_to(ms).is_empty());
        assert!(world.receive(&message("z9hG4bKa")).is_empty());
    }
    assert_eq!(world.counts().absorbed, 3);
}

/// T4, U8
#[test]
fn a_copy_of_an_answered_request_gets_the_same_bytes_for_32_seconds() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    let first = only(&world.respond(key, 202));
    for ms in [500, 1_500, 3_500, 15_000, 31_500, 31_999] {
        world.run_to(ms);
        assert_eq!(only(&world.receive(&message("z9hG4bKa"))), first, "at {ms} ms");
    }
    assert_eq!(world.counts().replayed, 6);
}

/// T9: Timer J is over, and with it the transaction.
#[test]
fn after_32_seconds_the_same_request_is_a_new_one() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    world.respond(key, 202);
    world.run_to(32_000);
    assert_eq!(world.open(&message("z9hG4bKa")), key);
    assert_eq!(world.endpoint.observe().unanswered, 1);
    // The record of the first life leaves without touching the second.
    world.run_to(34_000);
    assert_eq!(world.endpoint.observe().completed, 0);
    assert_eq!(only(&world.respond(key, 202)).0.remote, addr(ALICE));
}

/// T4: what an eavesdropper asks for goes to whom it belongs.
#[test]
fn a_replay_goes_where_the_first_answer_went() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    let first = only(&world.respond(key, 202));
    let again = world.receive_by(udp("203.0.113.66:6666"), &message("z9hG4bKa"));
    assert_eq!(only(&again), first);
}

/// T4: Timer J is zero on a reliable transport.
#[test]
fn over_tcp_nothing_is_kept_after_the_answer() {
    let mut world = World::new();
    let text = request("MESSAGE", "SIP/2.0/TCP 10.0.0.7:5060;branch=z9hG4bKa");
    let key = world.open_by(tcp(1), &text);
    assert!(world.receive_by(tcp(1), &text).is_empty(), "a copy before the answer is absorbed");
    world.respond(key, 202);
    assert_eq!(
        world.endpoint.observe(),
        Observed { counts: world.counts(), ..Observed::default() }
    );
    assert_eq!(world.endpoint.deadline(), None);
    world.open_by(tcp(1), &text);
}

/// T5
#[test]
fn branch_sent_by_and_method_tell_transactions_apart() {
    let mut world = World::new();
    let via = |sent_by: &str, branch: &str| format!("SIP/2.0/UDP {sent_by};rport;branch={branch}");
    let mut keys = vec![
        world.open(&request("MESSAGE", &via("10.0.0.7:5060", "z9hG4bKa"))),
        world.open(&request("MESSAGE", &via("10.0.0.8:5060", "z9hG4bKa"))),
        world.open(&request("MESSAGE", &via("10.0.0.7:5061", "z9hG4bKa"))),
        world.open(&request("MESSAGE", &via("10.0.0.7", "z9hG4bKa"))),
        world.open(&request("MESSAGE", &via("10.0.0.7:5060", "z9hG4bKb"))),
        world.open(&request("OPTIONS", &via("10.0.0.7:5060", "z9hG4bKa"))),
    ];
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

/// T5, U16: branch and host are compared without regard to case.
#[test]
fn case_does_not_make_another_transaction() {
    let mut world = World::new();
    let text = request("MESSAGE", "SIP/2.0/UDP Host.Example.com;rport;branch=z9hG4bKabC");
    let key = world.open(&text);
    let first = only(&world.respond(key, 202));
    let shouted = request("MESSAGE", "SIP/2.0/UDP hOST.example.COM;rport;branch=Z9HG4bkABc");
    assert_eq!(only(&world.receive(&shouted)), first);
}

/// T5: a client that numbers its branches anew after a restart must not lose a message.
#[test]
fn a_branch_used_for_another_message_is_another_transaction() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    world.respond(key, 202);
    world.open(&message("z9hG4bKa").replace("call-1", "call-2"));
    world.open(&message("z9hG4bKa").replace("CSeq: 7", "CSeq: 8"));
}

/// T6
#[test]
fn without_the_cookie_the_rules_of_rfc_2543_match() {
    for branch in ["", ";branch=1", ";branch=z9hG4bK"] {
        let mut world = World::new();
        let text = request("MESSAGE", &format!("SIP/2.0/UDP 10.0.0.7:5060{branch}"));
        let key = world.open(&text);
        assert!(world.receive(&text).is_empty(), "{branch}");
        let first = only(&world.respond(key, 202));
        assert_eq!(only(&world.receive(&text)), first, "{branch}");
        for (old, new) in [
            ("sip:bob@example.com SIP", "sip:bert@example.com SIP"),
            ("tag=a1", "tag=a2"),
            ("<sip:bob@example.com>\r\n", "<sip:bob@example.com>;tag=b\r\n"),
            ("call-1", "call-2"),
            ("CSeq: 7", "CSeq: 8"),
            ("10.0.0.7:5060", "10.0.0.7:5070"),
        ] {
            assert_ne!(world.open(&text.replace(old, new)), key, "{new}");
        }
    }
}

/// T6: clients of RFC 2543 have no tags at all.
#[test]
fn a_request_without_any_tag_is_matched_too() {
    let mut world = World::new();
    let text = request("MESSAGE", "SIP/2.0/UDP 10.0.0.7").replace(";tag=a1", "");
    world.open(&text);
    assert!(world.receive(&text).is_empty());
}

/// T8
#[test]
fn a_100_leaves_after_three_and_a_half_seconds_without_an_answer() {
    for path in [udp(ALICE), tcp(1)] {
        let mut world = World::new();
        let key = world.open_by(path, &message("z9hG4bKa"));
        let seen = world.run_to(31_000);
        let [(3_500, Effect::Transmit { path: to, bytes, tag: None })] = &seen[..] else {
            panic!("expected one 100 at 3,500 ms: {seen:?}")
        };
        assert!(bytes.starts_with(b"SIP/2.0 100 Trying\r\n"));
        assert_eq!(to, &path);
        // T4, Proceeding: a copy gets the 100 again.
        assert_eq!(only(&world.receive_by(path, &message("z9hG4bKa"))), (path, bytes.clone()));
        assert!(text(&world.respond(key, 202)).starts_with("SIP/2.0 202 "));
    }
}

/// T8
#[test]
fn a_request_answered_in_time_gets_no_100() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    world.run_to(3_499);
    world.respond(key, 202);
    assert!(world.run_to(60_000).is_empty());
}

/// T8
#[test]
fn other_provisional_responses_are_kept_back() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    for code in [100, 180, 183, 199] {
        assert!(world.respond(key, code).is_empty());
    }
    let mut out = Vec::new();
    let ringing = Bytes::from_static(b"SIP/2.0 180 Ringing\r\n\r\n");
    world.endpoint.respond_raw(key, ringing, world.now, &mut out);
    assert!(out.is_empty());
    assert_eq!(world.counts().withheld, 5);
    assert_eq!(world.respond(key, 200).len(), 1);
}

/// T9
#[test]
fn a_408_is_never_sent_to_a_message() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    assert!(world.respond(key, 408).is_empty());
    assert!(world.receive(&message("z9hG4bKa")).is_empty(), "it stays unanswered");
    assert_eq!(world.counts().withheld, 1);
}

/// T9
#[test]
fn an_answer_that_comes_after_32_seconds_is_not_sent() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    world.run_to(32_000);
    assert_eq!(world.endpoint.open_transactions(), 0);
    assert!(world.respond(key, 202).is_empty());
    assert_eq!(world.counts().late_responses, 1);
    assert_eq!(world.endpoint.deadline(), None);
}

#[test]
fn a_second_answer_is_dropped() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    let first = only(&world.respond(key, 202));
    assert!(world.respond(key, 500).is_empty());
    assert_eq!(only(&world.receive(&message("z9hG4bKa"))), first);
}

#[test]
fn a_relayed_response_is_replayed_as_it_is() {
    let mut world = World::new();
    let key = world.open(&message("z9hG4bKa"));
    let relayed = Bytes::from_static(b"SIP/2.0 603 No\r\nX: \xff\x00\r\n\r\nbye");
    let mut out = Vec::new();
    world.endpoint.respond_raw(key, relayed.clone(), world.now, &mut out);
    assert_eq!(only(&out).1, relayed);
    assert_eq!(only(&world.receive(&message("z9hG4bKa"))).1, relayed);
}

/// U8
#[test]
fn an_answer_copies_what_it_must_and_has_a_tag_of_its_own() {
    let mut world = World::new();
    let via = "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bKa, SIP/2.0/UDP one;branch=z9hG4bKz\r\n\
               v: SIP/2.0/TCP two;branch=2";
    let key = world.open(&request("MESSAGE", via));
    let answer = text(&world.respond(key, 202));
    assert!(answer.starts_with("SIP/2.0 202 Accepted\r\n"), "{answer}");
    let vias: Vec<&str> = answer.lines().filter(|line| line.starts_with("Via: ")).collect();
    assert!(vias.join(", ").contains("branch=z9hG4bKa"));
    let position = |part| answer.find(part).unwrap_or_else(|| panic!("no {part} in {answer}"));
    assert!(position("z9hG4bKa") < position("z9hG4bKz"));
    assert!(position("z9hG4bKz") < position("TCP two;branch=2"));
    assert_eq!(field(&answer, "From"), "<sip:alice@example.com>;tag=a1");
    assert_eq!(field(&answer, "Call-ID"), "call-1");
    assert_eq!(field(&answer, "CSeq"), "7 MESSAGE");
    let tag = field(&answer, "To").replace("<sip:bob@example.com>;tag=", "");
    assert_eq!(tag.len(), 16, "{answer}");

    let other = world.open(&message("z9hG4bKb"));
    assert!(!text(&world.respond(other, 202)).contains(&tag));
}

/// U8: within a dialog the tag is the one that is there.
#[test]
fn a_to_tag_that_is_there_stays() {
    let mut world = World::new();
    let key =
        world.open(&message("z9hG4bKa").replace("bob@example.com>", "bob@example.com>;tag=b"));
    assert_eq!(field(&text(&world.respond(key, 481)), "To"), "<sip:bob@example.com>;tag=b");
}

/// U12
#[test]
fn a_cancel_of_a_message_is_answered_and_changes_nothing() {
    let mut world = World::new();
    let cancel = message("z9hG4bKa").replace("MESSAGE", "CANCEL");
    assert!(text(&world.receive(&cancel)).starts_with("SIP/2.0 481 "));
    let key = world.open(&message("z9hG4bKa"));
    let unanswered = text(&world.receive(&cancel));
    assert!(unanswered.starts_with("SIP/2.0 200 "), "{unanswered}");
    assert_eq!(field(&unanswered, "CSeq"), "7 CANCEL");
    let answer = text(&world.respond(key, 202));
    assert_eq!(field(&answer, "To"), field(&unanswered, "To"), "section 9.2: the same tag");
    assert!(text(&world.receive(&cancel)).starts_with("SIP/2.0 200 "));
    world.run_to(32_000);
    assert!(text(&world.receive(&cancel)).starts_with("SIP/2.0 481 "));
    assert_eq!(world.counts().cancels, 4);
}

#[test]
fn an_ack_is_absorbed() {
    let mut world = World::new();
    let ack = message("z9hG4bKa").replace("MESSAGE", "ACK");
    assert!(world.receive(&ack).is_empty());
    assert_eq!((world.counts().acks, world.endpoint.observe().unanswered), (1, 0));
}

/// U1: how a refused INVITE ends.
#[test]
fn the_refusal_of_an_invite_is_sent_again_with_the_invite_and_its_ack_is_absorbed() {
    let mut world = World::new();
    let invite = message("z9hG4bKi").replace("MESSAGE", "INVITE");
    let key = world.open(&invite);
    let refusal = only(&world.respond(key, 405));
    assert_eq!(only(&world.receive(&invite)), refusal);
    assert!(world.receive(&invite.replace("INVITE", "ACK")).is_empty());
    assert!(world.run_to(60_000).is_empty(), "nothing is sent unasked");
}

/// U5: decided against; see the module.
#[test]
fn a_message_sent_again_in_a_new_transaction_comes_up_again() {
    let mut world = World::new();
    world.open(&message("z9hG4bKa"));
    world.open(&message("z9hG4bKb"));
}
