//! Reading: the rows of the base with the overlay of the table laid over them.

use super::base::Snapshot;
use super::counters::Counters;
use super::queue::Op;
use super::record::Record;
use super::rows::Row;
use super::shared::Shared;
use super::table::{BUCKETS, Entry, Inbox, State};
use crate::store::{Cursor, Error, Occupied, Page, Swept};
use crate::vocab::{Aor, Key, Message};
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

/// Where a message's bytes are.
#[derive(Debug)]
enum Source {
    Young(Record),
    Row(Row),
}

/// A message found, not yet read.
#[derive(Debug)]
struct Found {
    key: Key,
    state: State,
    source: Source,
}

impl Found {
    fn expires_s(&self) -> i64 {
        match &self.source {
            Source::Young(record) => record.expires_s(),
            Source::Row(row) => row.expires_s,
        }
    }

    fn len(&self) -> usize {
        match &self.source {
            Source::Young(record) => record.len(),
            Source::Row(row) => row.len as usize,
        }
    }

    fn read(self, owner: &Aor, shared: &Shared) -> Result<Message, Error> {
        let record = match self.source {
            Source::Young(record) => record,
            Source::Row(row) => shared.bodies.read(&row)?,
        };
        Ok(record.message(owner, self.state.attempts))
    }
}

type Rows = Box<dyn Iterator<Item = Result<(Key, Row), Error>>>;

/// The messages and dead letters of one inbox behind a key, in order, as of one moment.
struct Merged {
    rows: Peekable<Rows>,
    overlay: Peekable<IntoIter<(Key, Entry)>>,
}

impl Merged {
    /// `young_max`: how many young messages are of interest.
    fn of(
        inbox: &Inbox,
        after: Option<Key>,
        young_max: usize,
        snapshot: &Snapshot,
    ) -> Result<Self, Error> {
        let mut overlay = Vec::new();
        let mut young = 0;
        for entry in inbox.overlay.iter().flat_map(|overlay| overlay.behind(after)) {
            overlay.push(entry.clone());
            young += usize::from(matches!(&entry.1, Entry::Young(young) if !young.state.dead));
            if young > young_max {
                break;
            }
        }
        let rows: Rows = Box::new(snapshot.rows(inbox.user, after)?);
        Ok(Self { rows: rows.peekable(), overlay: overlay.into_iter().peekable() })
    }

    fn next(&mut self) -> Result<Option<Found>, Error> {
        loop {
            let row_key = match self.rows.peek() {
                Some(Ok((key, _))) => Some(*key),
                Some(Err(error)) => return Err(error.clone()),
                None => None,
            };
            let overlay_key = self.overlay.peek().map(|(key, _)| *key);
            let (takes_row, takes_entry) = match (row_key, overlay_key) {
                (None, None) => return Ok(None),
                (Some(row), Some(entry)) => (row <= entry, entry <= row),
                (row, entry) => (row.is_some(), entry.is_some()),
            };
            let row = if takes_row { self.rows.next().transpose()? } else { None };
            let entry = if takes_entry { self.overlay.next() } else { None };
            let found = match (row, entry) {
                (_, Some((key, Entry::Young(young)))) => {
                    Found { key, state: young.state, source: Source::Young(young.record) }
                }
                (Some((key, row)), Some((_, Entry::Changed(state)))) => {
                    Found { key, state, source: Source::Row(row) }
                }
                (Some((key, row)), None) => {
                    let state = State { attempts: row.attempts, dead: row.dead };
                    Found { key, state, source: Source::Row(row) }
                }
                (_, Some((_, Entry::Gone | Entry::Changed(_)))) | (None, None) => continue,
            };
            return Ok(Some(found));
        }
    }

    fn next_that(&mut self, wanted: impl Fn(&Found) -> bool) -> Result<Option<Found>, Error> {
        while let Some(found) = self.next()? {
            if wanted(&found) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Opens the inbox of `aor`; `None` when it holds nothing. The snapshot is to be held as long as
/// anything is read.
fn open(
    shared: &Shared,
    aor: &Aor,
    after: Option<Key>,
    young_max: usize,
) -> Result<Option<(Merged, Arc<Snapshot>)>, Error> {
    let bucket = shared.table.bucket_of(aor);
    let Some(inbox) = bucket.inboxes.get(aor) else { return Ok(None) };
    // Under the lock: a checkpoint shows its rows first and thins the overlay out afterwards.
    let snapshot = shared.base.snapshot()?;
    Ok(Some((Merged::of(inbox, after, young_max, &snapshot)?, snapshot)))
}

/// A page, if it can be had without the base.
pub(super) fn young_page(
    shared: &Shared,
    aor: &Aor,
    after: Option<Key>,
    messages: usize,
    bytes: usize,
) -> Option<Page> {
    let mut records = Vec::new();
    let mut is_last = true;
    {
        let bucket = shared.table.bucket_of(aor);
        let Some(inbox) = bucket.inboxes.get(aor) else {
            return Some(Page { messages: Vec::new(), is_last: true });
        };
        if inbox.rows.live > 0 {
            return None;
        }
        let mut held = 0;
        for (_, entry) in inbox.overlay.iter().flat_map(|overlay| overlay.behind(after)) {
            let Entry::Young(young) = entry else { continue };
            if young.state.dead {
                continue;
            }
            held += young.record.len();
            if records.len() == messages || (held > bytes && !records.is_empty()) {
                is_last = false;
                break;
            }
            records.push((young.record.clone(), young.state.attempts));
        }
    }
    let read = |(record, attempts): (Record, u16)| record.message(aor, attempts);
    Some(Page { messages: records.into_iter().map(read).collect(), is_last })
}

/// A page of rows and young messages.
pub(super) fn page(
    shared: &Shared,
    aor: &Aor,
    after: Option<Key>,
    messages: usize,
    bytes: usize,
) -> Result<Page, Error> {
    let mut page = Page { messages: Vec::new(), is_last: true };
    let Some((mut merged, _snapshot)) = open(shared, aor, after, messages)? else {
        return Ok(page);
    };
    let mut held = 0;
    while let Some(found) = merged.next_that(|found| !found.state.dead)? {
        held += found.len();
        if page.messages.len() == messages || (held > bytes && !page.messages.is_empty()) {
            page.is_last = false;
            break;
        }
        page.messages.push(found.read(aor, shared)?);
    }
    Ok(page)
}

/// A place in an enumeration: `bucket u16, name_len u16, name, inc_us i64, mid [16]`.
#[derive(Clone, Debug, Default)]
struct Place {
    bucket: usize,
    aor: Option<Aor>,
    key: Option<Key>,
}

impl Place {
    fn cursor(&self) -> Cursor {
        let mut out = vec![u8::try_from(self.bucket).unwrap_or(u8::MAX)];
        let name = self.aor.as_ref().map_or("", Aor::as_str);
        if let Some(key) = self.key {
            out.push(1);
            out.extend_from_slice(&key.inc_us.to_le_bytes());
            out.extend_from_slice(&key.id.0);
        } else {
            out.push(0);
        }
        out.extend_from_slice(name.as_bytes());
        Cursor(out)
    }

    /// Reads what [`Place::cursor`] wrote; what makes no sense starts from the beginning.
    fn read(cursor: Option<Cursor>) -> Self {
        let bytes = cursor.map(|cursor| cursor.0).unwrap_or_default();
        let [bucket, has_key, rest @ ..] = bytes.as_slice() else { return Self::default() };
        let (key, name) = if *has_key == 1 && rest.len() >= 24 {
            let inc_us = i64::from_le_bytes(super::record::array(rest, 0));
            let id = crate::vocab::MessageId(super::record::array(rest, 8));
            (Some(Key { inc_us, id }), &rest[24..])
        } else {
            (None, rest)
        };
        let aor = std::str::from_utf8(name).ok().and_then(Aor::from_canonical);
        Self { bucket: usize::from(*bucket), aor, key }
    }
}

/// The inboxes of a bucket that `wanted` names, from `from` on, by name.
fn names(
    shared: &Shared,
    bucket: usize,
    from: Option<&Aor>,
    wanted: impl Fn(&Inbox) -> bool,
) -> Vec<(Aor, u32)> {
    let bucket = shared.table.bucket(bucket);
    let mut names: Vec<(Aor, u32)> = bucket
        .inboxes
        .iter()
        .filter(|(aor, inbox)| wanted(inbox) && from.is_none_or(|from| *aor >= from))
        .map(|(aor, inbox)| (aor.clone(), inbox.total().live))
        .collect();
    drop(bucket);
    names.sort_unstable();
    names
}

/// Enumerates the inboxes that are not empty.
pub(super) fn occupied(
    shared: &Shared,
    from: Option<Cursor>,
    limit: usize,
) -> (Vec<Occupied>, Option<Cursor>) {
    let mut place = Place::read(from);
    let mut found = Vec::new();
    while place.bucket < BUCKETS {
        let inboxes =
            names(shared, place.bucket, place.aor.as_ref(), |inbox| inbox.total().live > 0);
        for (aor, messages) in inboxes {
            if found.len() >= limit {
                place.aor = Some(aor);
                return (found, Some(place.cursor()));
            }
            found.push(Occupied { aor, messages });
        }
        place = Place { bucket: place.bucket + 1, aor: None, key: None };
    }
    (found, None)
}

/// Reads dead letters.
pub(super) fn dead_letters(
    shared: &Shared,
    only: Option<&Aor>,
    from: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Message>, Option<Cursor>), Error> {
    let mut place = Place::read(from);
    let mut found = Vec::new();
    if let Some(aor) = only {
        let after = place.key.filter(|_| place.aor.as_ref() == Some(aor));
        let last = dead_of(shared, aor, after, limit, &mut found)?;
        let place = Place { bucket: 0, aor: Some(aor.clone()), key: last };
        return Ok((found, last.map(|_| place.cursor())));
    }
    while place.bucket < BUCKETS {
        let inboxes =
            names(shared, place.bucket, place.aor.as_ref(), |inbox| inbox.total().dead > 0);
        for (aor, _) in inboxes {
            let after = place.key.filter(|_| place.aor.as_ref() == Some(&aor));
            place.aor = Some(aor.clone());
            place.key = dead_of(shared, &aor, after, limit, &mut found)?;
            if place.key.is_some() {
                return Ok((found, Some(place.cursor())));
            }
        }
        place = Place { bucket: place.bucket + 1, aor: None, key: None };
    }
    Ok((found, None))
}

/// Adds the dead letters of one user. Answers behind which to go on when `limit` is reached and
/// more are there.
fn dead_of(
    shared: &Shared,
    aor: &Aor,
    after: Option<Key>,
    limit: usize,
    found: &mut Vec<Message>,
) -> Result<Option<Key>, Error> {
    let Some((mut merged, _snapshot)) = open(shared, aor, after, usize::MAX)? else {
        return Ok(None);
    };
    let mut last = after;
    while let Some(letter) = merged.next_that(|found| found.state.dead)? {
        if found.len() >= limit {
            // Before the first key when nothing of this user was taken.
            let first = Key { inc_us: i64::MIN, id: crate::vocab::MessageId([0; 16]) };
            return Ok(Some(last.unwrap_or(first)));
        }
        last = Some(letter.key);
        found.push(letter.read(aor, shared)?);
    }
    Ok(None)
}

/// Looks for what has expired and lets the writer remove it.
pub(super) fn sweep(
    shared: &Shared,
    unix_s: i64,
    limit: usize,
    reply: super::queue::Sender<Swept>,
) {
    match expired(shared, unix_s, limit) {
        Err(error) => drop(reply.send(Err(error))),
        Ok((victims, more)) => {
            if let Err((op, error)) = shared.queue.push(Op::Sweep { victims, more, reply }) {
                Counters::add(&shared.counters.busy, 1);
                op.fail(error);
            }
        }
    }
}

fn expired(shared: &Shared, unix_s: i64, limit: usize) -> Result<(Vec<(Aor, Key)>, bool), Error> {
    let mut victims = Vec::new();
    for index in 0..BUCKETS {
        if shared.table.bucket(index).min_expires_s.is_none_or(|min| min > unix_s) {
            continue;
        }
        for (aor, _) in names(shared, index, None, |inbox| inbox.min_expires_s <= unix_s) {
            if expired_of(shared, &aor, unix_s, limit, &mut victims)? {
                return Ok((victims, true));
            }
        }
        let mut bucket = shared.table.bucket(index);
        bucket.min_expires_s = bucket.inboxes.values().map(|inbox| inbox.min_expires_s).min();
    }
    Ok((victims, false))
}

/// Adds what has expired in one inbox. True when the limit does not let it look on.
fn expired_of(
    shared: &Shared,
    aor: &Aor,
    unix_s: i64,
    limit: usize,
    victims: &mut Vec<(Aor, Key)>,
) -> Result<bool, Error> {
    let puts = shared.table.bucket_of(aor).inboxes.get(aor).map(|inbox| inbox.puts);
    let Some((mut merged, _snapshot)) = open(shared, aor, None, usize::MAX)? else {
        return Ok(false);
    };
    let mut min_expires_s = i64::MAX;
    while let Some(found) = merged.next()? {
        min_expires_s = min_expires_s.min(found.expires_s());
        if found.expires_s() <= unix_s {
            if victims.len() >= limit {
                return Ok(true);
            }
            victims.push((aor.clone(), found.key));
        }
    }
    // A put meanwhile may end sooner than what was seen; then the old bound stays.
    let mut bucket = shared.table.bucket_of(aor);
    if let Some(inbox) = bucket.inboxes.get_mut(aor).filter(|inbox| Some(inbox.puts) == puts) {
        inbox.min_expires_s = min_expires_s;
    }
    Ok(false)
}
