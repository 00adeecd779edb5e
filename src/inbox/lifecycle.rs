//! The owner comes and goes, time passes, the inbox is put aside and taken up again.

use super::Inbox;
use super::dump::Phase;
use super::io::Effect;
use super::retry::Retries;
use super::submit::Memory;
use crate::vocab::{Key, Now, Reach};

/// What an idle inbox knows that the store does not: whom not to try yet, and what came lately.
/// Whoever passivates an
/// inbox keeps this (it is small) and hands it to [`Inbox::resume`]; if it is lost, back-off
/// begins anew and nothing else happens.
#[derive(Clone, Debug)]
pub struct Parked {
    retries: Retries,
    reach: Reach,
    wanted: bool,
    /// While contacts are left alone, messages are relayed past those that wait for them: a copy
    /// of one that waits must be known.
    memory: Memory,
}

impl Parked {
    pub(super) fn of(inbox: &Inbox) -> Self {
        Self {
            retries: inbox.retries.clone(),
            reach: inbox.reach.clone(),
            wanted: inbox.dump.is_wanted(),
            memory: inbox.submissions.memory.clone(),
        }
    }

    pub(super) fn restore(self, inbox: &mut Inbox) {
        inbox.retries = self.retries;
        inbox.submissions.memory = self.memory;
        inbox.reach = self.reach;
        inbox.dump.has_run = true;
        if self.wanted {
            inbox.dump.want();
        }
    }
}

/// An inbox at a glance, for tests and operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Where the dump is: `idle`, `loading`, `ready` or `sending`.
    pub dump: &'static str,
    /// Messages in the store; `None` = not known.
    pub held: Option<u32>,
    /// The message that a contact has.
    pub in_flight: Option<Key>,
    /// Messages read and not looked at yet.
    pub page: usize,
    /// Senders without an answer.
    pub waiters: usize,
    /// Messages on their way into the store.
    pub putting: usize,
    /// Messages that live contacts have.
    pub relaying: usize,
    /// Messages on their way out of the store.
    pub removing: usize,
    /// Rejected messages that wait for their time.
    pub deferred: usize,
    /// Contacts that are left alone for a while.
    pub struck: usize,
}

impl Inbox {
    /// True when some binding that takes messages is live.
    pub(super) fn is_online(&self, now: Now) -> bool {
        self.reach.for_messages(now.unix_us).next().is_some()
    }

    /// True when some live contact may be tried just now.
    pub(super) fn is_reachable(&self, now: Now) -> bool {
        self.reach.for_messages(now.unix_us).any(|c| self.retries.allow(c, now))
    }

    pub(super) fn reached(&mut self, reach: Reach, dump: bool, now: Now) {
        let is_new = |uri: &str| !self.reach.contacts().iter().any(|c| *c.uri == *uri);
        let has_newcomer = dump && reach.for_messages(now.unix_us).any(|c| is_new(&c.uri));
        self.reach = reach;
        self.retries.keep_only(&self.reach);
        if !self.is_online(now) {
            self.dump.drop_wish();
            return;
        }
        if !dump {
            return;
        }
        self.dump.trust();
        if has_newcomer {
            self.retries.hasten(now);
        }
        if !self.is_reachable(now) {
            // Somebody says that the user is there, though no binding is newer than its failure.
            self.retries.forgive();
        }
        // A pass under way has everything in view but what was put off during it.
        if !self.dump.is_active() || has_newcomer {
            self.dump.want();
        }
    }

    /// An inbox that has no schedule of its own yet was woken for the one of an earlier life.
    pub(super) fn woken(&mut self, now: Now) {
        self.told_wake_us = None;
        if !self.dump.has_run && self.is_online(now) {
            self.dump.want();
        }
    }

    /// Says what changed for those who keep the set of inboxes that are not empty.
    pub(super) fn tell_holds(&mut self, out: &mut Vec<Effect>) {
        let putting = u32::try_from(self.submissions.putting()).unwrap_or(u32::MAX);
        let holds = self.tally.held().map(|held| held.saturating_add(putting));
        if holds.map(|n| n > 0) != self.told_holds {
            self.told_holds = holds.map(|n| n > 0);
            out.push(Effect::Holds(holds));
        }
    }

    /// Asks for a wake-up, if the wish changed.
    pub(super) fn tell_wake(&mut self, now: Now, out: &mut Vec<Effect>) {
        let wish = self.next_wake_us(now);
        if wish != self.told_wake_us {
            self.told_wake_us = wish;
            out.push(Effect::WakeAt(wish));
        }
    }

    /// When something is to be done that nobody else will tell of.
    fn next_wake_us(&self, now: Now) -> Option<i64> {
        let removal_us = if self.tally.is_counting() { None } else { self.removals.next_us() };
        removal_us.into_iter().chain(self.next_pass_us(now)).min()
    }

    fn next_pass_us(&self, now: Now) -> Option<i64> {
        if self.dump.is_active() || self.tally.held() == Some(0) {
            return None;
        }
        let due_us = if self.dump.is_wanted() && !self.retries.is_full() {
            now.unix_us
        } else {
            self.retries.message_due_us()?
        };
        let contact_us = self.retries.contact_ready_us(&self.reach, now)?;
        Some(due_us.max(contact_us).max(self.dump.rest_until_us()))
    }

    /// True when nothing is under way and nobody waits: the inbox may be put aside. A wake-up it
    /// asked for stays asked for.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.dump.is_active()
            && !self.tally.is_counting()
            && self.submissions.is_empty()
            && self.removals.open() == 0
    }

    /// What to keep of an idle inbox. `None` when there is nothing worth keeping.
    #[must_use]
    pub fn park(&self) -> Option<Parked> {
        let is_worth_it = self.tally.held() != Some(0)
            && (self.dump.is_wanted()
                || self.retries.struck() + self.retries.deferred() > 0
                || self.submissions.memory.has_doubts());
        is_worth_it.then(|| Parked::of(self))
    }

    /// The inbox at a glance.
    #[must_use]
    pub fn observe(&self) -> Observed {
        let (dump, in_flight) = match &self.dump.phase {
            Phase::Idle => ("idle", None),
            Phase::Loading { .. } => ("loading", None),
            Phase::Ready(_) => ("ready", None),
            Phase::Sending { flight, .. } => ("sending", Some(flight.key())),
        };
        Observed {
            dump,
            held: self.tally.held(),
            in_flight,
            page: self.dump.page_len(),
            waiters: self.submissions.waiters(),
            putting: self.submissions.putting(),
            relaying: self.submissions.relaying(),
            removing: self.removals.open(),
            deferred: self.retries.deferred(),
            struck: self.retries.struck(),
        }
    }
}
