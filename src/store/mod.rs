//! Where messages are kept.
//!
//! One trait, several backends, one conformance suite that each of them passes
//! ([`conformance`]). A promise that is not in the suite does not exist.
//!
//! The promises, in prose:
//!
//! * **Durable first.** [`Store::put`] answers [`Put::Stored`] only when the message survives a
//!   power cut. Until then the caller has told nobody anything.
//! * **Once.** A message is the same as another when owner and [`crate::vocab::MessageId`] are equal. Putting
//!   it again, at whatever time, answers [`Put::Duplicate`] as long as the first is still there
//!   and at least for [`DEDUP_WINDOW`] after it was put; it is never kept twice. `Duplicate` is
//!   answered no earlier than the first copy is durable.
//! * **In order.** [`Store::page`] gives messages by rising [`Key`], after the one it is told.
//! * **Deletes are by exact key.** Deleting what is not there is no error. A delete may come to
//!   light later than it is answered only by a crash: then the message may come back once, and
//!   nothing else happens.
//! * **Errors say what to do**: see [`Error`]. A failed or timed-out put may have happened; the
//!   caller may put the identical message again.
//! * **Bounded.** At most a named number of operations wait; past it the answer is
//!   [`Error::Busy`] at once.

pub mod conformance;
pub mod embedded;
pub mod failing;
pub mod memory;

use crate::vocab::{Aor, Key, Message};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// For at least this long after a put the same message is recognised, even if it has been
/// delivered and deleted meanwhile. Longer than a SIP transaction lives (64 x T1 = 32 s).
pub const DEDUP_WINDOW: Duration = Duration::from_secs(64);

/// What a store operation comes back with.
pub type Reply<T> = BoxFuture<'static, Result<T, Error>>;

/// Why a store operation did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too many operations wait. Try again soon.
    #[error("the store is busy: {waiting} operations wait")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// The store cannot be written or read just now (disk full, I/O error, no quorum). The
    /// operation may or may not have happened.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be understood. A person must look.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// How a put ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The message is durable.
    Stored,
    /// The same message was there, or had been there within [`DEDUP_WINDOW`].
    Duplicate,
}

/// Some messages of one inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// By rising key. Expired ones are included: the caller counts and deletes them.
    pub messages: Vec<Message>,
    /// True when nothing lies behind the last one (as of the moment of reading). A page may be
    /// empty and yet not the last.
    pub is_last: bool,
}

/// An inbox that holds at least one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// Whose.
    pub aor: Aor,
    /// How many messages, dead letters not counted.
    pub messages: u32,
}

/// Where an enumeration goes on; opaque to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// What one pass over expired messages did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The inboxes that lost messages, with how many (dead letters not counted). An inbox may be
    /// named more than once; the numbers add up.
    pub removed: Vec<(Aor, u32)>,
    /// True when more expired messages were left for the next pass.
    pub more: bool,
}

/// Facts about a store for operators and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Operations, fsyncs and bytes by name, since the store was opened.
    pub counters: Vec<(&'static str, u64)>,
}

/// A store of messages. Cheap to share; every call may come from any thread.
///
/// Futures do their work whether polled or not, and resolve on any runtime.
pub trait Store: Send + Sync + 'static {
    /// Keeps `message` durably, once.
    fn put(&self, message: Arc<Message>) -> Reply<Put>;

    /// Reads messages of `aor` behind `after` (`None` = from the oldest): at most `messages` of
    /// them and, once there is one, at most `bytes` of content.
    fn page(&self, aor: &Aor, after: Option<Key>, messages: usize, bytes: usize) -> Reply<Page>;

    /// Removes one message, from the inbox or from the dead letters.
    fn delete(&self, aor: &Aor, key: Key) -> Reply<()>;

    /// Remembers how often delivery failed. Nothing happens when the message is not in the inbox.
    fn set_attempts(&self, aor: &Aor, key: Key, attempts: u16) -> Reply<()>;

    /// Takes a message out of the inbox and keeps it as a dead letter until it expires. Nothing
    /// happens when it is not in the inbox.
    fn bury(&self, aor: &Aor, key: Key) -> Reply<()>;

    /// Puts a dead letter back into the inbox, at its old place, with no failed attempts.
    /// Answers whether it was there.
    fn exhume(&self, aor: &Aor, key: Key) -> Reply<bool>;

    /// Reads dead letters of all users, or of one, oldest first within a user.
    fn dead_letters(
        &self,
        aor: Option<&Aor>,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Message>, Option<Cursor>)>;

    /// Counts the messages of `aor`, dead letters not counted, but not beyond `up_to`.
    fn count(&self, aor: &Aor, up_to: u32) -> Reply<u32>;

    /// Enumerates the inboxes that are not empty: at most `limit` from `from` on, and where to
    /// go on (`None` = that was all). Inboxes that change meanwhile may or may not be in it.
    fn occupied(
        &self,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Occupied>, Option<Cursor>)>;

    /// Removes messages and dead letters with `expires_s <= unix_s`, at most `limit` of them.
    fn sweep(&self, unix_s: i64, limit: usize) -> Reply<Swept>;

    /// The highest `inc_us` known when the store was opened: no message may get a lower one.
    fn newest_inc_us(&self) -> i64;

    /// Counters so far.
    fn report(&self) -> Report;

    /// Finishes what was begun and writes it down. Later calls answer [`Error::Unavailable`].
    fn close(&self) -> Reply<()>;
}
