//! The inbox of one address of record, as a pure machine: input and time in, effects out.
//!
//! It speaks *submission* and *outcome*, not SIP: it decides what is stored, when the sender is
//! told, what is sent to which contact next, and what becomes of a message. It refuses to know
//! headers, sockets, statements and clocks.
//!
//! What it promises:
//!
//! * *Stored* is answered only after the store has the message; each sender gets one answer.
//! * **Order.** Deliveries of stored messages start in order of acceptance, one at a time. Two
//!   things give up their place: a message that some contact rejected, which is tried again after
//!   all others, at a time of its own; and messages that wait for a contact that cannot be had,
//!   which a live relay may overtake. A message for a user whose stored messages are on their way
//!   to him is stored behind them instead of being relayed.
//! * **Once.** What was delivered is not sent again by this inbox, even when the store fails to
//!   delete it. At most `REMOVALS_MAX` deliveries are not deleted yet at any moment.
//! * **No stall.** After every input the machine goes on as far as it can, and asks to be woken
//!   for whatever depends on time alone.
//! * **Bounds.** One page of messages, one message in flight, and named numbers of waiters,
//!   removals and put-off messages, whatever the inbox holds.
//!
//! The states of the dump (`Phase`), and what leads from one to another:
//!
//! | state | on | goes to | with |
//! |---|---|---|---|
//! | Idle | a wish (registration, a message stored while online, a retry due) and a contact that may be tried | Loading | `Load` from the oldest |
//! | Loading | page | Ready | |
//! | Loading | store failed | Idle | wish, rest |
//! | Ready | next message may go | Sending | `Deliver` |
//! | Ready | next message waits for a put before it, or for removals | Ready | |
//! | Ready | page used up, more behind | Loading | `Load` |
//! | Ready | inbox ends, rejected messages are due | Loading | `Load` from the oldest, second round |
//! | Ready | inbox ends | Idle | `Count` if the numbers do not add up |
//! | Ready | no contact may be tried | Idle | wish, if there are contacts |
//! | Sending | delivered, refused | Ready | `Delete` |
//! | Sending | contact failed, another is there | Sending | `Deliver` |
//! | Sending | rejected by all that could be had | Ready | `SetAttempts`, or `Bury` |
//! | Sending | nobody could be had | Idle | wish |
//! | Sending | contact failed, message expired | Ready | `Delete` |
//!
//! Submissions have their own, smaller table in `submit`; removals in `removal`.

mod chance;
mod dump;
pub mod io;
mod lifecycle;
mod outcome;
mod removal;
mod retry;
mod settings;
mod submit;
mod tally;

#[cfg(test)]
mod tests;

pub use io::{Effect, Input, LiveResult, Op, PutResult, Waiter};
pub use lifecycle::{Observed, Parked};
pub use settings::{Backoff, Settings};

use crate::vocab::{Aor, Key, Now, Reach};
use chance::Chance;
use dump::Dump;
use removal::Removals;
use retry::Retries;
use submit::Submissions;
use tally::Tally;

/// Names effects, never the same twice. It begins where the seed says, so that an answer to an
/// earlier life of the inbox is not taken for one to this life.
#[derive(Clone, Debug)]
struct Ops(u64);

impl Ops {
    const fn next(&mut self) -> Op {
        self.0 = self.0.wrapping_add(1);
        Op(self.0)
    }
}

/// The inbox of one address of record.
#[derive(Clone, Debug)]
pub struct Inbox {
    aor: Aor,
    settings: Settings,
    reach: Reach,
    /// The highest `inc_us` given or seen.
    newest_us: i64,
    ops: Ops,
    chance: Chance,
    submissions: Submissions,
    dump: Dump,
    removals: Removals,
    retries: Retries,
    tally: Tally,
    /// What was said last: something is there, nothing is there, or unknown.
    told_holds: Option<bool>,
    told_wake_us: Option<i64>,
}

impl Inbox {
    /// The inbox of `aor`, of which `held` messages are known to be in the store (`None` = not
    /// known). It does nothing before its first input. Give each life its own `seed`.
    #[must_use]
    pub fn new(aor: Aor, settings: Settings, held: Option<u32>, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            aor,
            settings,
            reach: Reach::offline(),
            newest_us: i64::MIN,
            ops: Ops(chance.next()),
            chance,
            submissions: Submissions::default(),
            dump: Dump::new(),
            removals: Removals::default(),
            retries: Retries::default(),
            tally: Tally::new(held),
            told_holds: held.map(|n| n > 0),
            told_wake_us: None,
        }
    }

    /// As [`Inbox::new`], going on with the back-off of an earlier life.
    #[must_use]
    pub fn resume(
        aor: Aor,
        settings: Settings,
        held: Option<u32>,
        parked: Parked,
        seed: u64,
    ) -> Self {
        let mut inbox = Self::new(aor, settings, held, seed);
        parked.restore(&mut inbox);
        inbox
    }

    /// Whose inbox it is.
    #[must_use]
    pub const fn aor(&self) -> &Aor {
        &self.aor
    }

    /// How many messages are in the store, dead letters not counted; `None` = not known.
    #[must_use]
    pub const fn held(&self) -> Option<u32> {
        self.tally.held()
    }

    /// Takes in what happened and appends what is to be done, in order. An answer that was not
    /// asked for is ignored.
    pub fn handle(&mut self, input: Input, now: Now, out: &mut Vec<Effect>) {
        match input {
            Input::Submit { submission, waiter, reach, inc_us } => {
                self.reached(reach, false, now);
                self.submit(submission, waiter, inc_us, now, out);
            }
            Input::Reach { reach, dump } => self.reached(reach, dump, now),
            Input::PutDone { op, result } => self.put_done(op, result, now, out),
            Input::Loaded { op, page } => self.loaded(op, page, now),
            Input::Removed { op, ok } => self.removed(op, ok, now),
            Input::Outcome { op, outcome } => self.outcome(op, outcome, now, out),
            Input::LiveDone { op, result } => self.live_done(op, result, now, out),
            Input::Counted { op, messages } => self.counted(op, messages, now, out),
            Input::Vanished { messages: _ } => self.vanished(),
            Input::Wake => self.woken(now),
        }
        self.advance(now, out);
    }

    /// Goes on with everything that waits for nothing.
    fn advance(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.advance_removals(now, out);
        self.advance_dump(now, out);
        self.advance_count(out);
        self.tell_holds(out);
        self.tell_wake(now, out);
    }

    const fn new_op(&mut self) -> Op {
        self.ops.next()
    }

    /// A stamp above every other of this inbox, and not below `lowest_us`.
    fn stamp(&mut self, lowest_us: i64) -> i64 {
        self.newest_us = lowest_us.max(self.newest_us.saturating_add(1));
        self.newest_us
    }

    /// A message stamped by somebody else was met: later ones go behind it.
    fn seen(&mut self, key: Key) {
        self.newest_us = self.newest_us.max(key.inc_us);
    }
}
