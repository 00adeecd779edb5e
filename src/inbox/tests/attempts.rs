//! Goal: what a failed delivery means for the contact, the message and those behind it.

use super::rig::{Rig, START_S, contact, unreachable};
use crate::inbox::settings::DEFERRED_MAX;
use crate::inbox::{Backoff, Settings};
use crate::vocab::Outcome;
use std::time::Duration;

const UNFIT: Outcome = Outcome::Unfit { code: 415 };
const REJECTED: Outcome = Outcome::Rejected { code: 403 };

fn exact(attempts_max: u16) -> Settings {
    let backoff = Backoff { jitter_percent: 0, ..Backoff::default() };
    Settings { attempts_max, backoff, ..Settings::default() }
}

#[test]
fn a_contact_that_cannot_be_had_is_left_alone_ever_longer() {
    let mut rig = Rig::holding_with(exact(2), 2);
    rig.register_these(vec![contact("a", 1, START_S + 1_000_000)]);
    let mut waits = Vec::new();
    for _ in 0..9 {
        rig.answer(unreachable());
        assert!(rig.inbox.is_idle());
        waits.push(rig.wake().as_secs());
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    assert!(rig.sent.iter().all(|s| s == "1>a"), "the message keeps its place");
    assert!(rig.dead.is_empty(), "it is not the fault of the message");
}

#[test]
fn retry_after_is_honoured_and_bounded() {
    let mut rig = Rig::holding_with(exact(0), 1);
    rig.register_these(vec![contact("a", 1, START_S + 1_000_000)]);
    for (asked_s, waits_s) in [(500, 500), (1, 60), (1_000_000, 3_600)] {
        let retry_after = Some(Duration::from_secs(asked_s));
        rig.answer(Outcome::Unreachable { retry_after, code: Some(503) });
        assert_eq!(rig.wake().as_secs(), waits_s);
    }
}

#[test]
fn a_refresh_ends_the_back_off_of_its_contact() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.answer(unreachable());
    assert_eq!(rig.sent.len(), 1);
    rig.register(&["a"]);
    assert_eq!(rig.sent, ["1>a", "1>a"]);
}

#[test]
fn a_trigger_without_a_newer_binding_counts_as_well() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.answer(unreachable());
    rig.register_these(rig.reach.contacts().to_vec());
    assert_eq!(rig.sent, ["1>a", "1>a"]);
}

#[test]
fn when_a_contact_fails_the_message_and_those_behind_it_go_to_the_next() {
    let mut rig = Rig::holding(2);
    rig.register(&["a", "b"]);
    rig.answer(unreachable());
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "1>b", "2>b"]);
}

/// D9.
#[test]
fn a_device_with_two_flows_is_tried_over_the_second_only_if_the_flow_failed() {
    let over_two_flows = || {
        let mut rig = Rig::holding(1);
        let mut flows = vec![contact("a", 1, START_S + 99), contact("b", 2, START_S + 99)];
        for flow in &mut flows {
            flow.instance = Some("urn:uuid:1".into());
        }
        rig.register_these(flows);
        rig
    };
    let mut rig = over_two_flows();
    rig.answer(Outcome::Unreachable { retry_after: None, code: Some(430) });
    assert_eq!(rig.sent, ["1>a", "1>b"]);
    let mut rig = over_two_flows();
    rig.answer(Outcome::Unreachable { retry_after: None, code: Some(486) });
    assert_eq!(rig.sent, ["1>a"]);
    let mut rig = over_two_flows();
    rig.answer(UNFIT);
    assert_eq!(rig.sent, ["1>a"]);
}

#[test]
fn a_rejected_message_does_not_hold_up_the_others_and_comes_after_them() {
    let mut rig = Rig::holding(3);
    rig.register(&["a"]);
    rig.answer(UNFIT);
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a", "3>a"]);
    assert_eq!(rig.store.values().next().unwrap().attempts, 1);
    assert!(rig.wake().as_secs() >= 30);
    rig.answer(Outcome::Delivered);
    assert_eq!((rig.sent.len(), rig.store.len()), (4, 0));
}

#[test]
fn messages_that_failed_in_an_earlier_life_come_after_fresh_ones() {
    let mut rig = Rig::holding(2);
    rig.store.values_mut().next().unwrap().attempts = 3;
    rig.register(&["a"]);
    rig.deliver_all();
    assert_eq!(rig.sent, ["2>a", "1>a"]);
}

#[test]
fn a_message_unfit_for_one_contact_goes_to_another_that_takes_it() {
    let mut rig = Rig::holding(2);
    rig.register(&["a", "b"]);
    rig.answer(UNFIT);
    rig.answer(Outcome::Delivered);
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.sent, ["1>a", "1>b", "2>a"]);
}

#[test]
fn a_message_that_everybody_rejects_becomes_a_dead_letter() {
    let mut rig = Rig::holding_with(exact(3), 1);
    rig.register_these(vec![
        contact("a", 1, START_S + 1_000_000),
        contact("b", 1, START_S + 1_000_000),
    ]);
    let mut waits = Vec::new();
    for attempt in 1..=3 {
        rig.answer(REJECTED);
        rig.answer(UNFIT);
        if attempt < 3 {
            waits.push(rig.wake().as_secs());
        }
    }
    assert_eq!(waits, [30, 60], "each attempt is one try at every contact");
    assert_eq!((rig.dead.len(), rig.store.len(), rig.inbox.held()), (1, 0, Some(0)));
    assert_eq!(rig.wake_us, None);
}

#[test]
fn attempts_of_an_earlier_life_count() {
    let mut rig = Rig::holding_with(exact(3), 1);
    rig.store.values_mut().next().unwrap().attempts = 2;
    rig.register(&["a"]);
    rig.answer(REJECTED);
    assert_eq!(rig.dead.len(), 1);
}

#[test]
fn a_rejected_message_keeps_its_time_over_a_refresh_but_not_over_a_new_device() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.answer(UNFIT);
    rig.register(&["a"]);
    assert_eq!(rig.sent, ["1>a"]);
    rig.register(&["b", "a"]);
    assert_eq!(rig.sent, ["1>a", "1>b"]);
}

#[test]
fn a_new_device_during_a_dump_gets_what_was_rejected_before_it_came() {
    let mut rig = Rig::holding(2);
    rig.register(&["a"]);
    rig.answer(UNFIT);
    rig.register(&["b", "a"]);
    rig.answer(Outcome::Delivered);
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a", "1>b"]);
}

#[test]
fn rejected_messages_do_not_make_live_ones_wait() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.answer(REJECTED);
    rig.submit(2);
    assert_eq!(rig.relays.len(), 1);
}

#[test]
fn contacts_that_reject_everything_are_not_asked_about_everything() {
    let many = u32::try_from(DEFERRED_MAX).unwrap() + 50;
    let mut rig = Rig::holding_with(exact(2), many);
    rig.page_messages = 64;
    rig.register_these(vec![contact("a", 1, START_S + 1_000_000)]);
    while !rig.deliveries.is_empty() {
        rig.answer(REJECTED);
    }
    assert_eq!(rig.sent.len(), DEFERRED_MAX);
    assert!(rig.inbox.is_idle());
    rig.wake();
    while !rig.deliveries.is_empty() {
        rig.answer(REJECTED);
    }
    assert_eq!(rig.dead.len(), DEFERRED_MAX);
    assert_eq!(rig.sent.len(), 2 * DEFERRED_MAX + 50, "those behind have their turn");
    rig.wake();
    rig.deliver_all();
    assert!(rig.store.is_empty());
}
