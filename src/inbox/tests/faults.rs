//! Goal: a store that fails costs time, and no message.

use super::rig::{Rig, START_S};
use crate::inbox::settings::REMOVALS_MAX;
use crate::inbox::{Input, Settings};
use crate::vocab::Outcome;

#[test]
fn a_page_that_cannot_be_read_is_read_later() {
    let mut rig = Rig::holding(1);
    rig.is_down = true;
    rig.register(&["a"]);
    assert!(rig.inbox.is_idle());
    let first = rig.wake();
    let second = rig.wake();
    assert!(second > first * 3 / 2, "{first:?} {second:?}");
    rig.is_down = false;
    rig.wake();
    assert_eq!(rig.sent, ["1>a"]);
}

#[test]
fn registrations_do_not_hammer_a_store_that_fails() {
    let mut rig = Rig::holding(1);
    rig.is_down = true;
    for _ in 0..10 {
        rig.register(&["a"]);
    }
    assert_eq!(rig.loads, 1);
}

#[test]
fn an_empty_page_that_is_not_the_last_is_no_reason_to_ask_again_at_once() {
    let mut rig = Rig::holding(1);
    rig.page_messages = 0;
    rig.register(&["a"]);
    assert_eq!(rig.loads, 1);
    rig.page_messages = 1;
    rig.wake();
    assert_eq!(rig.sent, ["1>a"]);
}

#[test]
fn what_was_delivered_is_not_sent_again_though_the_store_cannot_delete_it() {
    let mut rig = Rig::holding(2);
    rig.register(&["a"]);
    rig.is_down = true;
    rig.answer(Outcome::Delivered);
    rig.is_down = false;
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.stored(), ["1"]);
    assert!(!rig.inbox.is_idle(), "put aside, it would forget what it delivered");
    rig.register(&["a"]);
    assert_eq!(rig.sent, ["1>a", "2>a"]);
    rig.wake();
    assert!(rig.store.is_empty() && rig.inbox.is_idle());
    assert_eq!(rig.inbox.held(), Some(0));
}

#[test]
fn with_a_store_that_deletes_nothing_the_dump_stops_after_a_few_messages() {
    let mut rig = Rig::holding(100);
    rig.page_messages = 64;
    rig.register(&["a"]);
    rig.is_down = true;
    rig.deliver_all();
    assert_eq!(rig.sent.len(), REMOVALS_MAX);
    rig.is_down = false;
    while rig.sent.len() < 100 || !rig.deliveries.is_empty() {
        rig.deliver_all();
        if rig.sent.len() < 100 {
            rig.wake();
        }
    }
    while rig.wake_us.is_some() {
        rig.wake();
    }
    assert!(rig.store.is_empty());
    assert_eq!((rig.sent.len(), rig.inbox.held()), (100, Some(0)));
}

#[test]
fn a_page_read_before_a_delete_does_not_bring_the_message_back() {
    let mut rig = Rig::holding(5);
    rig.store.values_mut().next().unwrap().attempts = 1;
    rig.page_messages = 8;
    rig.register(&["a"]);
    rig.answer(Outcome::Delivered);
    rig.answer(Outcome::Delivered);
    rig.answer(Outcome::Delivered);
    rig.is_slow = true;
    rig.answer(Outcome::Delivered);
    // The second round reads the inbox while the delete of 5 is under way.
    let delete = rig.kept_back.pop_front().unwrap();
    let load = rig.kept_back.pop_front().unwrap();
    let page = rig.run(&load, false);
    let removed = rig.run(&delete, false);
    rig.is_slow = false;
    rig.give(page);
    rig.give(removed);
    rig.deliver_all();
    assert_eq!(rig.sent, ["2>a", "3>a", "4>a", "5>a", "1>a"]);
}

#[test]
fn messages_that_vanish_are_counted_out() {
    let mut rig = Rig::with(Settings { max_messages: 2, ..Settings::default() }, Some(0));
    rig.submit(1);
    rig.submit(2);
    rig.store.clear();
    rig.give(Input::Vanished { messages: 2 });
    assert_eq!((rig.inbox.held(), rig.holds.last()), (Some(0), Some(&Some(0))));
    rig.submit(3);
    assert_eq!(rig.stored(), ["3"]);
}

#[test]
fn a_message_that_was_swept_and_deleted_is_not_counted_out_twice() {
    let mut rig = Rig::holding(2);
    rig.register(&["a"]);
    // The first is swept while the contact has it.
    let first = *rig.store.keys().next().unwrap();
    rig.store.remove(&first);
    rig.give(Input::Vanished { messages: 1 });
    assert_eq!(rig.inbox.held(), Some(1));
    rig.unregister();
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.inbox.held(), Some(1), "the second is still there");
    rig.register(&["a"]);
    assert_eq!(rig.sent, ["1>a", "2>a"]);
}

#[test]
fn a_sweep_during_a_count_makes_it_count_again() {
    let mut rig = Rig::with(Settings::default(), None);
    rig.put_behind(1, START_S - 9);
    rig.is_slow = true;
    rig.give(Input::Vanished { messages: 1 });
    let count = rig.kept_back.pop_front().unwrap();
    let counted = rig.run(&count, false);
    rig.store.clear();
    rig.give(Input::Vanished { messages: 1 });
    rig.is_slow = false;
    rig.give(counted);
    assert_eq!((rig.counts, rig.inbox.held()), (2, Some(0)));
}

#[test]
fn a_count_runs_alone() {
    let mut rig = Rig::holding(1);
    rig.is_slow = true;
    rig.submit(1);
    rig.submit(2);
    rig.release();
    assert_eq!(rig.counts, 0, "a put is still under way");
    rig.submit(3);
    assert_eq!(rig.kept_back.len(), 1, "and no other begins");
    rig.release();
    assert_eq!(rig.counts, 1);
    rig.is_slow = false;
    rig.release();
    assert_eq!((rig.inbox.held(), rig.stored().len()), (Some(3), 3));
}

#[test]
fn a_rejected_message_that_was_swept_is_looked_for_once() {
    let mut rig = Rig::holding(2);
    rig.register(&["a"]);
    rig.answer(Outcome::Rejected { code: 403 });
    rig.answer(Outcome::Rejected { code: 403 });
    rig.store.pop_first();
    let loads = rig.loads;
    rig.wake();
    while rig.wake_us.is_some() && rig.deliveries.is_empty() {
        rig.wake();
    }
    assert_eq!(rig.sent.len(), 3);
    rig.answer(Outcome::Delivered);
    assert!(rig.store.is_empty());
    assert!(rig.loads - loads <= 5, "{} loads", rig.loads - loads);
}
