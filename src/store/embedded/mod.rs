//! The embedded store: everything on the disk of one machine, nothing beside it to run.
//!
//! A put goes to a write-ahead log (`wal`, `segment`) in a batch with everything that waits
//! (`writer`), one sync for all of them, and into memory (`table`). Most messages are delivered
//! and deleted there. What stays is moved to a B-tree ([redb](https://docs.rs/redb), `base`) by a
//! checkpoint (`checkpoint`, `flush`), and the log's files are used again. Reads lay one over the
//! other (`read`). `docs/adr/0002-write-ahead-log.md` says why, with figures.
//!
//! ```text
//!  put, delete ─▶ queue ─▶ writer ─▶ log (sync) ─▶ table ─▶ answer
//!                                                   │ old generations
//!                                                   ▼
//!  page, count ◀── table over snapshot ◀────────── base (redb)
//! ```
//!
//! Four threads: the writer, the checkpoint, two readers. Memory is bounded: the queue, the table
//! of young messages ([`Options::memtable_bytes`]), redb's cache ([`Options::cache_bytes`]), about
//! 150 bytes for each occupied inbox and 32 for each identity of the last minute.

mod backend;
mod base;
mod bodies;
mod checkpoint;
mod counters;
mod disk;
mod flush;
mod frame;
mod open;
mod ordered;
mod queue;
mod read;
mod readers;
mod recent;
mod record;
mod replay;
mod rows;
mod segment;
mod shared;
mod table;
mod wal;
mod writer;

pub use disk::{Disk, DiskFile, RealDisk};

use super::{Cursor, Error, Occupied, Page, Put, Reply, Report, Store, Swept};
use crate::vocab::{Aor, Clock, Key, Message};
use counters::Counters;
use frame::Verb;
use open::Lock;
use queue::{Op, Sender, closed};
use record::Record;
use shared::Shared;
use std::fmt;
use std::future::ready;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// How an embedded store is opened. The sizes are for the few who measured.
#[derive(Clone)]
pub struct Options {
    /// Its folder; made when it is not there.
    pub folder: PathBuf,
    /// Tells when a put has left the window in which it is recognised again.
    pub clock: Arc<dyn Clock>,
    /// The file layer.
    pub disk: Arc<dyn Disk>,
    /// Memory for messages that are not in the base yet. Default 192 MiB.
    pub memtable_bytes: usize,
    /// Memory for pages of the base. Default 64 MiB.
    pub cache_bytes: usize,
    /// The size of a file of the log. Default 16 MiB.
    pub segment_bytes: u64,
    /// The log is cut, and the part before the last cut moved to the base, after so many bytes.
    /// Default 128 MiB.
    pub generation_bytes: u64,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            folder: folder.into(),
            clock,
            disk: Arc::new(RealDisk),
            memtable_bytes: 192 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            segment_bytes: 16 * 1024 * 1024,
            generation_bytes: 128 * 1024 * 1024,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why a store could not be opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be read or written.
    #[error(
        "the message store cannot use {path}: {reason}; make it a folder on a working disk that \
         this user may write to"
    )]
    Unusable {
        /// The folder or the file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process has it.
    #[error(
        "the message store in {folder} is in use by process {pid}; stop that one or name another \
         folder"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other process, as it wrote its number down.
        pid: String,
    },
    /// What is in it makes no sense.
    #[error(
        "the message store is damaged at {path}: {what}; restore the folder from a backup, or move \
         this file away to start without the messages in it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A newer program wrote it.
    #[error("{path} has format {format}, newer than this program reads; use the newer program")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
}

/// The store.
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    newest_inc_us: i64,
    /// Dropped last: until then nobody else may touch the folder.
    _lock: Lock,
}

impl EmbeddedStore {
    /// Opens the store in a folder, or makes an empty one. Blocks while it reads the log back.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Self, OpenError> {
        open::open(options)
    }

    fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    fn queue<T: Send + 'static>(&self, op: impl FnOnce(Sender<T>) -> Op) -> Reply<T> {
        let (reply, answer) = oneshot::channel();
        if let Err((op, error)) = self.shared.queue.push(op(reply)) {
            Counters::add(
                &self.shared.counters.busy,
                u64::from(matches!(error, Error::Busy { .. })),
            );
            op.fail(error);
        }
        wait(answer)
    }

    fn change(&self, aor: &Aor, key: Key, verb: Verb) -> Reply<bool> {
        let aor = aor.clone();
        self.queue(|reply| Op::Change { aor, key, verb, reply })
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Reply<T> {
        let (reply, answer) = oneshot::channel();
        if self.is_closed() {
            return now(Err(closed()));
        }
        // Who asked may have gone away; then nobody needs the answer.
        match self.shared.readers.push(move |shared| drop(reply.send(read(shared)))) {
            Ok(()) => wait(answer),
            Err(error) => now(Err(error)),
        }
    }
}

fn now<T: Send + 'static>(answer: Result<T, Error>) -> Reply<T> {
    Box::pin(ready(answer))
}

fn wait<T: Send + 'static>(answer: oneshot::Receiver<Result<T, Error>>) -> Reply<T> {
    Box::pin(async move { answer.await.unwrap_or_else(|_| Err(closed())) })
}

fn done(changed: Reply<bool>) -> Reply<()> {
    Box::pin(async move { changed.await.map(|_| ()) })
}

/// Locks; a thread that died while it held the lock is no reason to stop serving the others.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for EmbeddedStore {
    fn put(&self, message: Arc<Message>) -> Reply<Put> {
        let aor = message.owner.clone();
        let record = Record::encode(&message);
        self.queue(|reply| Op::Put { aor, record, reply })
    }

    fn page(&self, aor: &Aor, after: Option<Key>, messages: usize, bytes: usize) -> Reply<Page> {
        if self.is_closed() {
            return now(Err(closed()));
        }
        Counters::add(&self.shared.counters.pages, 1);
        if let Some(page) = read::young_page(&self.shared, aor, after, messages, bytes) {
            return now(Ok(page));
        }
        Counters::add(&self.shared.counters.base_pages, 1);
        let aor = aor.clone();
        self.read(move |shared| read::page(shared, &aor, after, messages, bytes))
    }

    fn delete(&self, aor: &Aor, key: Key) -> Reply<()> {
        done(self.change(aor, key, Verb::Delete))
    }

    fn set_attempts(&self, aor: &Aor, key: Key, attempts: u16) -> Reply<()> {
        done(self.change(aor, key, Verb::Attempts(attempts)))
    }

    fn bury(&self, aor: &Aor, key: Key) -> Reply<()> {
        done(self.change(aor, key, Verb::Bury))
    }

    fn exhume(&self, aor: &Aor, key: Key) -> Reply<bool> {
        self.change(aor, key, Verb::Exhume)
    }

    fn dead_letters(
        &self,
        aor: Option<&Aor>,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Message>, Option<Cursor>)> {
        let aor = aor.cloned();
        self.read(move |shared| read::dead_letters(shared, aor.as_ref(), from, limit))
    }

    fn count(&self, aor: &Aor, up_to: u32) -> Reply<u32> {
        if self.is_closed() {
            return now(Err(closed()));
        }
        let bucket = self.shared.table.bucket_of(aor);
        let live = bucket.inboxes.get(aor).map_or(0, |inbox| inbox.total().live);
        drop(bucket);
        now(Ok(live.min(up_to)))
    }

    fn occupied(
        &self,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Occupied>, Option<Cursor>)> {
        self.read(move |shared| Ok(read::occupied(shared, from, limit)))
    }

    fn sweep(&self, unix_s: i64, limit: usize) -> Reply<Swept> {
        let (reply, answer) = oneshot::channel();
        if self.is_closed() {
            return now(Err(closed()));
        }
        match self.shared.readers.push(move |shared| read::sweep(shared, unix_s, limit, reply)) {
            Ok(()) => wait(answer),
            Err(error) => now(Err(error)),
        }
    }

    fn newest_inc_us(&self) -> i64 {
        self.newest_inc_us
    }

    fn report(&self) -> Report {
        self.shared.counters.report(self.shared.table.young_bytes())
    }

    fn close(&self) -> Reply<()> {
        if self.shared.closed.swap(true, Ordering::AcqRel) {
            return now(Err(closed()));
        }
        self.queue(|reply| Op::Close { reply })
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.queue.close();
        self.shared.readers.stop();
        let mut threads = std::mem::take(&mut *hold(&self.threads)).into_iter();
        // The writer, which was started first, may still wait for the checkpoint.
        for thread in threads.by_ref().take(1) {
            drop(thread.join());
        }
        self.shared.checkpoints.stop();
        for thread in threads {
            drop(thread.join());
        }
    }
}
