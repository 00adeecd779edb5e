//! The writer thread: the only one that appends to the log and changes the table.
//!
//! It takes everything that waits, writes it as one batch with one sync, applies it, answers. A
//! batch that holds nothing but deletes and counts of attempts is applied and answered at once;
//! its frames ride with the next batch, or go alone after [`LAZY`].

use super::bodies::Place;
use super::checkpoint::Generation;
use super::counters::Counters;
use super::frame::{self, PUT_HEAD, Verb};
use super::queue::{Op, Sender, Taken, closed};
use super::recent::{Print, Recent};
use super::record::Record;
use super::segment::BATCH_HEAD;
use super::shared::Shared;
use super::wal::Log;
use crate::store::{Error, Put, Swept};
use crate::vocab::{Aor, Key, MessageId};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long an operation that needs no sync of its own may stay unwritten.
const LAZY: Duration = Duration::from_millis(20);
/// Lazy frames are written when they are this long, whatever the time.
const LAZY_BYTES: usize = 256 * 1024;
/// Under load two syncs begin at least this far apart: fewer of them, and fewer half-filled
/// blocks written twice.
const PACE: Duration = Duration::from_micros(1_500);
/// In which steps the writer waits: it goes on when one of them brought nothing.
const PACE_SLICES: [Duration; 3] =
    [Duration::from_micros(300), Duration::from_micros(300), Duration::from_micros(900)];
/// The last batch had at least this many puts: there is load.
const PACE_FROM: usize = 8;
/// This many waiting operations are not made to wait for [`PACE`].
const PACE_ENOUGH: usize = 256;
/// How long the writer waits for a checkpoint before it looks again.
const ROOM_PATIENCE: Duration = Duration::from_millis(100);
/// Inboxes with at most this many rows are scanned for an identity at each put.
const SCAN_ROWS: u32 = 16;
/// The most identities of larger inboxes that are remembered.
const KNOWN_MAX: usize = 1_000_000;

/// What the log left for the writer.
pub(super) struct Start {
    pub(super) log: Log,
    pub(super) recent: Recent,
    pub(super) prints: Vec<Print>,
    pub(super) log_bytes: u64,
    pub(super) newest_inc_us: i64,
}

pub(super) struct Writer<'a> {
    shared: &'a Shared,
    log: Log,
    recent: Recent,
    /// Identities in the base of inboxes with many rows; a filter, a hit is looked up.
    known: HashMap<u64, HashSet<MessageId, ahash::RandomState>, ahash::RandomState>,
    known_held: usize,
    /// Room for the head of a batch, then frames that are applied but not written.
    frames: Vec<u8>,
    lazy_since_us: Option<u64>,
    /// The generation that is being written.
    generation: u64,
    prints: Vec<Print>,
    log_bytes: u64,
    newest_inc_us: i64,
    /// Lazy frames could not be written lately, and that was said.
    is_failing: bool,
    synced_at_us: u64,
    /// Where the last batch stands.
    batch_at: Place,
    /// The wall clock at the start of the batch.
    now_us: i64,
    last_puts: usize,
}

/// What is to be done with one operation once the batch is durable.
enum Step {
    Put { aor: Aor, record: Record, at: usize, print: Print, reply: Sender<Put> },
    Duplicate(Sender<Put>),
    Change { aor: Aor, key: Key, verb: Verb, reply: Sender<bool> },
    Sweep { victims: Vec<(Aor, Key)>, more: bool, reply: Sender<Swept> },
    Close(Sender<()>),
}

impl Step {
    fn fail(self, error: Error) {
        match self {
            Self::Put { aor, record, reply, .. } => Op::Put { aor, record, reply }.fail(error),
            Self::Duplicate(reply) => drop(reply.send(Err(error))),
            Self::Change { aor, key, verb, reply } => {
                Op::Change { aor, key, verb, reply }.fail(error);
            }
            Self::Sweep { victims, more, reply } => Op::Sweep { victims, more, reply }.fail(error),
            Self::Close(reply) => drop(reply.send(Err(error))),
        }
    }

    /// True when the answer must wait for the disk.
    const fn needs_sync(&self) -> bool {
        match self {
            Self::Put { .. } | Self::Close(_) => true,
            Self::Change { verb, .. } => matches!(verb, Verb::Exhume),
            Self::Duplicate(_) | Self::Sweep { .. } => false,
        }
    }
}

/// Leaves no caller waiting when the thread ends, however it ends.
struct Abandon<'a>(&'a Shared);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

/// The thread.
pub(super) fn run(shared: &Shared, start: Start) {
    let _abandon = Abandon(shared);
    let mut writer = Writer::new(shared, start);
    let mut ops = Vec::new();
    // What the log left may be more than a generation.
    writer.close_generation();
    loop {
        writer.pace();
        match shared.queue.take(&mut ops, writer.patience()) {
            Taken::Ops => writer.batch(&mut ops),
            Taken::Nothing => {}
            Taken::Closed => break,
        }
        writer.write_overdue();
    }
    // The store was dropped without a close: what was answered goes to the log at least.
    if let Err(error) = writer.sync() {
        tracing::error!(%error, "the last deletes could not be written");
    }
}

impl<'a> Writer<'a> {
    fn new(shared: &'a Shared, start: Start) -> Self {
        Self {
            shared,
            log: start.log,
            recent: start.recent,
            known: HashMap::default(),
            known_held: 0,
            frames: vec![0; BATCH_HEAD],
            lazy_since_us: None,
            generation: 1,
            prints: start.prints,
            log_bytes: start.log_bytes,
            newest_inc_us: start.newest_inc_us,
            is_failing: false,
            synced_at_us: 0,
            batch_at: Place { file: 0, at: 0 },
            now_us: shared.clock.now().unix_us,
            last_puts: 0,
        }
    }

    /// Under load, waits a little for more to write at once; not when nothing more comes.
    fn pace(&self) {
        if self.last_puts < PACE_FROM {
            return;
        }
        let mut waiting = 0;
        for slice in PACE_SLICES {
            let since = self.shared.clock.now().mono_us.saturating_sub(self.synced_at_us);
            let left = PACE.saturating_sub(Duration::from_micros(since));
            if left.is_zero() {
                return;
            }
            let now_waiting = self.shared.queue.gather(slice.min(left), PACE_ENOUGH);
            if now_waiting == waiting || now_waiting >= PACE_ENOUGH {
                return;
            }
            waiting = now_waiting;
        }
    }

    /// How long to wait for an operation.
    fn patience(&self) -> Option<Duration> {
        self.lazy_since_us.map(|since| {
            let waited = self.shared.clock.now().mono_us.saturating_sub(since);
            LAZY.saturating_sub(Duration::from_micros(waited))
        })
    }

    /// Writes lazy frames whose time is up.
    fn write_overdue(&mut self) {
        let Some(since) = self.lazy_since_us else { return };
        let now = self.shared.clock.now().mono_us;
        let is_overdue = Duration::from_micros(now.saturating_sub(since)) >= LAZY;
        if (is_overdue || self.frames.len() > LAZY_BYTES)
            && let Err(error) = self.sync()
        {
            if !self.is_failing {
                tracing::error!(%error, "deletes cannot be written; they are kept in memory");
            }
            self.is_failing = true;
            self.lazy_since_us = Some(now);
        }
    }

    fn batch(&mut self, ops: &mut Vec<Op>) {
        let puts = ops.iter().filter(|op| matches!(op, Op::Put { .. })).count();
        let full = if puts > 0 { self.wait_for_room() } else { None };
        self.now_us = self.shared.clock.now().unix_us;
        let applied = self.frames.len();
        let mut steps = Vec::with_capacity(ops.len());
        for op in ops.drain(..) {
            match (op, &full) {
                (op @ Op::Put { .. }, Some(error)) => op.fail(error.clone()),
                (op, _) => steps.extend(self.plan(op)),
            }
        }
        let needs_sync = steps.iter().any(Step::needs_sync) || self.frames.len() > LAZY_BYTES;
        let ended = if needs_sync { self.sync() } else { Ok(()) };
        Counters::add(&self.shared.counters.batches, 1);
        if let Err(error) = ended {
            self.frames.truncate(applied);
            for step in steps {
                if let Step::Put { print, .. } = &step {
                    self.recent.remove(*print);
                }
                step.fail(error.clone());
            }
            return;
        }
        if self.frames.len() > BATCH_HEAD && self.lazy_since_us.is_none() {
            self.lazy_since_us = Some(self.shared.clock.now().mono_us);
        }
        self.last_puts = puts;
        for step in steps {
            self.apply(step);
        }
        self.close_generation();
    }

    /// Waits while the memory for young messages is full. Answers why nothing can be put.
    fn wait_for_room(&self) -> Option<Error> {
        while self.shared.table.young_bytes() >= self.shared.memtable_bytes {
            if let Some(error) = self.shared.checkpoints.failing() {
                return Some(error);
            }
            if self.shared.closed.load(Ordering::Acquire) {
                return Some(closed());
            }
            self.shared.checkpoints.wait(ROOM_PATIENCE);
        }
        None
    }

    /// Writes the frame of one operation, or answers it at once.
    fn plan(&mut self, op: Op) -> Option<Step> {
        match op {
            Op::Put { aor, record, reply } => {
                let key = record.key();
                let print = Print::of(&aor, key.id);
                match self.is_duplicate(&aor, key.id, print) {
                    Ok(true) => {
                        Counters::add(&self.shared.counters.duplicates, 1);
                        return Some(Step::Duplicate(reply));
                    }
                    Ok(false) => {}
                    Err(error) => {
                        Op::Put { aor, record, reply }.fail(error);
                        return None;
                    }
                }
                let at = self.frames.len() + PUT_HEAD;
                frame::push_put(&mut self.frames, &record);
                self.recent.insert(print, self.now_us, self.generation);
                Some(Step::Put { aor, record, at, print, reply })
            }
            Op::Change { aor, key, verb, reply } => {
                frame::push_change(&mut self.frames, &aor, key, verb);
                Some(Step::Change { aor, key, verb, reply })
            }
            Op::Sweep { victims, more, reply } => {
                for (aor, key) in &victims {
                    frame::push_change(&mut self.frames, aor, *key, Verb::Delete);
                }
                Some(Step::Sweep { victims, more, reply })
            }
            Op::Close { reply } => Some(Step::Close(reply)),
        }
    }

    /// True when this owner has, or lately had, a message of this identity.
    fn is_duplicate(&mut self, aor: &Aor, id: MessageId, print: Print) -> Result<bool, Error> {
        if self.recent.contains(print) {
            return Ok(true);
        }
        let (user, rows) = {
            let bucket = self.shared.table.bucket_of(aor);
            match bucket.inboxes.get(aor) {
                Some(inbox) if inbox.rows_since < self.recent.complete_from() => {
                    (inbox.user, inbox.rows)
                }
                // Nothing in the base, or nothing that `recent` would not know.
                Some(_) | None => return Ok(false),
            }
        };
        if rows.is_zero() {
            let known = self.known.remove(&user);
            self.known_held -= known.map_or(0, |ids| ids.len());
            return Ok(false);
        }
        let is_large = rows.live.saturating_add(rows.dead) > SCAN_ROWS;
        if (is_large || self.known.contains_key(&user)) && !self.may_have(aor, user, id)? {
            return Ok(false);
        }
        self.stands(aor, user, id)
    }

    /// True when a row of this identity stands, or an entry that is about to become one.
    fn stands(&self, aor: &Aor, user: u64, id: MessageId) -> Result<bool, Error> {
        for row in self.shared.base.snapshot()?.rows(user, None)? {
            let (key, _) = row?;
            if key.id == id && !self.shared.table.is_gone(aor, key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// False when `id` is surely not among the rows of a large inbox. `known` is complete: it
    /// begins with the rows and young messages of that moment, and every later put is added.
    fn may_have(&mut self, aor: &Aor, user: u64, id: MessageId) -> Result<bool, Error> {
        if self.known_held > KNOWN_MAX {
            self.known.clear();
            self.known_held = 0;
        }
        if !self.known.contains_key(&user) {
            let mut ids = self.shared.table.young_identities(aor);
            for row in self.shared.base.snapshot()?.rows(user, None)? {
                ids.insert(row?.0.id);
            }
            self.known_held += ids.len();
            self.known.insert(user, ids);
        }
        let is_new = self.known.get_mut(&user).is_some_and(|ids| ids.insert(id));
        self.known_held += usize::from(is_new);
        Ok(!is_new)
    }

    /// Makes all frames durable.
    fn sync(&mut self) -> Result<(), Error> {
        if self.frames.len() <= BATCH_HEAD {
            return Ok(());
        }
        self.synced_at_us = self.shared.clock.now().mono_us;
        self.batch_at = self.log.append(&mut self.frames).map_err(|error| {
            let folder = self.shared.folder.display();
            Error::Unavailable(format!("the log in {folder} cannot be written: {error}"))
        })?;
        self.log_bytes += self.frames.len() as u64;
        self.frames.truncate(BATCH_HEAD);
        self.lazy_since_us = None;
        self.is_failing = false;
        if self.shared.spares.is_empty() {
            self.shared.checkpoints.nudge();
        }
        Ok(())
    }

    /// Does what is in the log now, and answers. Nobody may wait for the answer any more.
    fn apply(&mut self, step: Step) {
        let shared = self.shared;
        match step {
            Step::Put { aor, record, at, print, reply } => {
                self.newest_inc_us = self.newest_inc_us.max(record.key().inc_us);
                self.prints.push(print);
                let place = self.batch_at.behind(at);
                shared.table.put(&aor, record, place, self.generation);
                Counters::add(&shared.counters.puts, 1);
                drop(reply.send(Ok(Put::Stored)));
            }
            Step::Duplicate(reply) => drop(reply.send(Ok(Put::Duplicate))),
            Step::Change { aor, key, verb, reply } => {
                Counters::add(&shared.counters.changes, 1);
                let was = shared.table.change(&aor, key, verb, &|| shared.base.snapshot());
                drop(reply.send(was.map(|was| was.is_some())));
            }
            Step::Sweep { victims, more, reply } => {
                drop(reply.send(self.sweep(victims, more)));
            }
            Step::Close(reply) => {
                self.log.cut();
                self.hand_over();
                drop(reply.send(shared.checkpoints.drain()));
            }
        }
    }

    fn sweep(&self, victims: Vec<(Aor, Key)>, more: bool) -> Result<Swept, Error> {
        let mut swept = Swept { removed: Vec::new(), more };
        for (aor, key) in victims {
            let base = || self.shared.base.snapshot();
            let was = self.shared.table.change(&aor, key, Verb::Delete, &base)?;
            let Some(state) = was else { continue };
            Counters::add(&self.shared.counters.swept, 1);
            if state.dead {
                continue;
            }
            match swept.removed.last_mut() {
                Some((last, count)) if *last == aor => *count += 1,
                Some(_) | None => swept.removed.push((aor, 1)),
            }
        }
        Ok(swept)
    }

    /// Closes the generation when it is long enough, in the log or in memory.
    fn close_generation(&mut self) {
        let flushed = self.shared.flushed.load(Ordering::SeqCst);
        self.recent.expire(self.now_us, flushed);
        let share = self.shared.memtable_bytes / 3;
        let young = self.shared.table.young_bytes();
        let is_long = self.log_bytes >= self.shared.generation_bytes;
        if is_long || (young >= share && young >= share * (self.shared.checkpoints.waiting() + 1)) {
            self.log.cut();
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.shared.checkpoints.close(Generation {
            number: self.generation,
            last_segment: self.log.last_segment(),
            prints: std::mem::take(&mut self.prints),
            newest_inc_us: self.newest_inc_us,
        });
        self.generation += 1;
        self.log_bytes = 0;
    }
}
