//! Goal: what a sender is told, and what is kept. Method: one submission at a time, a scripted
//! store.

use super::rig::{Rig, START_S, aor, submission, unreachable};
use crate::inbox::{Effect, Inbox, Input, LiveResult, PutResult, Settings};
use crate::vocab::limits::AOR_PENDING_MAX;
use crate::vocab::{Answer, Outcome};

fn limited(max_messages: u32) -> Settings {
    Settings { max_messages, ..Settings::default() }
}

/// S1.
#[test]
fn a_sender_is_told_stored_only_after_the_store_has_the_message() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    rig.submit(1);
    assert!(matches!(rig.kept_back[0], Effect::Put { .. }));
    assert_eq!(rig.answers(), []);
    rig.release();
    assert_eq!(rig.answers(), [(1, Answer::Stored)]);
    assert_eq!(rig.inbox.held(), Some(1));
}

#[test]
fn the_inbox_counts_as_occupied_from_the_put_on() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    rig.submit(1);
    assert_eq!(rig.holds, [Some(1)]);
    rig.release();
    rig.is_slow = false;
    assert_eq!(rig.holds, [Some(1)]);
    rig.register(&["a"]);
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.holds, [Some(1), Some(0)]);
}

#[test]
fn stamps_rise_even_when_the_clock_does_not() {
    let mut rig = Rig::new();
    for n in 1..=3 {
        rig.submit(n);
    }
    let stamps: Vec<i64> = rig.store.keys().map(|k| k.inc_us - rig.now.unix_us).collect();
    assert_eq!(stamps, [0, 1, 2]);
    assert_eq!(rig.stored(), ["1", "2", "3"]);
}

#[test]
fn a_store_that_fails_is_reported_and_the_number_becomes_unknown() {
    let mut rig = Rig::new();
    rig.is_down = true;
    rig.submit(1);
    assert_eq!(rig.answers(), [(1, Answer::StoreDown)]);
    assert_eq!((rig.inbox.held(), rig.holds.last()), (None, Some(&None)));
}

#[test]
fn the_same_message_twice_at_once_is_one_copy_and_two_answers() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    rig.submit_this(submission(7, Some(START_S + 9)), 1);
    rig.submit_this(submission(7, Some(START_S + 9)), 2);
    assert_eq!(rig.kept_back.len(), 1);
    assert_eq!(rig.answers(), []);
    rig.release();
    assert_eq!(rig.answers(), [(1, Answer::Stored), (2, Answer::Duplicate)]);
}

#[test]
fn a_copy_that_joined_a_failed_put_is_told_so_too() {
    let mut rig = Rig::new();
    (rig.is_slow, rig.is_down) = (true, true);
    rig.submit_this(submission(7, Some(START_S + 9)), 1);
    rig.submit_this(submission(7, Some(START_S + 9)), 2);
    rig.release();
    assert_eq!(rig.answers(), [(1, Answer::StoreDown), (2, Answer::StoreDown)]);
}

#[test]
fn a_copy_of_what_was_just_stored_is_not_relayed_to_a_user_who_came_online() {
    let mut rig = Rig::new();
    rig.submit(1);
    rig.register(&["a"]);
    rig.deliver_all();
    rig.submit_this(submission(1, Some(START_S + 9)), 2);
    assert_eq!(rig.answers(), [(1, Answer::Stored), (2, Answer::Duplicate)]);
    assert!(rig.relays.is_empty());
}

#[test]
fn a_copy_of_what_was_just_relayed_is_not_relayed_again() {
    let mut rig = Rig::new();
    rig.register(&["a"]);
    rig.submit_this(submission(7, Some(START_S + 9)), 1);
    rig.relay_ends(LiveResult::Passed);
    rig.submit_this(submission(7, Some(START_S + 9)), 2);
    assert_eq!(rig.answers(), [(2, Answer::Relayed)]);
    rig.submit_this(submission(8, Some(START_S + 9)), 3);
    rig.relay_ends(LiveResult::Refused);
    rig.submit_this(submission(8, Some(START_S + 9)), 4);
    assert_eq!(rig.answers(), [(4, Answer::Declined)]);
    assert!(rig.store.is_empty());
}

/// The copy may come to an inbox that began after the message was stored.
#[test]
fn a_copy_of_what_was_just_delivered_is_not_relayed() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.deliver_all();
    rig.submit_this(submission(1, Some(START_S + 9)), 1);
    assert_eq!(rig.answers(), [(1, Answer::Duplicate)]);
    assert!(rig.relays.is_empty());
}

/// While its contact is left alone a new message is tried live, past the stored one.
#[test]
fn a_copy_of_a_stored_message_is_known_after_the_inbox_was_put_aside() {
    let mut rig = Rig::new();
    rig.register(&["a"]);
    rig.submit_this(submission(7, Some(START_S + 9)), 1);
    rig.relay_ends(LiveResult::Failed);
    let parked = rig.inbox.park().expect("a contact to leave alone");
    rig.inbox = Inbox::resume(aor(), Settings::default(), Some(1), parked, 7);
    rig.submit_this(submission(7, Some(START_S + 9)), 2);
    assert_eq!(rig.answers(), [(1, Answer::Stored), (2, Answer::Duplicate)]);
    assert!(rig.relays.is_empty());
}

#[test]
fn a_copy_that_waited_while_its_message_was_delivered_is_not_relayed() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.is_slow = true;
    rig.give(Input::Vanished { messages: 0 });
    rig.submit_this(submission(1, Some(START_S + 9)), 1);
    assert_eq!(rig.answers(), [], "the inbox is being counted");
    rig.answer(Outcome::Delivered);
    rig.release();
    assert_eq!(rig.answers(), [(1, Answer::Duplicate)]);
    assert!(rig.relays.is_empty());
}

/// A user whose phone does not answer gets new messages live, past those that wait.
#[test]
fn a_copy_of_a_message_that_could_not_be_delivered_is_not_relayed() {
    let mut rig = Rig::holding(3);
    rig.register(&["a"]);
    rig.answer(unreachable());
    for n in 1..=3 {
        rig.submit_this(submission(n, Some(START_S + 9)), n);
        assert_eq!(rig.answers(), [(u64::from(n), Answer::Duplicate)]);
    }
    rig.submit_this(submission(4, Some(START_S + 9)), 4);
    assert_eq!(rig.relays.len(), 1);
}

/// The put may have happened all the same: then the owner would get the message twice.
#[test]
fn a_message_whose_put_failed_is_not_relayed_when_its_sender_tries_again() {
    let mut rig = Rig::new();
    rig.is_down = true;
    rig.submit_this(submission(7, Some(START_S + 9)), 1);
    assert_eq!(rig.answers(), [(1, Answer::StoreDown)]);
    rig.is_down = false;
    rig.register(&["a"]);
    rig.submit_this(submission(7, Some(START_S + 9)), 2);
    assert_eq!(rig.answers(), [(2, Answer::Stored)]);
    rig.answer(Outcome::Delivered);
    assert_eq!(rig.store.len(), 0);
}

#[test]
fn a_message_that_the_store_has_already_is_a_duplicate_and_the_inbox_is_counted() {
    let mut rig = Rig::new();
    rig.put_behind(1, START_S);
    rig.submit(1);
    assert_eq!(rig.answers(), [(1, Answer::Duplicate)]);
    assert_eq!((rig.counts, rig.inbox.held()), (1, Some(1)));
}

/// S13.
#[test]
fn equal_texts_with_different_identities_are_two_messages() {
    let mut rig = Rig::new();
    for n in [1, 2] {
        let mut submission = submission(n, Some(START_S + 9));
        submission.body = "same".into();
        rig.submit_this(submission, n);
    }
    assert_eq!(rig.stored(), ["same", "same"]);
}

/// S12.
#[test]
fn now_or_never_is_never_stored() {
    let mut rig = Rig::new();
    rig.submit_this(submission(1, None), 1);
    assert_eq!(rig.answers(), [(1, Answer::NotKept)]);
    rig.register(&["a"]);
    rig.submit_this(submission(2, None), 2);
    rig.relay_ends(LiveResult::Failed);
    assert_eq!(rig.answers(), [(2, Answer::NotKept)]);
    assert!(rig.store.is_empty() && rig.kept_back.is_empty());
    assert_eq!(rig.wake_us, None);
}

/// S16.
#[test]
fn typing_notices_for_nobody_are_discarded() {
    let mut rig = Rig::new();
    let mut typing = submission(1, Some(START_S + 9));
    typing.storable = false;
    rig.submit_this(typing.clone(), 1);
    assert_eq!(rig.answers(), [(1, Answer::Discarded)]);
    rig.register(&["a"]);
    rig.submit_this(typing, 2);
    assert_eq!(rig.relays.len(), 1);
}

/// S11.
#[test]
fn a_message_past_its_time_is_refused_even_if_the_user_is_there() {
    let mut rig = Rig::new();
    rig.register(&["a"]);
    rig.submit_this(submission(1, Some(START_S)), 1);
    assert_eq!(rig.answers(), [(1, Answer::Expired)]);
    assert!(rig.relays.is_empty());
}

/// S10.
#[test]
fn a_full_mailbox_refuses_and_puts_under_way_count() {
    let mut rig = Rig::with(limited(2), Some(0));
    rig.is_slow = true;
    for n in 1..=3 {
        rig.submit(n);
    }
    assert_eq!(rig.answers(), [(3, Answer::MailboxFull)]);
    rig.release();
    rig.release();
    assert_eq!(rig.answers(), [(1, Answer::Stored), (2, Answer::Stored)]);
}

#[test]
fn dead_letters_and_delivered_messages_make_room() {
    let mut rig = Rig::with(Settings { attempts_max: 1, ..limited(2) }, Some(0));
    rig.submit(1);
    rig.submit(2);
    rig.register(&["a"]);
    rig.answer(Outcome::Rejected { code: 403 });
    rig.answer(Outcome::Delivered);
    assert_eq!((rig.dead.len(), rig.inbox.held()), (1, Some(0)));
    rig.unregister();
    rig.submit(3);
    rig.submit(4);
    rig.submit(5);
    assert_eq!(rig.answers().last(), Some(&(5, Answer::MailboxFull)));
}

#[test]
fn with_a_limit_an_unknown_inbox_is_counted_before_anything_is_stored() {
    let mut rig = Rig::with(limited(2), None);
    rig.put_behind(9, START_S - 9);
    rig.is_slow = true;
    for n in 1..=3 {
        rig.submit(n);
    }
    assert_eq!(rig.kept_back.len(), 1);
    rig.is_slow = false;
    rig.release();
    assert_eq!(
        rig.answers(),
        [(2, Answer::MailboxFull), (3, Answer::MailboxFull), (1, Answer::Stored)]
    );
    assert_eq!(rig.counts, 1);
}

#[test]
fn when_the_count_fails_a_limited_inbox_takes_nothing() {
    let mut rig = Rig::with(limited(2), None);
    rig.is_down = true;
    rig.submit(1);
    assert_eq!(rig.answers(), [(1, Answer::StoreDown)]);
    assert!(rig.inbox.is_idle());
}

#[test]
fn without_a_limit_nothing_is_counted_for_an_offline_user() {
    let mut rig = Rig::with(limited(0), None);
    rig.submit(1);
    assert_eq!((rig.answers(), rig.counts), (vec![(1, Answer::Stored)], 0));
}

#[test]
fn too_many_waiting_senders_are_turned_away() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    let max = u32::try_from(AOR_PENDING_MAX).unwrap();
    for n in 1..=max + 1 {
        rig.submit(n);
    }
    rig.submit_this(submission(1, Some(START_S + 9)), max + 2);
    let turned_away = |n: u32| (u64::from(n), Answer::Overloaded);
    assert_eq!(rig.answers(), [turned_away(max + 1), turned_away(max + 2)]);
}

/// S2.
#[test]
fn a_user_who_is_there_gets_the_message_live() {
    let mut rig = Rig::new();
    rig.register(&["a"]);
    rig.submit(1);
    rig.submit(2);
    assert_eq!(rig.relays.len(), 2, "senders do not wait for each other");
    rig.relay_ends(LiveResult::Passed);
    rig.relay_ends(LiveResult::Passed);
    assert_eq!(rig.answers(), []);
    assert!(rig.store.is_empty() && rig.inbox.is_idle());
}

/// S3.
#[test]
fn a_message_that_no_contact_took_live_is_stored_and_tried_again_later() {
    let mut rig = Rig::new();
    rig.register(&["a"]);
    rig.submit(1);
    rig.relay_ends(LiveResult::Failed);
    assert_eq!(rig.answers(), [(1, Answer::Stored)]);
    assert!(rig.sent.is_empty(), "the contact has just failed");
    assert!(rig.wake().as_secs() >= 30);
    assert_eq!(rig.sent, ["1>a"]);
}

#[test]
fn a_copy_of_a_message_that_is_being_relayed_joins_it() {
    let mut rig = Rig::new();
    rig.register(&["a"]);
    rig.submit_this(submission(1, Some(START_S + 9)), 1);
    rig.submit_this(submission(1, Some(START_S + 9)), 2);
    assert_eq!(rig.relays.len(), 1);
    rig.relay_ends(LiveResult::Passed);
    assert_eq!(rig.answers(), [(2, Answer::Relayed)]);
}

/// D5.
#[test]
fn while_stored_messages_go_out_a_new_one_is_stored_behind_them() {
    let mut rig = Rig::holding(2);
    rig.register(&["a"]);
    rig.submit(3);
    assert_eq!(rig.answers(), [(3, Answer::Stored)]);
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a", "3>a"]);
    assert!(rig.relays.is_empty());
}

#[test]
fn a_message_for_a_user_who_just_came_online_goes_behind_one_that_is_being_stored() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    rig.submit(1);
    rig.register(&["a"]);
    rig.submit(2);
    assert!(rig.relays.is_empty());
    rig.is_slow = false;
    rig.release();
    rig.release();
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a"]);
}

#[test]
fn an_inbox_of_unknown_contents_is_counted_before_a_message_may_overtake() {
    let mut rig = Rig::with(Settings::default(), None);
    rig.put_behind(1, START_S - 9);
    rig.register(&[]);
    rig.reach = crate::vocab::Reach::new(vec![super::rig::contact("a", 1, START_S + 99)]);
    rig.submit(2);
    assert_eq!(rig.counts, 1);
    rig.deliver_all();
    assert_eq!(rig.sent, ["1>a", "2>a"]);
}

#[test]
fn when_stored_messages_cannot_go_out_a_live_one_is_tried_and_opens_the_way() {
    let mut rig = Rig::holding(1);
    rig.register(&["a"]);
    rig.answer(unreachable());
    rig.submit(2);
    assert_eq!(rig.relays.len(), 1);
    rig.relay_ends(LiveResult::Passed);
    assert_eq!(rig.sent, ["1>a", "1>a"], "somebody is there after all");
}

#[test]
fn answers_that_were_not_asked_for_are_ignored() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    rig.submit(1);
    let op = crate::inbox::Op(1);
    rig.give(Input::PutDone { op, result: PutResult::Stored });
    rig.give(Input::Loaded { op, page: None });
    rig.give(Input::Removed { op, ok: false });
    rig.give(Input::Outcome { op, outcome: Outcome::Delivered });
    rig.give(Input::LiveDone { op, result: LiveResult::Failed });
    rig.give(Input::Counted { op, messages: Some(7) });
    assert_eq!((rig.answers(), rig.inbox.held()), (vec![], Some(0)));
    rig.release();
    assert_eq!(rig.answers(), [(1, Answer::Stored)]);
}

#[test]
fn an_answer_for_an_earlier_life_is_not_taken_for_one_of_this() {
    let mut first = Rig::new();
    first.is_slow = true;
    first.submit(1);
    let mut second = Rig::new();
    second.inbox = Inbox::new(aor(), Settings::default(), Some(0), 43);
    second.is_slow = true;
    second.submit(2);
    let old = first.kept_back.pop_front().unwrap();
    let answer = first.run(&old, false);
    second.give(answer);
    assert_eq!(second.answers(), []);
}
