//! Goal: a request is sent as often as it must be, and has one outcome.
//! Method: answers of every kind at chosen moments; what was sent when is written down.

use super::*;
use std::time::Duration;

fn within(ms: u64) -> Manner {
    Manner { timeout: Some(Duration::from_millis(ms)), ..Manner::default() }
}

/// When something was sent, and the outcomes.
fn story(seen: Vec<(u64, Effect)>) -> (Vec<u64>, Vec<(u64, u64, String)>) {
    let mut times = Vec::new();
    let mut ends = Vec::new();
    for (ms, effect) in seen {
        if matches!(effect, Effect::Transmit { .. }) {
            times.push(ms);
        }
        ends.extend(outcomes(&[effect]).into_iter().map(|(token, how)| (ms, token, how)));
    }
    (times, ends)
}

fn tag(effects: &[Effect]) -> SendTag {
    match effects {
        [Effect::Transmit { tag: Some(tag), .. }] => *tag,
        other => panic!("expected a packet with a tag, got {other:?}"),
    }
}

/// T1
#[test]
fn by_udp_an_unanswered_request_is_sent_eleven_times_and_given_up_after_32_seconds() {
    let mut world = World::new();
    let first = world.send(udp(ALICE), 9, Manner::default());
    let seen = world.run_to(100_000);
    for (_, effect) in &seen {
        if matches!(effect, Effect::Transmit { .. }) {
            assert_eq!(only(std::slice::from_ref(effect)), only(&first), "the same bytes");
            assert_eq!(tag(std::slice::from_ref(effect)), tag(&first));
        }
    }
    let (times, ends) = story(seen);
    let expected = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(times, expected);
    assert_eq!(ends, [(32_000, 9, "timeout".to_owned())]);
    assert_eq!(world.ticks, 11, "one wake-up for each copy, one for the end");
}

/// T1
#[test]
fn after_a_provisional_answer_copies_go_out_every_four_seconds() {
    let mut world = World::new();
    let first = world.send(udp(ALICE), 9, Manner::default());
    assert!(story(world.run_to(600)).0 == [500]);
    assert!(world.receive(&answer(&first[0], 100)).is_empty());
    // Timer E runs on to 1,500 ms and is then set to T2 (section 17.1.2.2).
    let (times, ends) = story(world.run_to(100_000));
    assert_eq!(times, [1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500]);
    assert_eq!(ends, [(32_000, 9, "timeout".to_owned())]);
}

/// T2
#[test]
fn by_tcp_a_request_is_sent_once() {
    let mut world = World::new();
    world.send(tcp(1), 9, Manner::default());
    assert_eq!(story(world.run_to(100_000)), (vec![], vec![(32_000, 9, "timeout".to_owned())]));
}

#[test]
fn a_caller_may_give_up_earlier() {
    for path in [udp(ALICE), tcp(1)] {
        let mut world = World::new();
        world.send(path, 1, within(5_000));
        world.send(path, 2, within(300));
        world.send(path, 3, within(90_000));
        let (_, ends) = story(world.run_to(100_000));
        let expected = [(300, 2), (5_000, 1), (32_000, 3)];
        assert_eq!(ends, expected.map(|(ms, token)| (ms, token, "timeout".to_owned())));
    }
}

/// T7, T1: a final answer is passed up once and stops the copies.
#[test]
fn a_final_answer_ends_it() {
    for code in [200, 202, 302, 404, 486, 500, 603] {
        let mut world = World::new();
        let first = world.send(udp(ALICE), 9, Manner::default());
        world.run_to(700);
        let ends = outcomes(&world.receive(&answer(&first[0], code)));
        assert_eq!(ends, [(9, code.to_string())]);
        assert_eq!(world.endpoint.deadline(), None);
        assert_eq!(world.endpoint.open_transactions(), 0);
    }
}

/// T3
#[test]
fn late_copies_of_the_final_answer_are_absorbed() {
    let mut world = World::new();
    let first = world.send(udp(ALICE), 9, Manner::default());
    assert_eq!(world.receive(&answer(&first[0], 200)).len(), 1);
    for ms in [1, 4_999, 5_001] {
        world.run_to(ms);
        assert!(world.receive(&answer(&first[0], 200)).is_empty());
    }
    assert_eq!(world.counts().unmatched_responses, 3);
}

/// T7
#[test]
fn an_answer_that_does_not_match_is_dropped_silently() {
    let mut world = World::new();
    let first = world.send(udp(ALICE), 9, Manner::default());
    let right = answer(&first[0], 200);
    let branch = right.split("branch=z9hG4bK").nth(1).unwrap().split(['\r', ';']).next().unwrap();
    let other = if branch.ends_with('0') { '1' } else { '0' };
    let guessed = format!("{}{other}", &branch[..branch.len() - 1]);
    for (what, wrong) in [
        ("the branch", right.replace(branch, &guessed)),
        ("no worker in the branch", right.replace(branch, "abc")),
        ("the method", right.replace("1 MESSAGE", "1 OPTIONS")),
        ("the host of sent-by", right.replace("192.0.2.1:5060", "192.0.2.2:5060")),
        ("the port of sent-by", right.replace("192.0.2.1:5060", "192.0.2.1:5070")),
    ] {
        assert_ne!(right, wrong, "{what}");
        assert!(world.receive(&wrong).is_empty(), "{what}");
    }
    assert_eq!(world.receive(&right.replace("192.0.2.1:5060", "192.0.2.1")).len(), 1, "5060");
}

/// T7: with one socket for each gateway the kernel may hand a response to another one.
#[test]
fn an_answer_for_another_gateway_is_handed_over() {
    let mut two = World::with(Settings { worker: 0x2a, ..Settings::default() });
    let first = two.send(udp(ALICE), 9, Manner::default());
    assert!(text(&first).contains(";rport;branch=z9hG4bK2a."));
    let mut one = World::new();
    let effects = one.receive(&answer(&first[0], 200));
    let [Effect::Misdirected { worker: 0x2a, packet }] = &effects[..] else {
        panic!("expected it to be handed over: {effects:?}")
    };
    let mut out = Vec::new();
    two.endpoint.receive(packet.clone(), two.now, &mut out);
    assert_eq!(outcomes(&out), [(9, "200".to_owned())]);
}

/// T2, T12
#[test]
fn a_transport_error_is_an_outcome_at_once() {
    let mut world = World::new();
    let first = world.send(tcp(1), 9, Manner::default());
    let mut out = Vec::new();
    world.endpoint.send_failed(tag(&first), world.now, &mut out);
    assert_eq!(outcomes(&out), [(9, "transport error".to_owned())]);
    world.endpoint.send_failed(tag(&first), world.now, &mut out);
    assert_eq!(out.len(), 1, "and only once");
    assert!(world.run_to(60_000).is_empty());
}

/// T12
#[test]
fn a_closed_connection_fails_what_was_sent_on_it() {
    let mut world = World::new();
    for (flow, token) in [(1, 11), (2, 21), (1, 12), (3, 31)] {
        world.send(tcp(flow), token, Manner::default());
    }
    let mut out = Vec::new();
    world.endpoint.flow_closed(FlowId(1), world.now, &mut out);
    let expected = [(11, "transport error".to_owned()), (12, "transport error".to_owned())];
    assert_eq!(outcomes(&out), expected);
    assert_eq!(world.endpoint.open_transactions(), 2);
}

/// T12: a request tried again is a new transaction.
#[test]
fn no_branch_is_used_twice() {
    let mut world = World::new();
    let mut tags: Vec<SendTag> =
        (0..1_000).map(|token| tag(&world.send(udp(ALICE), token, Manner::default()))).collect();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 1_000);
    let mut other = Endpoint::new(Settings::default(), [5; 4]);
    std::mem::swap(&mut world.endpoint, &mut other);
    assert!(!tags.contains(&tag(&world.send(udp(ALICE), 1, Manner::default()))));
}

#[test]
fn a_forgotten_request_is_not_heard_of_again() {
    let mut world = World::new();
    let first = world.send(udp(ALICE), 9, Manner::default());
    world.endpoint.cancel(ClientToken(9));
    assert!(world.receive(&answer(&first[0], 200)).is_empty());
    assert!(world.run_to(60_000).is_empty());
    world.endpoint.cancel(ClientToken(9));
}

/// X2
#[test]
fn a_long_request_goes_by_tcp() {
    let mut world = World::new();
    let long = "x".repeat(1_300);
    let effects = world.send_body(udp(ALICE), 9, Manner::default(), &long).unwrap();
    assert_eq!(only(&effects).0, path(Transport::Tcp, ALICE, None));
    assert!(text(&effects).contains("\r\nVia: SIP/2.0/TCP 192.0.2.1:5060;branch="));
    assert_eq!(story(world.run_to(60_000)).0, [0; 0], "and once");
}

/// X2: the contact's own flow, behind a NAT.
#[test]
fn a_long_request_stays_with_udp_when_asked_to() {
    let mut world = World::new();
    let manner = Manner { udp_oversize: true, ..Manner::default() };
    let effects = world.send_body(udp(ALICE), 9, manner, &"x".repeat(1_300)).unwrap();
    assert_eq!(only(&effects).0, udp(ALICE));
    assert!(text(&effects).contains("Via: SIP/2.0/UDP "));
}

/// X2: exactly at the limit.
#[test]
fn a_request_of_1300_bytes_goes_by_udp() {
    let mut world = World::new();
    let short = text(&world.send_body(udp(ALICE), 1, Manner::default(), &"x".repeat(100)).unwrap());
    // "100" becomes a number of four digits.
    let body = "x".repeat(100 + 1_300 - short.len() - 1);
    let body = if body.len() < 1_000 { body + "x" } else { body };
    let effects = world.send_body(udp(ALICE), 2, Manner::default(), &body).unwrap();
    assert_eq!((only(&effects).1.len(), only(&effects).0), (1_300, udp(ALICE)));
    let effects = world.send_body(udp(ALICE), 3, Manner::default(), &(body + "x")).unwrap();
    assert_eq!(only(&effects).0.transport, Transport::Tcp);
}

#[test]
fn after_a_long_sleep_one_copy_is_sent_and_not_all_that_were_missed() {
    let mut world = World::new();
    world.send(udp(ALICE), 9, Manner::default());
    world.now.mono_us += 20_000_000;
    let mut out = Vec::new();
    world.endpoint.tick(world.now, &mut out);
    assert_eq!(sent(&out).len(), 1);
    let (times, ends) = story(world.run_to(100_000));
    assert!(times.len() <= 6, "{times:?}");
    assert_eq!(ends, [(32_000, 9, "timeout".to_owned())]);
}

/// T1: timers are counted from the send, not from the wake-up.
#[test]
fn late_wake_ups_do_not_add_up() {
    let mut world = World::new();
    world.send(udp(ALICE), 9, Manner::default());
    let mut out = Vec::new();
    for late in [510, 1_510, 3_510] {
        world.now.mono_us = world.start.mono_us + late * 1_000;
        world.endpoint.tick(world.now, &mut out);
    }
    assert_eq!(sent(&out).len(), 3);
    assert_eq!(story(world.run_to(12_000)).0, [7_500, 11_500]);
}
