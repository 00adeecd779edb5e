//! Messages on their way out of the store.
//!
//! What was delivered is never sent again by this inbox, whatever becomes of the delete: its key
//! stays here until the store has answered, and until no page that was read before is under way.
//! A delete that fails is repeated with back-off.

use super::Inbox;
use super::io::{Effect, Op};
use super::settings::{REMOVALS_MAX, STORE_BACKOFF};
use crate::vocab::{End, Key, Now};

/// How the message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// For good.
    Delete(End),
    /// Into the dead letters.
    Bury,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not asked for yet, or failed.
    Waiting { until_us: i64 },
    /// The store is at it.
    InFlight { op: Op },
    /// Gone, but a page that is being read may still show it.
    Gone,
}

#[derive(Clone, Debug)]
struct Removal {
    key: Key,
    way: Way,
    state: State,
    failures: u32,
    /// The tally's epoch when the message was read.
    epoch: u32,
}

/// At most [`REMOVALS_MAX`] removals that are not done, and those done during one load.
#[derive(Clone, Debug, Default)]
pub(super) struct Removals(Vec<Removal>);

impl Removals {
    /// True when this message must not be delivered any more.
    pub(super) fn contains(&self, key: Key) -> bool {
        self.0.iter().any(|r| r.key == key)
    }

    pub(super) fn add(&mut self, key: Key, way: Way, epoch: u32) {
        let state = State::Waiting { until_us: i64::MIN };
        self.0.push(Removal { key, way, state, failures: 0, epoch });
    }

    /// Removals that are not done.
    pub(super) fn open(&self) -> usize {
        self.0.iter().filter(|r| r.state != State::Gone).count()
    }

    /// True when nothing more may be delivered before the store has caught up.
    pub(super) fn is_full(&self) -> bool {
        self.open() >= REMOVALS_MAX
    }

    pub(super) fn in_flight(&self) -> usize {
        self.0.iter().filter(|r| matches!(r.state, State::InFlight { .. })).count()
    }

    /// No page that was read earlier is under way any more.
    pub(super) fn forget_gone(&mut self) {
        self.0.retain(|r| r.state != State::Gone);
    }

    /// When the next one is to be tried again.
    pub(super) fn next_us(&self) -> Option<i64> {
        self.0
            .iter()
            .filter_map(|r| match r.state {
                State::Waiting { until_us } => Some(until_us),
                State::InFlight { .. } | State::Gone => None,
            })
            .min()
    }
}

impl Inbox {
    /// Asks the store for the removals whose time has come.
    pub(super) fn advance_removals(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.tally.is_counting() {
            return;
        }
        for removal in &mut self.removals.0 {
            let State::Waiting { until_us } = removal.state else { continue };
            if until_us > now.unix_us {
                continue;
            }
            let op = self.ops.next();
            removal.state = State::InFlight { op };
            self.dump.spoil();
            out.push(match removal.way {
                Way::Delete(end) => Effect::Delete { op, key: removal.key, end },
                Way::Bury => Effect::Bury { op, key: removal.key },
            });
        }
    }

    pub(super) fn removed(&mut self, op: Op, ok: bool, now: Now) {
        let Some(index) = self.removals.0.iter().position(|r| r.state == State::InFlight { op })
        else {
            return;
        };
        let removal = &mut self.removals.0[index];
        if !ok {
            removal.failures = removal.failures.saturating_add(1);
            let delay_us = STORE_BACKOFF.delay_us(removal.failures, &mut self.chance);
            removal.state = State::Waiting { until_us: now.unix_us.saturating_add(delay_us) };
            return;
        }
        let is_certain = removal.failures == 0 && removal.epoch == self.tally.epoch();
        if self.dump.is_loading() {
            removal.state = State::Gone;
        } else {
            self.removals.0.swap_remove(index);
        }
        if is_certain {
            self.tally.subtract();
        }
        if !is_certain || self.tally.held().is_some_and(|held| held < self.in_view()) {
            self.tally.want();
        }
    }

    /// Messages that are there as far as can be seen; fewer cannot be held. If the number says so
    /// nevertheless, somebody else puts messages into this inbox.
    fn in_view(&self) -> u32 {
        let page = u32::try_from(self.dump.in_view()).unwrap_or(u32::MAX);
        self.accounted().saturating_add(page)
    }
}
