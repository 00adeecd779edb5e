//! Opening the store: lock the folder, open the base, read the log back, start the threads.

use super::base::{self, Base, Contents, Holding, Refused};
use super::bodies::{self, Bodies, Keeper};
use super::checkpoint::{self, Checkpoints};
use super::counters::Counters;
use super::queue::Queue;
use super::readers::{READERS, Readers};
use super::recent::{Recent, window_us};
use super::replay::Replay;
use super::shared::Shared;
use super::table::{Inbox, Table};
use super::wal::{self, Log, Spares};
use super::writer::{self, Start};
use super::{Disk, EmbeddedStore, OpenError, Options};
use crate::vocab::Aor;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread;

/// Held by the process that uses the folder; its number is in it.
const LOCK: &str = "lock";

/// A segment shorter than this is all overhead.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;

pub(super) fn open(options: Options) -> Result<EmbeddedStore, OpenError> {
    let folder = options.folder.clone();
    let lock = lock(&folder)?;
    let counters = Arc::new(Counters::default());
    let disk = options.disk.clone();
    let base = Base::open(disk.clone(), &folder, options.cache_bytes, &counters)
        .map_err(|refused| refuse(&folder, refused))?;
    let table = Table::new();
    let now_us = options.clock.now().unix_us;
    let mut recent = Recent::default();
    let contents = load(&base, &folder, &table, now_us)?;
    for print in &contents.prints {
        recent.insert(*print, now_us, 0);
    }
    let replay = Replay {
        disk: &*disk,
        folder: &folder,
        table: &table,
        base: &base,
        recent: &mut recent,
        now_us,
    };
    let replayed = replay.run(contents.floor)?;
    let newest_inc_us = contents.newest_inc_us.max(replayed.newest_inc_us);
    let segment_bytes = options.segment_bytes.max(SEGMENT_BYTES_MIN);
    let spares = Arc::new(Spares::new(disk.clone(), folder.clone(), segment_bytes));
    let keeper = tidy(&disk, &folder, &spares, &contents.files, &replayed.unused)?;
    let log =
        Log::new(disk.clone(), folder.clone(), spares.clone(), counters.clone(), replayed.end);
    let start = Start {
        log,
        recent,
        prints: replayed.prints,
        log_bytes: replayed.log_bytes,
        newest_inc_us,
    };
    let shared = Arc::new(Shared {
        folder: folder.clone(),
        disk: disk.clone(),
        clock: options.clock,
        memtable_bytes: options.memtable_bytes,
        generation_bytes: options.generation_bytes,
        table,
        base,
        bodies: Bodies::new(disk.clone(), folder.clone()),
        queue: Queue::default(),
        readers: Readers::default(),
        checkpoints: Checkpoints::default(),
        spares,
        counters,
        flushed: AtomicU64::new(0),
        closed: AtomicBool::new(false),
    });
    let threads = Mutex::new(Vec::new());
    let store = EmbeddedStore { shared, threads, newest_inc_us, _lock: lock };
    start_threads(&store, start, contents.serial, keeper)?;
    Ok(store)
}

fn start_threads(
    store: &EmbeddedStore,
    start: Start,
    serial: u64,
    keeper: Keeper,
) -> Result<(), OpenError> {
    let spawn = |name: &str, body: Box<dyn FnOnce(&Shared) + Send>| {
        let shared = store.shared.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || body(&shared));
        let thread = thread.map_err(|error| OpenError::Unusable {
            path: store.shared.folder.clone(),
            reason: format!("no thread for the store can be started: {error}"),
        })?;
        super::hold(&store.threads).push(thread);
        Ok(())
    };
    spawn("store-writer", Box::new(move |shared| writer::run(shared, start)))?;
    spawn("store-checkpoint", Box::new(move |shared| checkpoint::run(shared, serial, keeper)))?;
    for _ in 0..READERS {
        spawn("store-reader", Box::new(|shared| shared.readers.run(shared)))?;
    }
    Ok(())
}

/// The folder is this process's own while it lives.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started may have the file.
        drop(self.0.unlock());
    }
}

fn lock(folder: &Path) -> Result<Lock, OpenError> {
    let unusable = |error: std::io::Error| OpenError::Unusable {
        path: folder.into(),
        reason: error.to_string(),
    };
    fs::create_dir_all(folder).map_err(unusable)?;
    let path = folder.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Without the number the sentence still says what to do.
            drop(file.read_to_string(&mut pid));
            return Err(OpenError::InUse { folder: folder.into(), pid: pid.trim().into() });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(unusable)?;
    Ok(Lock(file))
}

fn refuse(folder: &Path, refused: Refused) -> OpenError {
    let path = folder.join(base::FILE);
    match refused {
        Refused::Newer(format) => OpenError::Newer { path, format },
        Refused::Damaged(what) => OpenError::Damaged { path, what },
        Refused::Io(reason) => OpenError::Unusable { path, reason },
    }
}

/// Reads the users of the base into the table.
fn load(base: &Base, folder: &Path, table: &Table, now_us: i64) -> Result<Contents, OpenError> {
    let damaged = |what: String| OpenError::Damaged { path: folder.join(base::FILE), what };
    let database = base.database().map_err(|error| damaged(error.to_string()))?;
    let each = |number, name: &str, holding: Holding| {
        let Some(aor) = Aor::from_canonical(name) else { return };
        let mut bucket = table.bucket_of(&aor);
        let min = bucket.min_expires_s.unwrap_or(i64::MAX).min(holding.min_expires_s);
        bucket.min_expires_s = Some(min);
        let mut inbox = Inbox::new();
        inbox.user = number;
        inbox.rows = holding.rows;
        inbox.min_expires_s = holding.min_expires_s;
        inbox.rows_since = 0;
        bucket.inboxes.insert(aor, inbox);
    };
    base::load(&database, now_us.saturating_sub(window_us()), each)
        .map_err(|error| damaged(error.to_string()))
}

/// Sees that every file rows point at is there, and keeps or removes those that hold nothing.
fn tidy(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    spares: &Spares,
    used: &HashSet<u64>,
    unused: &[PathBuf],
) -> Result<Keeper, OpenError> {
    let unusable = |error: std::io::Error| OpenError::Unusable {
        path: folder.into(),
        reason: error.to_string(),
    };
    let paths = disk.list(folder).map_err(unusable)?;
    for file in used {
        let path = bodies::path_of(folder, *file);
        if !paths.contains(&path) {
            return Err(OpenError::Damaged { path, what: "it is missing".into() });
        }
    }
    let free = |path: &&PathBuf| wal::id_of(path).is_none_or(|id| !used.contains(&id));
    for path in paths.iter().filter(|path| wal::is_spare(path)).chain(unused.iter().filter(free)) {
        spares.recycle(path);
    }
    let mut newest = 0;
    for path in &paths {
        let Some(id) = bodies::id_of(path) else { continue };
        newest = newest.max(id);
        if !used.contains(&id) {
            disk.remove(path).map_err(unusable)?;
        }
    }
    Ok(Keeper::new(disk.clone(), folder.into(), newest))
}
