//! How many messages the inbox holds.
//!
//! The number is exact or it is unknown. A count runs alone: no write of this inbox is under way
//! while the store counts, so that nothing is counted twice or not at all. When it is in doubt
//! whether a message was there (a put or a delete that failed, a sweep that met the same message),
//! nothing is added or subtracted; the inbox is counted anew.

use super::io::{Effect, Op};
use super::{Inbox, submit::Blind};
use crate::vocab::Now;

/// The count that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// None.
    Idle,
    /// As soon as the writes under way are answered.
    Wanted,
    /// The store counts. `stale` = something vanished meanwhile.
    Asked { op: Op, stale: bool },
}

/// The number of messages in the store, dead letters not counted, and the count under way.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    held: Option<u32>,
    count: Count,
    /// Raised whenever messages vanish: what was read before may have been among them.
    epoch: u32,
}

impl Tally {
    pub(super) const fn new(held: Option<u32>) -> Self {
        Self { held, count: Count::Idle, epoch: 0 }
    }

    pub(super) const fn held(&self) -> Option<u32> {
        self.held
    }

    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// True while writes have to wait for the count.
    pub(super) const fn is_counting(&self) -> bool {
        !matches!(self.count, Count::Idle)
    }

    /// Asks for a count.
    pub(super) fn want(&mut self) {
        match self.count {
            Count::Idle => self.count = Count::Wanted,
            Count::Wanted => {}
            Count::Asked { op, .. } => self.count = Count::Asked { op, stale: true },
        }
    }

    /// The number is known, because the whole inbox has just been read.
    pub(super) const fn set(&mut self, held: u32) {
        self.held = Some(held);
    }

    /// A message was stored.
    pub(super) fn add(&mut self) {
        self.held = self.held.map(|held| held.saturating_add(1));
    }

    /// A message that was certainly counted is certainly gone.
    pub(super) fn subtract(&mut self) {
        self.held = self.held.map(|held| held.saturating_sub(1));
    }

    /// A put failed: the message may be there or not.
    pub(super) const fn lose(&mut self) {
        self.held = None;
    }
}

impl Inbox {
    /// Lets the store count, once no write is under way.
    pub(super) fn advance_count(&mut self, out: &mut Vec<Effect>) {
        let may_ask = self.tally.count == Count::Wanted
            && self.submissions.putting() == 0
            && self.removals.in_flight() == 0;
        if may_ask {
            let op = self.new_op();
            self.tally.count = Count::Asked { op, stale: false };
            out.push(Effect::Count { op });
        }
    }

    pub(super) fn counted(
        &mut self,
        op: Op,
        messages: Option<u32>,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let Count::Asked { op: asked, stale } = self.tally.count else { return };
        if asked != op {
            return;
        }
        if stale && messages.is_some() {
            self.tally.count = Count::Wanted;
            return;
        }
        self.tally.count = Count::Idle;
        self.tally.held = messages;
        let blind = if messages.is_none() { Blind::Yes } else { Blind::No };
        self.verify(now);
        self.admit_waiting(blind, now, out);
    }

    /// Messages came or went without this inbox.
    pub(super) fn vanished(&mut self) {
        self.tally.epoch = self.tally.epoch.wrapping_add(1);
        self.dump.spoil();
        self.tally.want();
    }
}
