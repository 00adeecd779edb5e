//! The whole contract of the inbox on one screen.

use crate::vocab::{Answer, Contact, End, Key, Message, Outcome, Reach, Submission};
use std::sync::Arc;

/// Names one effect that will be answered by an input. Never reused by one inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Op(pub u64);

/// Names the sender who waits for an answer; chosen by the caller of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiter(pub u64);

/// What the inbox knows of the store's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutResult {
    /// Durable.
    Stored,
    /// It was there, or had just been there.
    Duplicate,
    /// The store refused or did not answer in time.
    Failed,
}

/// How a live relay ended. `Passed` and `Refused` mean that the relay itself hands on a final
/// response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveResult {
    /// 2xx from a contact.
    Passed,
    /// 6xx from a contact: it was shown or refused for good.
    Refused,
    /// Every contact failed, or none answered in time.
    Failed,
}

/// What happens to an inbox.
#[derive(Clone, Debug)]
pub enum Input {
    /// A message came in for the owner.
    Submit {
        /// The message.
        submission: Box<Submission>,
        /// Who waits for the answer.
        waiter: Waiter,
        /// Where the owner is just now.
        reach: Reach,
        /// The lowest `inc_us` it may get: the caller's ever-rising stamp.
        inc_us: i64,
    },
    /// The owner registered or refreshed (`dump`), or his bindings changed or ended.
    Reach {
        /// Where the owner is now.
        reach: Reach,
        /// True when a dump should start: a REGISTER that added or refreshed a contact.
        dump: bool,
    },
    /// Answer to [`Effect::Put`].
    PutDone {
        /// Which.
        op: Op,
        /// How it ended.
        result: PutResult,
    },
    /// Answer to [`Effect::Load`]; `None` = the store failed.
    Loaded {
        /// Which.
        op: Op,
        /// The messages by rising key, and whether the inbox ends behind them. Empty, and yet
        /// not the end, is taken as a failure of the store.
        page: Option<(Vec<Message>, bool)>,
    },
    /// Answer to [`Effect::Delete`] and [`Effect::Bury`].
    Removed {
        /// Which.
        op: Op,
        /// False when the store failed.
        ok: bool,
    },
    /// Answer to [`Effect::Deliver`].
    Outcome {
        /// Which.
        op: Op,
        /// How it ended.
        outcome: Outcome,
    },
    /// Answer to [`Effect::Relay`].
    LiveDone {
        /// Which.
        op: Op,
        /// How it ended.
        result: LiveResult,
    },
    /// Answer to [`Effect::Count`]; `None` = the store failed.
    Counted {
        /// Which.
        op: Op,
        /// How many messages the inbox holds.
        messages: Option<u32>,
    },
    /// Messages were removed or came back behind the machine's back (expiry sweep, an operator).
    /// The inbox counts anew instead of subtracting: it may have met the same messages itself.
    Vanished {
        /// How many. A fact for the trace; the machine does not rely on it.
        messages: u32,
    },
    /// The moment asked for by [`Effect::WakeAt`], or later.
    Wake,
}

/// What an inbox asks of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Store this; answer with [`Input::PutDone`].
    Put {
        /// Names the answer.
        op: Op,
        /// What to store.
        message: Arc<Message>,
    },
    /// Read messages behind `after`; answer with [`Input::Loaded`].
    Load {
        /// Names the answer.
        op: Op,
        /// The last key already seen; `None` = from the oldest.
        after: Option<Key>,
    },
    /// Count the messages of the inbox; answer with [`Input::Counted`].
    Count {
        /// Names the answer.
        op: Op,
    },
    /// Delete this message; answer with [`Input::Removed`].
    Delete {
        /// Names the answer.
        op: Op,
        /// Which message.
        key: Key,
        /// Why: raises the counter of this end, once it is gone ([`Input::Removed`] with `ok`).
        end: End,
    },
    /// Remember the number of failed attempts; no answer is awaited.
    SetAttempts {
        /// Which message.
        key: Key,
        /// How many failed.
        attempts: u16,
    },
    /// Make this message a dead letter; answer with [`Input::Removed`], which raises the counter
    /// of [`End::Undeliverable`] when it is `ok`.
    Bury {
        /// Names the answer.
        op: Op,
        /// Which message.
        key: Key,
    },
    /// Send this stored message to this contact; answer with [`Input::Outcome`].
    Deliver {
        /// Names the answer.
        op: Op,
        /// What to send.
        message: Arc<Message>,
        /// Where to.
        contact: Contact,
    },
    /// Relay the waiting request to the contacts, live; answer with [`Input::LiveDone`]. On
    /// [`LiveResult::Passed`] and [`LiveResult::Refused`] the relay has given the final response
    /// itself.
    Relay {
        /// Names the answer.
        op: Op,
        /// The request.
        waiter: Waiter,
        /// Where to.
        reach: Reach,
    },
    /// Tell the sender.
    Reply {
        /// Whom.
        waiter: Waiter,
        /// What.
        answer: Answer,
    },
    /// Send [`Input::Wake`] at this wall-clock microsecond; replaces an earlier wish. `None` =
    /// no wish.
    WakeAt(Option<i64>),
    /// The number of messages in the inbox changed between none and some, or became unknown
    /// (`None`). A message counts from the moment its `Put` is issued: whoever keeps the set of
    /// inboxes that are not empty never believes too early that nothing is there.
    Holds(Option<u32>),
}
