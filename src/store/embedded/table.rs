//! What the store keeps in memory: every inbox that holds something, and for the messages that
//! are not in the base yet, the messages themselves.
//!
//! An inbox is a count and, laid over its rows in the base, the entries that differ from them.
//! A *generation* is the time between two cuts of the log. A checkpoint moves the entries born in
//! old generations into the base and then takes them out of the overlay ([`Table::settle`]).
//! A message deleted before that never touches the base.

use super::base::Snapshot;
use super::bodies::Place;
use super::frame::Verb;
use super::hold;
use super::ordered::Ordered;
use super::record::Record;
use crate::store::Error;
use crate::vocab::{Aor, Key, MessageId};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use xxhash_rust::xxh3::xxh3_64;

/// How many parts the table is cut into, each behind its own lock. Also the granularity of an
/// enumeration.
pub(super) const BUCKETS: usize = 256;
/// What a young message costs beside its record, about.
const YOUNG_BYTES: usize = 128;

/// A message that is not in the base, or about to be.
#[derive(Clone, Debug)]
pub(super) struct Young {
    pub(super) record: Record,
    pub(super) generation: u64,
    pub(super) state: State,
    /// Where the log has it.
    pub(super) place: Place,
}

/// What changes in the life of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) attempts: u16,
    pub(super) dead: bool,
}

/// One difference between an inbox and its rows in the base.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// A message without a row, or with one that a running checkpoint is just writing.
    Young(Young),
    /// The row, if there is one, goes.
    Gone,
    /// The row changes.
    Changed(State),
}

/// Counts of messages and dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) live: u32,
    pub(super) dead: u32,
}

impl Counts {
    pub(super) const fn of(state: State) -> Self {
        if state.dead { Self { live: 0, dead: 1 } } else { Self { live: 1, dead: 0 } }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            live: self.live.saturating_add(other.live),
            dead: self.dead.saturating_add(other.dead),
        }
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self {
            live: self.live.saturating_sub(other.live),
            dead: self.dead.saturating_sub(other.dead),
        }
    }

    pub(super) const fn is_zero(self) -> bool {
        self.live == 0 && self.dead == 0
    }
}

/// One inbox.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Its number in the base; 0 = it is not there.
    pub(super) user: u64,
    /// Rows in the base, less what the overlay takes away.
    pub(super) rows: Counts,
    /// Young messages.
    pub(super) young: Counts,
    /// No message ends before this.
    pub(super) min_expires_s: i64,
    /// The oldest generation its rows were put in; 0 = before the store was opened.
    pub(super) rows_since: u64,
    /// Rises with each put, so that a scan notices one behind its back.
    pub(super) puts: u32,
    pub(super) overlay: Option<Box<Ordered<Entry>>>,
}

impl Inbox {
    pub(super) const fn new() -> Self {
        Self {
            user: 0,
            rows: Counts { live: 0, dead: 0 },
            young: Counts { live: 0, dead: 0 },
            min_expires_s: i64::MAX,
            rows_since: u64::MAX,
            puts: 0,
            overlay: None,
        }
    }

    pub(super) const fn total(&self) -> Counts {
        self.rows.plus(self.young)
    }

    pub(super) fn overlay(&mut self) -> &mut Ordered<Entry> {
        self.overlay.get_or_insert_default()
    }

    fn drop_empty_overlay(&mut self) {
        if self.overlay.as_ref().is_some_and(|overlay| overlay.is_empty()) {
            self.overlay = None;
        }
    }
}

/// A part of the table.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) inboxes: HashMap<Aor, Inbox, ahash::RandomState>,
    /// No message of this bucket ends before this.
    pub(super) min_expires_s: Option<i64>,
}

/// All inboxes.
#[derive(Debug)]
pub(super) struct Table {
    buckets: Vec<Mutex<Bucket>>,
    young_bytes: AtomicUsize,
    /// Messages born in generations up to this one may have rows the overlay does not know of.
    flushing: AtomicU64,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Mutex::default()).collect(),
            young_bytes: AtomicUsize::new(0),
            flushing: AtomicU64::new(0),
        }
    }

    /// The part `aor` is in, locked.
    pub(super) fn bucket_of(&self, aor: &Aor) -> MutexGuard<'_, Bucket> {
        // A fixed hash: a cursor of an enumeration still means the same after a restart.
        let index = xxh3_64(aor.as_str().as_bytes()) % BUCKETS as u64;
        self.bucket(usize::try_from(index).expect("a remainder of 256 fits"))
    }

    /// Part number `index`, locked.
    pub(super) fn bucket(&self, index: usize) -> MutexGuard<'_, Bucket> {
        hold(&self.buckets[index])
    }

    /// About how much memory the young messages take.
    pub(super) fn young_bytes(&self) -> usize {
        self.young_bytes.load(Ordering::Relaxed)
    }

    fn weigh(&self, record: &Record) {
        self.young_bytes.fetch_add(record.len() + YOUNG_BYTES, Ordering::Relaxed);
    }

    fn unweigh(&self, record: &Record) {
        self.young_bytes.fetch_sub(record.len() + YOUNG_BYTES, Ordering::Relaxed);
    }

    /// Announces that messages born up to `generation` are being written to the base. It stays
    /// announced: a failed commit may have happened.
    pub(super) fn announce_flush(&self, generation: u64) {
        self.flushing.fetch_max(generation, Ordering::SeqCst);
    }

    /// Adds a message that is not there.
    pub(super) fn put(&self, aor: &Aor, record: Record, place: Place, generation: u64) {
        self.weigh(&record);
        let expires_s = record.expires_s();
        let state = State { attempts: record.attempts(), dead: false };
        let mut bucket = self.bucket_of(aor);
        bucket.min_expires_s = Some(bucket.min_expires_s.map_or(expires_s, |s| s.min(expires_s)));
        let inbox = bucket.inboxes.entry(aor.clone()).or_insert_with(Inbox::new);
        inbox.min_expires_s = inbox.min_expires_s.min(expires_s);
        inbox.puts = inbox.puts.wrapping_add(1);
        inbox.young = inbox.young.plus(Counts::of(state));
        inbox.overlay().set(record.key(), Entry::Young(Young { record, generation, state, place }));
    }

    /// Adds a message the log tells of, unless the base has it already.
    pub(super) fn put_again(
        &self,
        aor: &Aor,
        record: Record,
        place: Place,
        generation: u64,
        base: &dyn Fn() -> Result<Arc<Snapshot>, Error>,
    ) -> Result<(), Error> {
        let key = record.key();
        let mut bucket = self.bucket_of(aor);
        if let Some(inbox) = bucket.inboxes.get_mut(aor) {
            let is_young = inbox.overlay.as_mut().and_then(|o| o.get_mut(&key)).is_some();
            if is_young || (!inbox.rows.is_zero() && base()?.row(inbox.user, key)?.is_some()) {
                return Ok(());
            }
        }
        drop(bucket);
        self.put(aor, record, place, generation);
        Ok(())
    }

    /// Does `verb` to the message at `key`. Answers what it was before; `None` when it was not
    /// there, or not in the state the verb asks for.
    pub(super) fn change(
        &self,
        aor: &Aor,
        key: Key,
        verb: Verb,
        base: &dyn Fn() -> Result<Arc<Snapshot>, Error>,
    ) -> Result<Option<State>, Error> {
        let mut bucket = self.bucket_of(aor);
        // Read under the lock: a checkpoint announces itself before it looks into a bucket.
        let flushing = self.flushing.load(Ordering::SeqCst);
        let Some(inbox) = bucket.inboxes.get_mut(aor) else { return Ok(None) };
        let changed = match inbox.overlay.as_mut().and_then(|overlay| overlay.get_mut(&key)) {
            Some(Entry::Gone) => None,
            Some(Entry::Young(young)) => {
                let was = young.state;
                let in_base_soon = young.generation <= flushing;
                let next = after(verb, was);
                if let Some(next) = next {
                    inbox.young = inbox.young.minus(Counts::of(was));
                    if let Some(state) = next {
                        inbox.young = inbox.young.plus(Counts::of(state));
                        young.state = state;
                    } else {
                        self.unweigh(&young.record);
                        if in_base_soon {
                            inbox.overlay().set(key, Entry::Gone);
                        } else {
                            inbox.overlay().remove(&key);
                        }
                    }
                }
                next.map(|_| was)
            }
            Some(Entry::Changed(state)) => {
                let was = *state;
                change_row(inbox, key, was, verb)
            }
            None if inbox.rows.is_zero() => None,
            None => match base()?.row(inbox.user, key)? {
                None => None,
                Some(row) => {
                    let was = State { attempts: row.attempts, dead: row.dead };
                    change_row(inbox, key, was, verb)
                }
            },
        };
        inbox.drop_empty_overlay();
        if inbox.total().is_zero() && inbox.overlay.is_none() && inbox.user == 0 {
            bucket.inboxes.remove(aor);
        }
        Ok(changed)
    }

    /// True when the row of `key` is about to go.
    pub(super) fn is_gone(&self, aor: &Aor, key: Key) -> bool {
        let mut bucket = self.bucket_of(aor);
        let overlay = bucket.inboxes.get_mut(aor).and_then(|inbox| inbox.overlay.as_mut());
        overlay.and_then(|overlay| overlay.get_mut(&key)).is_some_and(|e| matches!(e, Entry::Gone))
    }

    /// The identities of the messages of `aor` that may not be in the base yet.
    pub(super) fn young_identities(&self, aor: &Aor) -> HashSet<MessageId, ahash::RandomState> {
        let bucket = self.bucket_of(aor);
        let overlay = bucket.inboxes.get(aor).and_then(|inbox| inbox.overlay.as_ref());
        let entries = overlay.iter().flat_map(|overlay| overlay.behind(None));
        entries.map(|(key, _)| key.id).collect()
    }

    /// Takes what a checkpoint has written out of the overlay of its inbox.
    pub(super) fn settle(&self, written: &super::flush::Written) {
        let mut bucket = self.bucket_of(&written.aor);
        let Some(inbox) = bucket.inboxes.get_mut(&written.aor) else { return };
        inbox.user = written.user;
        if inbox.rows.is_zero() && !written.young.is_empty() {
            inbox.rows_since = written.oldest_generation;
        }
        for (key, generation, flushed) in &written.young {
            let Some(entry) = inbox.overlay().get_mut(key) else { continue };
            let Entry::Young(young) = entry else { continue };
            if young.generation != *generation {
                continue;
            }
            let now = young.state;
            self.unweigh(&young.record);
            inbox.young = inbox.young.minus(Counts::of(now));
            inbox.rows = inbox.rows.plus(Counts::of(now));
            if now == *flushed {
                inbox.overlay().remove(key);
            } else {
                inbox.overlay().set(*key, Entry::Changed(now));
            }
        }
        for (key, flushed) in &written.changed {
            let is_done = match (inbox.overlay().get_mut(key), flushed) {
                (Some(Entry::Gone), None) => true,
                (Some(Entry::Changed(now)), Some(flushed)) => now == flushed,
                (Some(Entry::Young(_) | Entry::Gone | Entry::Changed(_)) | None, _) => false,
            };
            if is_done {
                inbox.overlay().remove(key);
            }
        }
        inbox.drop_empty_overlay();
        if inbox.total().is_zero() && inbox.overlay.is_none() && inbox.user == 0 {
            bucket.inboxes.remove(&written.aor);
        }
    }
}

/// What `verb` makes of a message: outer `None` = it does not apply; inner `None` = it is gone.
const fn after(verb: Verb, was: State) -> Option<Option<State>> {
    match (verb, was.dead) {
        (Verb::Delete, _) => Some(None),
        (Verb::Attempts(attempts), false) => Some(Some(State { attempts, dead: false })),
        (Verb::Bury, false) => Some(Some(State { attempts: was.attempts, dead: true })),
        (Verb::Exhume, true) => Some(Some(State { attempts: 0, dead: false })),
        (Verb::Attempts(_) | Verb::Bury, true) | (Verb::Exhume, false) => None,
    }
}

/// Lays the change of a row over it.
fn change_row(inbox: &mut Inbox, key: Key, was: State, verb: Verb) -> Option<State> {
    let next = after(verb, was)?;
    inbox.rows = inbox.rows.minus(Counts::of(was));
    if let Some(state) = next {
        inbox.rows = inbox.rows.plus(Counts::of(state));
    }
    inbox.overlay().set(key, next.map_or(Entry::Gone, Entry::Changed));
    Some(was)
}
