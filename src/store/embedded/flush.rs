//! One checkpoint as one transaction: entries of old generations become rows.

use super::base::failed;
use super::bodies::{Bodies, Keeper, Place};
use super::counters::Counters;
use super::ordered::Ordered;
use super::recent::Print;
use super::record::Record;
use super::rows::{self, KEY, ROW, Row};
use super::table::{BUCKETS, Counts, Entry, State, Table, Young};
use super::{frame, segment};
use crate::store::Error;
use crate::vocab::{Aor, Key};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, Table as RedbTable, WriteTransaction,
};
use std::collections::{HashMap, HashSet};

/// A file of which at most one part in so many is left is emptied.
const SPARSE: u64 = 4;
/// Files that one checkpoint empties.
const COMPACT_FILES: usize = 4;
/// Records stay in a segment of which at least one part in so many survives.
const DENSE: u64 = 2;
/// Identities of one row of `recent`.
const RECENT_ROW: usize = 4_096;

/// What one inbox has for the base.
pub(super) struct Due {
    pub(super) aor: Aor,
    pub(super) user: u64,
    pub(super) young: Vec<Young>,
    /// Rows that go (`None`) or change.
    pub(super) changed: Vec<(Key, Option<State>)>,
    /// What the inbox has in the base afterwards.
    pub(super) after: Counts,
}

/// What one inbox has got in the base, for [`Table::settle`].
pub(super) struct Written {
    pub(super) aor: Aor,
    pub(super) user: u64,
    pub(super) oldest_generation: u64,
    pub(super) young: Vec<(Key, u64, State)>,
    pub(super) changed: Vec<(Key, Option<State>)>,
}

/// What belongs to the transaction beside the inboxes.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Tells this transaction from every other.
    pub(super) serial: u64,
    /// Everything up to this segment of the log is in the base then.
    pub(super) floor: u64,
    pub(super) newest_inc_us: i64,
    pub(super) now_us: i64,
    /// Identities that were put in the generations that leave the log.
    pub(super) prints: Vec<Print>,
}

/// Collects what generations up to `generation` leave for the base.
pub(super) fn collect(table: &Table, generation: u64) -> Vec<Due> {
    table.announce_flush(generation);
    let mut all = Vec::new();
    for index in 0..BUCKETS {
        let bucket = table.bucket(index);
        for (aor, inbox) in &bucket.inboxes {
            let Some(overlay) = inbox.overlay.as_deref() else { continue };
            let mut due = Due {
                aor: aor.clone(),
                user: inbox.user,
                young: Vec::new(),
                changed: Vec::new(),
                after: inbox.rows,
            };
            due.take(overlay, generation);
            if !due.young.is_empty() || !due.changed.is_empty() {
                all.push(due);
            }
        }
    }
    // Users the base knows come first, in its order; the others are added behind the last.
    all.sort_unstable_by_key(|due| due.user.wrapping_sub(1));
    all
}

impl Due {
    fn take(&mut self, overlay: &Ordered<Entry>, generation: u64) {
        for (key, entry) in overlay.behind(None) {
            match entry {
                Entry::Young(young) if young.generation <= generation => {
                    self.after = self.after.plus(Counts::of(young.state));
                    self.young.push(young.clone());
                }
                Entry::Young(_) => {}
                Entry::Gone => self.changed.push((*key, None)),
                Entry::Changed(state) => self.changed.push((*key, Some(*state))),
            }
        }
    }
}

/// What a checkpoint works with.
pub(super) struct Desk<'a> {
    pub(super) table: &'a Table,
    pub(super) bodies: &'a Bodies,
    pub(super) keeper: &'a mut Keeper,
    pub(super) segment_bytes: u64,
    pub(super) counters: &'a Counters,
}

/// Writes everything in one durable transaction. What it wrote is told even when it failed: a
/// failed commit may have happened ([`last_serial`] tells).
pub(super) fn write(
    database: &Database,
    desk: &mut Desk<'_>,
    due: Vec<Due>,
    facts: &Facts,
) -> (Vec<Written>, Result<(), Error>) {
    let mut written = Vec::with_capacity(due.len());
    let result = transact(database, desk, due, facts, &mut written);
    if result.is_err() {
        desk.keeper.give_up();
    }
    (written, result.map_err(|e| failed(&e)))
}

fn transact(
    database: &Database,
    desk: &mut Desk<'_>,
    due: Vec<Due>,
    facts: &Facts,
    written: &mut Vec<Written>,
) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    // A base that was not closed then opens without a walk over all its pages.
    txn.set_quick_repair(true);
    let mut writer = Writer::of(&txn, desk, &due)?;
    for due in due {
        written.push(writer.inbox(due)?);
    }
    writer.finish()?;
    drop(writer);
    desk.keeper.sync()?;
    write_facts(&txn, facts)?;
    txn.commit()?;
    Ok(())
}

/// The serial of the last transaction that happened.
pub(super) fn last_serial(database: &Database) -> Result<u64, Error> {
    let run = || -> Result<u64, redb::Error> {
        let meta = database.begin_read()?.open_table(rows::META)?;
        Ok(meta.get("serial")?.map_or(0, |value| value.value()))
    };
    run().map_err(|e| failed(&e))
}

/// The files rows point at.
pub(super) fn files(database: &Database) -> Result<HashSet<u64>, Error> {
    let run = || -> Result<HashSet<u64>, redb::Error> {
        let alive = database.begin_read()?.open_table(rows::ALIVE)?;
        alive.iter()?.map(|entry| Ok(entry?.0.value())).collect()
    };
    run().map_err(|e| failed(&e))
}

fn write_facts(txn: &WriteTransaction, facts: &Facts) -> Result<(), redb::Error> {
    let mut meta = txn.open_table(rows::META)?;
    meta.insert("serial", facts.serial)?;
    meta.insert("floor", facts.floor)?;
    meta.insert("newest_inc_us", facts.newest_inc_us.cast_unsigned())?;
    let mut recent = txn.open_table(rows::RECENT)?;
    let old = rows::recent_key(facts.now_us - super::recent::window_us(), 0);
    recent.retain_in::<&[u8; 16], _>(..&old, |_, _| false)?;
    for (index, prints) in facts.prints.chunks(RECENT_ROW).enumerate() {
        let blob: Vec<u8> = prints.iter().flat_map(|print| print.0.to_le_bytes()).collect();
        let key = rows::recent_key(facts.now_us, (facts.serial << 20) + index as u64);
        recent.insert(&key, blob.as_slice())?;
    }
    Ok(())
}

/// The open tables.
struct Writer<'txn, 'desk, 'a> {
    desk: &'desk mut Desk<'a>,
    users: RedbTable<'txn, u64, &'static [u8]>,
    rows: RedbTable<'txn, &'static [u8; KEY], &'static [u8; ROW]>,
    alive: RedbTable<'txn, u64, u64>,
    next_user: u64,
    /// Segments in which the records stay.
    dense: HashSet<u64>,
    /// How many bytes of each file rows begin and cease to point at.
    gained: HashMap<u64, u64, ahash::RandomState>,
    lost: HashMap<u64, u64, ahash::RandomState>,
}

impl<'txn, 'desk, 'a> Writer<'txn, 'desk, 'a> {
    fn of(
        txn: &'txn WriteTransaction,
        desk: &'desk mut Desk<'a>,
        due: &[Due],
    ) -> Result<Self, redb::Error> {
        let users = txn.open_table(rows::USERS)?;
        let next_user = users.last()?.map_or(0, |(user, _)| user.value()) + 1;
        let mut bytes: HashMap<u64, u64, ahash::RandomState> = HashMap::default();
        for young in due.iter().flat_map(|due| &due.young) {
            *bytes.entry(young.place.file).or_default() += young.record.len() as u64;
        }
        bytes.retain(|_, bytes| *bytes * DENSE >= desk.segment_bytes);
        Ok(Self {
            users,
            rows: txn.open_table(rows::ROWS)?,
            alive: txn.open_table(rows::ALIVE)?,
            next_user,
            dense: bytes.into_keys().collect(),
            desk,
            gained: HashMap::default(),
            lost: HashMap::default(),
        })
    }

    fn inbox(&mut self, due: Due) -> Result<Written, redb::Error> {
        let mut user = due.user;
        if user == 0 && !due.after.is_zero() {
            user = self.next_user;
            self.next_user += 1;
            self.users.insert(user, due.aor.as_str().as_bytes())?;
        }
        for (key, state) in &due.changed {
            self.change(&rows::row_key(user, *key), *state)?;
        }
        let mut young = Vec::with_capacity(due.young.len());
        let mut oldest_generation = u64::MAX;
        for Young { record, generation, state, place } in due.young {
            let key = record.key();
            let place = if self.dense.contains(&place.file) {
                place
            } else {
                self.desk.keeper.append(&record)?
            };
            self.point(&rows::row_key(user, key), &record, place, state)?;
            oldest_generation = oldest_generation.min(generation);
            young.push((key, generation, state));
        }
        if due.after.is_zero() && user != 0 {
            self.users.remove(user)?;
            user = 0;
        }
        Ok(Written { aor: due.aor, user, oldest_generation, young, changed: due.changed })
    }

    fn change(&mut self, key: &[u8; KEY], state: Option<State>) -> Result<(), redb::Error> {
        let Some(state) = state else {
            let old = self.rows.remove(key)?.map(|row| Row::decode(row.value()));
            self.lose(old);
            return Ok(());
        };
        let old = self.rows.get(key)?.map(|row| Row::decode(row.value()));
        if let Some(row) = old {
            let row = Row { attempts: state.attempts, dead: state.dead, ..row };
            self.rows.insert(key, &row.encode())?;
        }
        Ok(())
    }

    /// Lets a row point at a record; what it pointed at before is lost.
    fn point(
        &mut self,
        key: &[u8; KEY],
        record: &Record,
        place: Place,
        state: State,
    ) -> Result<(), redb::Error> {
        let row = Row {
            file: place.file,
            at: place.at,
            len: u32::try_from(record.len()).expect("no SIP message reaches 4 GiB"),
            expires_s: record.expires_s(),
            attempts: state.attempts,
            dead: state.dead,
        };
        *self.gained.entry(row.file).or_default() += u64::from(row.len);
        let old = self.rows.insert(key, &row.encode())?.map(|row| Row::decode(row.value()));
        self.lose(old);
        Ok(())
    }

    fn lose(&mut self, row: Option<Row>) {
        if let Some(row) = row {
            *self.lost.entry(row.file).or_default() += u64::from(row.len);
        }
    }

    /// Counts what is left of each file, and empties some of which little is left.
    fn finish(&mut self) -> Result<(), redb::Error> {
        self.count()?;
        let mut sparse = self.sparse()?;
        sparse.truncate(COMPACT_FILES);
        for file in &sparse {
            self.compact(*file)?;
        }
        Counters::add(&self.desk.counters.files_compacted, sparse.len() as u64);
        self.count()
    }

    /// Writes the counts down.
    fn count(&mut self) -> Result<(), redb::Error> {
        let (gained, lost) = (std::mem::take(&mut self.gained), std::mem::take(&mut self.lost));
        let mut files: Vec<u64> = gained.keys().chain(lost.keys()).copied().collect();
        files.sort_unstable();
        files.dedup();
        for file in files {
            let plus = gained.get(&file).copied().unwrap_or(0);
            let minus = lost.get(&file).copied().unwrap_or(0);
            let old = self.alive.get(file)?.map_or(0, |counts| counts.value());
            let left = ((old >> 32) + plus).saturating_sub(minus);
            let of = match old & 0xffff_ffff {
                // A segment keeps its size.
                0 if self.dense.contains(&file) => self.desk.segment_bytes,
                of => of + if self.dense.contains(&file) { 0 } else { plus },
            };
            if left == 0 {
                self.alive.remove(file)?;
                continue;
            }
            self.alive.insert(file, (left << 32) | of)?;
        }
        Ok(())
    }

    /// The files of which little is left.
    fn sparse(&self) -> Result<Vec<u64>, redb::Error> {
        let mut sparse = Vec::new();
        for entry in self.alive.iter()? {
            let (file, counts) = entry?;
            let (file, left, of) =
                (file.value(), counts.value() >> 32, counts.value() & 0xffff_ffff);
            if left * SPARSE <= of && file != self.desk.keeper.current() {
                sparse.push(file);
            }
        }
        Ok(sparse)
    }

    /// Copies the records of a file that rows still point at.
    fn compact(&mut self, file: u64) -> Result<(), redb::Error> {
        let bytes = self.desk.bodies.read_all(file)?;
        let records = if super::bodies::is_kept(file) {
            frame::records(&bytes, 0)
        } else {
            segment::payloads(&bytes)
                .into_iter()
                .flat_map(|range| frame::put_records(&bytes[range.clone()], range.start))
                .collect()
        };
        for (at, record) in records {
            let owner = record.owner();
            let user = self.desk.table.bucket_of(&owner).inboxes.get(&owner).map(|i| i.user);
            let key = rows::row_key(user.unwrap_or(0), record.key());
            let row = self.rows.get(&key)?.map(|row| Row::decode(row.value()));
            if let Some(row) = row.filter(|row| (row.file, row.at as usize) == (file, at)) {
                let place = self.desk.keeper.append(&record)?;
                let state = State { attempts: row.attempts, dead: row.dead };
                self.point(&key, &record, place, state)?;
            }
        }
        Ok(())
    }
}
