//! What became of a message.

use std::time::Duration;

/// The four ways out of custody (and no others). Each has a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// A contact answered 2xx, or 6xx: delivered but refused (RFC 3428 section 7).
    Delivered,
    /// Its time ran out.
    Expired,
    /// Attempts ran out: kept as a dead letter.
    Undeliverable,
    /// An operator or its owner removed it.
    Withdrawn,
}

/// How one attempt at one contact ended, sorted by what it means for the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx: the message may go.
    Delivered,
    /// 6xx: it was shown or refused for good; it may go (RFC 3428 section 7).
    Refused,
    /// This contact cannot be had now (404, 408, 410, 416, 430, 480, 484, 486, 500, 503, 504, no
    /// answer, no connection): keep, try another contact or later.
    Unreachable {
        /// From `Retry-After`: not before this long.
        retry_after: Option<Duration>,
        /// The response code; `None` for a timeout or a transport failure.
        code: Option<u16>,
    },
    /// This contact will never take this message (405, 413, 415, 488, 493, 501, 513): keep, try
    /// another contact.
    Unfit {
        /// The response code.
        code: u16,
    },
    /// Our fault, the path's, or a matter of rights (400, 401, 402, 403, 407, 420, 482, 483, 505
    /// and the rest of 3xx to 5xx): keep, with bounded attempts.
    Rejected {
        /// The response code.
        code: u16,
    },
}

/// What the sender of a MESSAGE is told by the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is durable: 202.
    Stored,
    /// It was stored before under the same identity: 202 again.
    Duplicate,
    /// A live contact has it. The relay passes the contact's response on to the first who
    /// submitted the message; copies of it get this: 200.
    Relayed,
    /// A live contact refused it for good, and nobody else will get it. For copies, likewise: 603.
    Declined,
    /// Nobody is there and the message may not be kept (`Expires: 0`): 480.
    NotKept,
    /// The message was over before it came: 480.
    Expired,
    /// Offline, and of a kind that is never kept nor worth an error (`im-iscomposing`): 202.
    Discarded,
    /// `max_messages` are there already: 480.
    MailboxFull,
    /// The store cannot take it: 503.
    StoreDown,
    /// Too much at once: 503 without `Retry-After` (RFC 7339 section 5.10.2).
    Overloaded,
}
