//! A message comes in: it is refused, relayed live, or stored.
//!
//! A submission is *waiting* for a count, *putting*, or *relaying*; each of them ends in one
//! answer to everybody who waits for it. Nothing is kept of it afterwards but its identity.

use super::Inbox;
use super::io::{Effect, LiveResult, Op, PutResult, Waiter};
use super::settings::RECENT_MAX;
use crate::vocab::limits::AOR_PENDING_MAX;
use crate::vocab::{Answer, Key, Message, MessageId, Now, Reach, Submission};
use std::collections::VecDeque;
use std::sync::Arc;

/// Whether to decide without knowing how many messages are held, because the count failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blind {
    Yes,
    No,
}

/// A submission that is not at the store nor with a contact.
#[derive(Clone, Debug)]
struct Arrival {
    submission: Box<Submission>,
    /// The lowest stamp it may get.
    inc_us: i64,
    /// A live relay has failed already.
    was_relayed: bool,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Until the messages held are counted.
    Waiting(Arrival),
    /// The store is at it.
    Putting { op: Op, key: Key },
    /// The contacts are at it.
    Relaying { op: Op, arrival: Arrival, reach: Reach },
}

/// A submission without its answer.
#[derive(Clone, Debug)]
struct Pending {
    id: MessageId,
    first: Waiter,
    /// Who submitted the same message meanwhile.
    joined: Vec<Waiter>,
    stage: Stage,
}

/// What is to be done with an arrival.
enum Plan {
    /// Nothing is kept: it is a copy, or cannot be taken.
    Answer(Answer),
    Count,
    Relay,
    Put {
        expires_s: i64,
    },
}

/// All submissions without their answers, in order of arrival.
#[derive(Clone, Debug, Default)]
pub(super) struct Submissions {
    pending: Vec<Pending>,
    pub(super) memory: Memory,
}

/// Identities of late, so that a copy of a message is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Stored, relayed or delivered, newest last, and what a copy is told.
    recent: VecDeque<(MessageId, Answer)>,
    /// Put without success: the store may have them. Newest last.
    doubtful: VecDeque<MessageId>,
}

impl Submissions {
    /// How many senders wait for an answer.
    pub(super) fn waiters(&self) -> usize {
        self.pending.iter().map(|p| 1 + p.joined.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many are on their way to the store.
    pub(super) fn putting(&self) -> usize {
        self.pending.iter().filter(|p| matches!(p.stage, Stage::Putting { .. })).count()
    }

    pub(super) fn relaying(&self) -> usize {
        self.pending.iter().filter(|p| matches!(p.stage, Stage::Relaying { .. })).count()
    }

    /// True while a message that was accepted no later than `key` is not durable yet: nothing
    /// behind it may be sent before.
    pub(super) fn fences(&self, key: Key) -> bool {
        self.pending.iter().any(|p| matches!(p.stage, Stage::Putting { key: k, .. } if k <= key))
    }

    fn take(&mut self, is_it: impl Fn(&Stage) -> bool) -> Option<Pending> {
        let index = self.pending.iter().position(|p| is_it(&p.stage))?;
        Some(self.pending.remove(index))
    }
}

impl Memory {
    /// A message was stored, relayed or delivered: its copies are told `again`.
    pub(super) fn remember(&mut self, id: MessageId, again: Answer) {
        self.doubtful.retain(|doubtful| *doubtful != id);
        self.recent.retain(|(recent, _)| *recent != id);
        keep(&mut self.recent, (id, again));
    }

    /// What a copy of such a message is told.
    fn again(&self, id: MessageId) -> Option<Answer> {
        let known = self.recent.iter().find(|(recent, _)| *recent == id);
        known.map(|(_, again)| again.clone())
    }

    /// True when the store may have a message of which nobody was told so.
    pub(super) fn has_doubts(&self) -> bool {
        !self.doubtful.is_empty()
    }

    fn doubt(&mut self, id: MessageId) {
        if !self.doubtful.contains(&id) {
            keep(&mut self.doubtful, id);
        }
    }
}

/// Adds to a memory of which the newest entries are kept.
fn keep<T>(memory: &mut VecDeque<T>, entry: T) {
    if memory.len() >= RECENT_MAX {
        memory.pop_front();
    }
    memory.push_back(entry);
}

impl Pending {
    /// Tells everybody. Those who joined submitted a message that was there already.
    fn answer(self, answer: Answer, out: &mut Vec<Effect>) {
        let again = if answer == Answer::Stored { Answer::Duplicate } else { answer.clone() };
        out.push(Effect::Reply { waiter: self.first, answer });
        for waiter in self.joined {
            out.push(Effect::Reply { waiter, answer: again.clone() });
        }
    }
}

impl Inbox {
    pub(super) fn submit(
        &mut self,
        submission: Box<Submission>,
        waiter: Waiter,
        inc_us: i64,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let id = submission.id;
        if self.submissions.waiters() >= AOR_PENDING_MAX {
            out.push(Effect::Reply { waiter, answer: Answer::Overloaded });
        } else if let Some(first) = self.submissions.pending.iter_mut().find(|p| p.id == id) {
            first.joined.push(waiter);
        } else {
            let arrival = Arrival { submission, inc_us, was_relayed: false };
            self.admit(arrival, (waiter, Vec::new()), Blind::No, now, out);
        }
    }

    /// Decides what becomes of an arrival, and starts it.
    fn admit(
        &mut self,
        arrival: Arrival,
        (first, joined): (Waiter, Vec<Waiter>),
        blind: Blind,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let id = arrival.submission.id;
        let plan = self.plan(&arrival, blind, now);
        let stage = match plan {
            Plan::Answer(answer) => {
                let stage = Stage::Waiting(arrival);
                Pending { id, first, joined, stage }.answer(answer, out);
                return;
            }
            Plan::Count => {
                if !self.tally.is_counting() {
                    self.tally.want();
                }
                Stage::Waiting(arrival)
            }
            Plan::Relay => {
                let op = self.new_op();
                let live = self.reach.for_messages(now.unix_us).cloned().collect();
                let reach = Reach::new(live);
                out.push(Effect::Relay { op, waiter: first, reach: reach.clone() });
                Stage::Relaying { op, arrival, reach }
            }
            Plan::Put { expires_s } => {
                let op = self.new_op();
                let inc_us = self.stamp(arrival.inc_us);
                let message = Message::accept(*arrival.submission, inc_us, expires_s);
                let key = message.key;
                self.dump.spoil();
                out.push(Effect::Put { op, message: Arc::new(message) });
                Stage::Putting { op, key }
            }
        };
        self.submissions.pending.push(Pending { id, first, joined, stage });
    }

    fn plan(&self, arrival: &Arrival, blind: Blind, now: Now) -> Plan {
        let submission = &*arrival.submission;
        if let Some(answer) = self.submissions.memory.again(submission.id) {
            return Plan::Answer(answer);
        }
        if submission.expires_s.is_some_and(|s| s <= now.unix_s()) {
            return Plan::Answer(Answer::Expired);
        }
        // What the store may have is not relayed: it would come to the owner twice.
        let may_relay =
            !arrival.was_relayed && !self.submissions.memory.doubtful.contains(&submission.id);
        let is_live = may_relay && self.is_online(now);
        let expires_s = match submission.expires_s {
            Some(expires_s) if submission.storable => expires_s,
            Some(_) | None if is_live => return Plan::Relay,
            Some(_) | None if submission.storable => return Plan::Answer(Answer::NotKept),
            Some(_) | None => return Plan::Answer(Answer::Discarded),
        };
        // Writes and decisions that need the number wait for the count, in order of arrival.
        if self.tally.is_counting() {
            return Plan::Count;
        }
        if is_live {
            match (self.must_queue(now), blind) {
                (Some(true), _) => {}
                (Some(false), _) | (None, Blind::Yes) => return Plan::Relay,
                (None, Blind::No) => return Plan::Count,
            }
        }
        match (self.settings.max_messages, self.tally.held(), blind) {
            (0, _, _) => Plan::Put { expires_s },
            (_, None, Blind::No) => Plan::Count,
            (_, None, Blind::Yes) => Plan::Answer(Answer::StoreDown),
            (max, Some(held), _) => {
                let putting = u32::try_from(self.submissions.putting()).unwrap_or(u32::MAX);
                if held.saturating_add(putting) < max {
                    Plan::Put { expires_s }
                } else {
                    Plan::Answer(Answer::MailboxFull)
                }
            }
        }
    }

    /// True when a message for a user who is online has to go behind others that are on their
    /// way to him. `None` when that cannot be told before the messages held are counted.
    fn must_queue(&self, now: Now) -> Option<bool> {
        if self.dump.is_active() {
            return Some(true);
        }
        if !self.is_reachable(now) || self.dump.is_resting(now) || self.retries.is_full() {
            return Some(false);
        }
        if self.submissions.putting() > 0 {
            return Some(true);
        }
        self.tally.held().map(|held| held > self.accounted())
    }

    /// The count is over: those who waited for it are admitted, in order.
    pub(super) fn admit_waiting(&mut self, blind: Blind, now: Now, out: &mut Vec<Effect>) {
        for pending in std::mem::take(&mut self.submissions.pending) {
            let Pending { id, first, joined, stage } = pending;
            match stage {
                Stage::Waiting(arrival) => self.admit(arrival, (first, joined), blind, now, out),
                Stage::Putting { .. } | Stage::Relaying { .. } => {
                    self.submissions.pending.push(Pending { id, first, joined, stage });
                }
            }
        }
    }

    pub(super) fn put_done(&mut self, op: Op, result: PutResult, now: Now, out: &mut Vec<Effect>) {
        let is_it = |s: &Stage| matches!(s, Stage::Putting { op: o, .. } if *o == op);
        let Some(pending) = self.submissions.take(is_it) else { return };
        let answer = match (result, &pending.stage) {
            (PutResult::Stored, Stage::Putting { key, .. }) => {
                self.tally.add();
                self.submissions.memory.remember(pending.id, Answer::Duplicate);
                self.arrived(*key, now);
                Answer::Stored
            }
            // The first copy may be one that was put without an answer: it is not in the number.
            (PutResult::Duplicate, _) => {
                self.submissions.memory.remember(pending.id, Answer::Duplicate);
                self.tally.want();
                Answer::Duplicate
            }
            (PutResult::Failed | PutResult::Stored, _) => {
                self.tally.lose();
                self.submissions.memory.doubt(pending.id);
                Answer::StoreDown
            }
        };
        pending.answer(answer, out);
    }

    pub(super) fn live_done(
        &mut self,
        op: Op,
        result: LiveResult,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let is_it = |s: &Stage| matches!(s, Stage::Relaying { op: o, .. } if *o == op);
        let Some(Pending { id, first, joined, stage }) = self.submissions.take(is_it) else {
            return;
        };
        let Stage::Relaying { mut arrival, reach, .. } = stage else { return };
        match result {
            LiveResult::Passed | LiveResult::Refused => {
                let again = match result {
                    LiveResult::Refused => Answer::Declined,
                    LiveResult::Passed | LiveResult::Failed => Answer::Relayed,
                };
                self.submissions.memory.remember(id, again.clone());
                // The relay has answered the first; whoever joined is told here.
                for waiter in joined {
                    out.push(Effect::Reply { waiter, answer: again.clone() });
                }
                self.found_alive(now);
            }
            LiveResult::Failed => {
                if arrival.submission.storable && arrival.submission.expires_s.is_some() {
                    self.found_dead(&reach, now);
                }
                arrival.was_relayed = true;
                self.admit(arrival, (first, joined), Blind::No, now, out);
            }
        }
    }
}
