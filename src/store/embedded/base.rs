//! The base: what a checkpoint has moved out of the log, in redb.

use super::backend::Backend;
use super::counters::Counters;
use super::disk::Disk;
use super::hold;
use super::recent::Print;
use super::record::array;
use super::rows::{self, FORMAT, KEY, META, ROW, Row};
use super::table::{Counts, State};
use crate::store::Error;
use crate::vocab::Key;
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable};
use std::collections::HashSet;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

/// Its file in the store's folder.
pub(super) const FILE: &str = "base.redb";

/// redb behind one door. Readers get snapshots; the checkpoint alone writes.
#[derive(Debug)]
pub(super) struct Base {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    cache_bytes: usize,
    written: Arc<std::sync::atomic::AtomicU64>,
    open: Mutex<Option<Open>>,
    /// Snapshots that readers may still hold.
    retired: Mutex<Vec<Weak<Snapshot>>>,
}

#[derive(Debug)]
struct Open {
    database: Arc<Database>,
    snapshot: Arc<Snapshot>,
}

/// The base as one checkpoint left it.
pub(super) struct Snapshot {
    rows: ReadOnlyTable<&'static [u8; KEY], &'static [u8; ROW]>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

/// Why the base could not be opened.
#[derive(Debug)]
pub(super) enum Refused {
    /// Written by a newer program.
    Newer(u64),
    /// It makes no sense.
    Damaged(String),
    /// The disk failed.
    Io(String),
}

impl Base {
    /// Opens the base in `folder`, or makes an empty one.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        cache_bytes: usize,
        counters: &Counters,
    ) -> Result<Self, Refused> {
        let path = folder.join(FILE);
        let written = counters.base_bytes.clone();
        let base = Self {
            disk,
            path,
            cache_bytes,
            written,
            open: Mutex::new(None),
            retired: Mutex::default(),
        };
        let open = base.load()?;
        *hold(&base.open) = Some(open);
        Ok(base)
    }

    fn load(&self) -> Result<Open, Refused> {
        let file = self.disk.open(&self.path, true).map_err(|e| Refused::Io(e.to_string()))?;
        let backend = Backend::new(file, self.written.clone());
        // redb trusts its file and may panic on one that was altered: that is damage, too.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let database =
                Database::builder().set_cache_size(self.cache_bytes).create_with_backend(backend);
            let database = database.map_err(|e| refused(&e.into()))?;
            prepare(&database)?;
            let snapshot = Snapshot::of(&database).map_err(|e| refused(&e))?;
            Ok(Open { database: Arc::new(database), snapshot: Arc::new(snapshot) })
        }));
        opened.unwrap_or_else(|_| Err(Refused::Damaged("its pages contradict each other".into())))
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        let open = hold(&self.open);
        open.as_ref().map(|open| open.snapshot.clone()).ok_or_else(|| down(&self.path))
    }

    /// The database to write to, reopened when an earlier failure closed it. Only the checkpoint
    /// calls this.
    pub(super) fn database(&self) -> Result<Arc<Database>, Error> {
        if let Some(open) = hold(&self.open).as_ref() {
            return Ok(open.database.clone());
        }
        let open = self.load().map_err(|refused| match refused {
            Refused::Io(text) => Error::Unavailable(format!("{}: {text}", self.path.display())),
            Refused::Damaged(text) => Error::Corrupt(format!("{}: {text}", self.path.display())),
            Refused::Newer(format) => Error::Corrupt(format!("format {format}")),
        })?;
        let database = open.database.clone();
        *hold(&self.open) = Some(open);
        Ok(database)
    }

    /// Makes what was committed visible to readers.
    pub(super) fn refresh(&self) -> Result<(), Error> {
        if let Some(open) = hold(&self.open).as_mut() {
            let snapshot = Snapshot::of(&open.database).map_err(|e| failed(&e))?;
            hold(&self.retired).push(Arc::downgrade(&open.snapshot));
            open.snapshot = Arc::new(snapshot);
        }
        Ok(())
    }

    /// Closes the database after a failure: redb refuses everything after an I/O error until it
    /// is opened anew.
    pub(super) fn give_up(&self) {
        if let Some(open) = hold(&self.open).take() {
            hold(&self.retired).push(Arc::downgrade(&open.snapshot));
        }
    }

    /// True when nobody reads an older snapshot than the newest.
    pub(super) fn is_settled(&self) -> bool {
        let mut retired = hold(&self.retired);
        retired.retain(|snapshot| snapshot.strong_count() > 0);
        retired.is_empty()
    }
}

fn down(path: &Path) -> Error {
    Error::Unavailable(format!("{} failed and is being reopened", path.display()))
}

/// Makes the tables and looks at the format.
fn prepare(database: &Database) -> Result<(), Refused> {
    let read = |e: redb::Error| refused(&e);
    let is_new = {
        let txn = database.begin_read().map_err(|e| read(e.into()))?;
        match txn.open_table(META) {
            Ok(meta) => match meta.get("format").map_err(|e| read(e.into()))? {
                Some(format) if format.value() == FORMAT => false,
                Some(format) => return Err(Refused::Newer(format.value())),
                None => return Err(Refused::Damaged("it names no format".into())),
            },
            Err(redb::TableError::TableDoesNotExist(_)) => true,
            Err(e) => return Err(read(e.into())),
        }
    };
    if is_new { create(database).map_err(|e| refused(&e)) } else { Ok(()) }
}

fn create(database: &Database) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    txn.open_table(META)?.insert("format", FORMAT)?;
    txn.open_table(rows::USERS)?;
    txn.open_table(rows::ROWS)?;
    txn.open_table(rows::ALIVE)?;
    txn.open_table(rows::RECENT)?;
    txn.commit()?;
    Ok(())
}

fn refused(error: &redb::Error) -> Refused {
    match error {
        redb::Error::Io(e) if e.kind() != std::io::ErrorKind::InvalidData => {
            Refused::Io(e.to_string())
        }
        redb::Error::UpgradeRequired(format) => Refused::Newer(u64::from(*format)),
        other => Refused::Damaged(other.to_string()),
    }
}

/// What a failed operation on the base means to the caller of the store.
pub(super) fn failed(error: &redb::Error) -> Error {
    match error {
        redb::Error::Corrupted(text) => Error::Corrupt(format!("{FILE}: {text}")),
        other => Error::Unavailable(format!("{FILE}: {other}")),
    }
}

/// What a failed operation on a file means to the caller of the store.
pub(super) fn failed_file(path: &Path, error: &std::io::Error) -> Error {
    let text = format!("{}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof => Error::Corrupt(text),
        _ => Error::Unavailable(text),
    }
}

impl Snapshot {
    fn of(database: &Database) -> Result<Self, redb::Error> {
        let txn = database.begin_read()?;
        Ok(Self { rows: txn.open_table(rows::ROWS)? })
    }

    /// The row of one message.
    pub(super) fn row(&self, user: u64, key: Key) -> Result<Option<Row>, Error> {
        let found = self.rows.get(&rows::row_key(user, key)).map_err(|e| failed(&e.into()))?;
        Ok(found.map(|row| Row::decode(row.value())))
    }

    /// The rows of `user` behind `after`, in order.
    pub(super) fn rows(
        &self,
        user: u64,
        after: Option<Key>,
    ) -> Result<impl Iterator<Item = Result<(Key, Row), Error>> + use<>, Error> {
        let (first, last) = rows::span(user);
        let from = after
            .map_or(Bound::Included(first), |after| Bound::Excluded(rows::row_key(user, after)));
        let from = from.as_ref();
        let range = self.rows.range::<&[u8; KEY]>((from, Bound::Included(&last)));
        let range = range.map_err(|e| failed(&e.into()))?;
        Ok(range.map(|entry| {
            let (key, row) = entry.map_err(|e| failed(&e.into()))?;
            Ok((rows::key_of(key.value()), Row::decode(row.value())))
        }))
    }
}

/// What the base says at open.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The log up to this segment is in the base.
    pub(super) floor: u64,
    pub(super) serial: u64,
    pub(super) newest_inc_us: i64,
    pub(super) prints: Vec<Print>,
    /// The files rows point at.
    pub(super) files: HashSet<u64>,
}

/// What one user has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    pub(super) rows: Counts,
    pub(super) min_expires_s: i64,
}

/// Reads what is kept in memory, handing each user with his number and name to `each`.
pub(super) fn load(
    database: &Database,
    recent_from_us: i64,
    mut each: impl FnMut(u64, &str, Holding),
) -> Result<Contents, redb::Error> {
    let txn = database.begin_read()?;
    let users = txn.open_table(rows::USERS)?;
    let table = txn.open_table(rows::ROWS)?;
    let mut rows = table.iter()?.peekable();
    for entry in users.iter()? {
        let (number, name) = entry?;
        let name = std::str::from_utf8(name.value()).unwrap_or_default();
        let mut holding = Holding { min_expires_s: i64::MAX, ..Holding::default() };
        while let Some(row) = rows.next_if(|row| {
            row.as_ref().is_ok_and(|(key, _)| rows::user_of(key.value()) == number.value())
        }) {
            let row = Row::decode(row?.1.value());
            let state = State { attempts: row.attempts, dead: row.dead };
            holding.rows = holding.rows.plus(Counts::of(state));
            holding.min_expires_s = holding.min_expires_s.min(row.expires_s);
        }
        each(number.value(), name, holding);
    }
    // What is left belongs to nobody, or could not be read.
    if let Some(row) = rows.next() {
        row?;
        return Err(redb::Error::Corrupted("a row belongs to no user".into()));
    }
    let meta = txn.open_table(META)?;
    let get = |name| Ok::<_, redb::Error>(meta.get(name)?.map_or(0, |value| value.value()));
    let mut contents = Contents {
        floor: get("floor")?,
        serial: get("serial")?,
        newest_inc_us: get("newest_inc_us")?.cast_signed(),
        ..Contents::default()
    };
    for entry in txn.open_table(rows::ALIVE)?.iter()? {
        contents.files.insert(entry?.0.value());
    }
    let from = rows::recent_key(recent_from_us, 0);
    for entry in txn.open_table(rows::RECENT)?.range::<&[u8; 16]>(&from..)? {
        let (_, blob) = entry?;
        let blob = blob.value().chunks_exact(16);
        contents.prints.extend(blob.map(|print| Print(u128::from_le_bytes(array(print, 0)))));
    }
    Ok(contents)
}
