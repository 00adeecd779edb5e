//! Goal: stored messages reach a user who comes online, in order, once. Method: a scripted
//! contact that has at most one message at a time.

use super::rig::{Rig, START_S, contact, unreachable};
use crate::inbox::{Effect, Inbox, Input, Settings};
use crate::vocab::{End, Outcome, Reach};
use std::time::Duration;

/// D1.
#[test]
fn a_registration_brings_all_messages_oldest_first() {
    let mut rig = Rig::holding(11);
    rig.register(&["a"]);
    rig.deliver_all();
    let expected: Vec<String> = (1..=11).map(|n| format!("{n}>a")).collect();
    assert_eq!(rig.sent, expected);
    assert_eq!((rig.store.len(), rig.inbox.held()), (0, Some(0)));
    assert_eq!((rig.loads, rig.counts), (3, 0), "three pages, and nothing read twice");
    assert!(rig.inbox.is_idle());
    assert_eq!(rig.wake_us, None);
}

#[test]
fn a_registration_with_an_empty_inbox_reads_nothing() {
    let mut rig = Rig::new();
    rig.register(&["a"]);
    assert_eq!((rig.loads, rig.counts), (0, 0));
}

#[test]
fn an_inbox_of_unknown_contents_is_read_and_then_known() {
    let mut rig = Rig::with(Settings::default(), None);
    rig.register(&["a"]);
    assert_eq!((rig.loads, rig.counts), (1, 0));
    assert_eq!(rig.holds, [Some(0)]);
}

/// D1: never on an unregistration, nor when a binding runs out.
#[test]
fn a_contact_that_leaves_starts_no_dump() {
    let mut rig = Rig::holding(1);
    rig.reach = Reach::new(vec![contact("a", 1, START_S + 99)]);
    rig.give(Input::Reach { reach: rig.reach.clone(), dump: false });
    assert_eq!(rig.loads, 0);
}

#[test]
fn contacts_that_do_not_take_messages_get_none() {
    let mut rig = Rig::holding(1);
    let mut deaf = contact("deaf", 1, START_S + 99);
    deaf.takes_messages = false;
    rig.register_these(vec![deaf, contact("old", 1, START_S)]);
    assert_eq!((rig.loads, rig.sent.len()), (0, 0));
}

/// D4.
#[test]
fn the_next_message_waits_for_the_final_response_to_the_one_before() {
    let mut rig = Rig::holding(3);
    rig.register(&["a", "b"]);
    assert_eq!(rig.sent, ["1>a"]);
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.sent, ["1>a", "2>a"]);
}

/// D8.
#[test]
fn a_refresh_during_a_dump_starts_no_second_one() {
    let mut rig = Rig::holding(3);
    rig.register(&["a"]);
    rig.register(&["a"]);
    rig.register(&["a"]);
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a", "3>a"]);
    assert_eq!(rig.loads, 1);
}

/// D12.
#[test]
fn an_unregistration_stops_the_dump_and_the_rest_is_kept() {
    let mut rig = Rig::holding(3);
    rig.register(&["a"]);
    rig.unregister();
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.sent, ["1>a"]);
    assert_eq!(rig.stored(), ["2", "3"]);
    assert!(rig.inbox.is_idle());
    assert_eq!(rig.wake_us, None);
}

/// D12.
#[test]
fn a_binding_that_runs_out_stops_the_dump() {
    let mut rig = Rig::holding(2);
    rig.register_these(vec![contact("a", 1, START_S + 10)]);
    rig.pass(Duration::from_secs(10));
    rig.answer(Outcome::Delivered);
    assert_eq!((rig.sent.len(), rig.stored()), (1, vec!["2".to_owned()]));
}

#[test]
fn the_contact_came_back_over_another_flow_and_gets_the_next_message_there() {
    let mut rig = Rig::holding(2);
    rig.register_these(vec![contact("a", 1, START_S + 10)]);
    rig.register_these(vec![contact("a", 2, START_S + 10)]);
    assert_eq!(rig.deliveries.len(), 1, "the first is still under way");
    rig.answer(unreachable());
    assert_eq!(rig.sent, ["1>a", "1>a"]);
    assert_eq!(rig.deliveries[0].contact.next_hop, contact("a", 2, 0).next_hop);
}

/// D7.
#[test]
fn an_expired_message_is_deleted_and_never_sent() {
    let mut rig = Rig::holding(3);
    rig.store.values_mut().next().unwrap().expires_s = START_S;
    rig.register(&["a"]);
    assert_eq!((rig.ends.clone(), rig.sent.clone()), (vec![End::Expired], vec!["2>a".to_owned()]));
    rig.store.values_mut().last().unwrap().expires_s = START_S + 5;
    rig.deliver_all();
    assert!(rig.store.is_empty());
}

/// D7.
#[test]
fn a_message_that_expires_between_reading_and_sending_is_not_sent() {
    let mut rig = Rig::holding(2);
    rig.store.values_mut().last().unwrap().expires_s = START_S + 5;
    rig.register(&["a"]);
    rig.pass(Duration::from_secs(5));
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.sent, ["1>a"]);
    assert_eq!(rig.ends, [End::Delivered, End::Expired]);
}

#[test]
fn a_message_that_expires_between_two_contacts_is_not_sent_to_the_second() {
    let mut rig = Rig::holding(1);
    rig.store.values_mut().next().unwrap().expires_s = START_S + 5;
    rig.register(&["a", "b"]);
    rig.pass(Duration::from_secs(5));
    rig.answer(unreachable());
    assert_eq!((rig.sent.clone(), rig.ends.clone()), (vec!["1>a".to_owned()], vec![End::Expired]));
}

#[test]
fn a_refusal_for_good_ends_the_message_like_a_delivery() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.answer(Outcome::Refused);
    assert_eq!((rig.ends.clone(), rig.store.len()), (vec![End::Delivered], 0));
}

#[test]
fn a_message_stored_while_the_last_page_goes_out_is_not_forgotten() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.submit(2);
    rig.answer(Outcome::Delivered);
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.sent, ["1>a", "2>a"]);
    assert!(rig.store.is_empty() && rig.inbox.is_idle());
}

#[test]
fn a_message_waits_for_an_earlier_one_that_is_not_durable_yet() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    rig.submit(1);
    rig.submit(2);
    let first = rig.kept_back.pop_front().unwrap();
    rig.release();
    rig.is_slow = false;
    rig.register(&["a"]);
    assert_eq!(rig.loads, 1);
    assert!(rig.sent.is_empty(), "2 must not overtake 1");
    let input = rig.run(&first, false);
    rig.give(input);
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a"]);
}

#[test]
fn a_message_with_a_stamp_behind_the_dump_is_found_all_the_same() {
    let mut rig = Rig::holding(2);
    rig.register(&["a"]);
    rig.answer(Outcome::Delivered);
    rig.put_behind(9, START_S - 2_000);
    rig.give(Input::Vanished { messages: 0 });
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a", "9>a"]);
    assert_eq!(rig.inbox.held(), Some(0));
}

#[test]
fn a_store_that_counts_more_than_it_shows_is_asked_ever_more_rarely() {
    let mut rig = Rig::holding(1);
    rig.is_slow = true;
    rig.register(&["a"]);
    let mut waits = Vec::new();
    while waits.len() < 4 {
        match rig.kept_back.pop_front() {
            Some(Effect::Load { op, .. }) => {
                rig.give(Input::Vanished { messages: 0 });
                rig.give(Input::Loaded { op, page: Some((Vec::new(), true)) });
            }
            Some(Effect::Count { op }) => rig.give(Input::Counted { op, messages: Some(1) }),
            Some(other) => panic!("{other:?}"),
            None => waits.push(rig.wake().as_secs()),
        }
    }
    assert_eq!(rig.loads, 6, "once for the registration, once more at once, then after a wait");
    assert!(waits.windows(2).all(|w| w[0] * 3 / 2 < w[1]), "{waits:?}");
}

#[test]
fn only_one_page_is_in_memory_whatever_the_inbox_holds() {
    let mut rig = Rig::holding(1_000);
    rig.page_messages = 16;
    rig.register(&["a"]);
    let mut most = 0;
    while !rig.deliveries.is_empty() {
        most = most.max(rig.inbox.observe().page);
        rig.answer(Outcome::Delivered);
    }
    assert_eq!((rig.sent.len(), most), (1_000, 15));
}

#[test]
fn an_inbox_that_was_put_aside_goes_on_with_its_back_off() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.answer(unreachable());
    let first = rig.wake();
    rig.answer(unreachable());
    let parked = rig.inbox.park().expect("a back-off to keep");
    let aor = rig.inbox.aor().clone();
    rig.inbox = Inbox::resume(aor, Settings::default(), Some(1), parked, 7);
    let reach = rig.reach.clone();
    rig.give(Input::Reach { reach, dump: false });
    assert_eq!(rig.sent.len(), 2);
    let second = rig.wake();
    assert_eq!(rig.sent.len(), 3);
    assert!(second > first * 3 / 2, "{first:?} {second:?}");
}

#[test]
fn a_wake_up_finds_an_inbox_that_forgot_its_schedule() {
    let mut rig = Rig::holding(1);
    rig.reach = Reach::new(vec![contact("a", 1, START_S + 99)]);
    rig.give(Input::Reach { reach: rig.reach.clone(), dump: false });
    rig.give(Input::Wake);
    assert_eq!(rig.sent, ["1>a"]);
}
