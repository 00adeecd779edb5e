//! Reading the log back at open.

use super::bodies::Place;
use super::disk::Disk;
use super::frame::{self, Frame, PUT_HEAD};
use super::recent::{Print, Recent};
use super::segment::{self, HEAD, Head};
use super::table::Table;
use super::wal::{self, End};
use super::{OpenError, base::Base};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The generation of everything the log gives back.
const GENERATION: u64 = 1;

/// What the log said.
pub(super) struct Replayed {
    pub(super) end: End,
    pub(super) prints: Vec<Print>,
    pub(super) log_bytes: u64,
    pub(super) newest_inc_us: i64,
    /// Files that hold nothing that is needed.
    pub(super) unused: Vec<PathBuf>,
}

/// Applies the log behind `floor` to `table`.
pub(super) struct Replay<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) folder: &'a Path,
    pub(super) table: &'a Table,
    pub(super) base: &'a Base,
    pub(super) recent: &'a mut Recent,
    pub(super) now_us: i64,
}

/// One segment to read: its head, and how far its successor says it goes.
struct Link {
    head: Head,
    len: Option<u64>,
}

impl Replay<'_> {
    pub(super) fn run(mut self, floor: u64) -> Result<Replayed, OpenError> {
        let files = self.files()?;
        let (chain, start) = self.chain(&files, floor)?;
        let mut replayed = Replayed {
            end: End { last: start, next_id: 1, seq: 1 },
            prints: Vec::new(),
            log_bytes: 0,
            newest_inc_us: i64::MIN,
            unused: Vec::new(),
        };
        let newest_file = files.last_key_value().map_or(0, |(id, _)| *id);
        replayed.end.next_id = newest_file.max(floor) + 1;
        for (index, link) in chain.iter().enumerate() {
            if index > 0 && link.head.first_seq != replayed.end.seq {
                return Err(self.damaged(link.head.id, "a file before it is missing"));
            }
            replayed.end.seq = link.head.first_seq;
            self.segment(link, &mut replayed)?;
        }
        for (id, path) in files {
            if !chain.iter().any(|link| link.head.id == id) {
                replayed.unused.push(path);
            }
        }
        Ok(replayed)
    }

    fn files(&self) -> Result<BTreeMap<u64, PathBuf>, OpenError> {
        let paths = self.disk.list(self.folder).map_err(|e| self.unreadable(self.folder, &e))?;
        Ok(paths.into_iter().filter_map(|path| Some((wal::id_of(&path)?, path))).collect())
    }

    /// The segments to read, in order, and where the log before them ended. The newest is the one
    /// with the highest number and a head; each head names the one before it.
    fn chain(
        &self,
        files: &BTreeMap<u64, PathBuf>,
        floor: u64,
    ) -> Result<(Vec<Link>, (u64, u64)), OpenError> {
        let mut chain: Vec<Link> = Vec::new();
        for (id, path) in files.range(floor + 1..).rev() {
            if let Some(head) = self.head(*id, path)? {
                chain.push(Link { head, len: None });
                break;
            }
        }
        while let Some(Link { head, .. }) = chain.last() {
            let (prev_id, prev_len) = (head.prev_id, head.prev_len);
            if prev_id <= floor {
                break;
            }
            let Some(path) = files.get(&prev_id) else {
                return Err(self.damaged(prev_id, "it is missing"));
            };
            let Some(head) = self.head(prev_id, path)? else {
                return Err(self.damaged(prev_id, "its head is missing"));
            };
            chain.push(Link { head, len: Some(prev_len) });
        }
        chain.reverse();
        let start = chain.first().map_or((0, 0), |link| (link.head.prev_id, link.head.prev_len));
        Ok((chain, start))
    }

    fn head(&self, id: u64, path: &Path) -> Result<Option<Head>, OpenError> {
        let mut bytes = [0; HEAD];
        let read = self.disk.open(path, false).and_then(|file| file.read_at(0, &mut bytes));
        match read {
            // Begun anew, but never written in this life: blank, or the head of an earlier one.
            Ok(()) if bytes == [0; HEAD] => Ok(None),
            Ok(()) => match Head::decode(&bytes) {
                Some(head) => Ok((head.id == id).then_some(head)),
                None => Err(self.damaged(id, "its head")),
            },
            // Made, and not filled before the power went.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(self.unreadable(path, &error)),
        }
    }

    fn segment(&mut self, link: &Link, replayed: &mut Replayed) -> Result<(), OpenError> {
        let id = link.head.id;
        let path = wal::path_of(self.folder, id);
        let read = || -> io::Result<Vec<u8>> {
            let file = self.disk.open(&path, false)?;
            let len = link.len.map_or_else(|| file.len(), Ok)?;
            let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
            file.read_at(0, &mut bytes)?;
            Ok(bytes)
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged(id, "it is too short"));
            }
            Err(error) => return Err(self.unreadable(&path, &error)),
        };
        let mut at = HEAD;
        while let Some(range) = segment::batch_at(&bytes, at, link.head.seed, replayed.end.seq) {
            at = segment::aligned(range.end);
            let at = u32::try_from(range.start).map_err(|_| self.damaged(id, "it is too long"))?;
            self.batch(Place { file: id, at }, &bytes[range], replayed)?;
            replayed.end.seq += 1;
        }
        let is_whole = match link.len {
            Some(len) => at as u64 == len,
            None => !segment::newer_batch_behind(&bytes, at, link.head.seed, replayed.end.seq),
        };
        if !is_whole {
            return Err(self.damaged(id, &format!("byte {at} and what follows")));
        }
        if at > HEAD {
            replayed.end.last = (id, at as u64);
        }
        replayed.log_bytes += at as u64;
        Ok(())
    }

    fn batch(
        &mut self,
        place: Place,
        batch: &[u8],
        replayed: &mut Replayed,
    ) -> Result<(), OpenError> {
        let mut frames = batch;
        while !frames.is_empty() {
            let place = place.behind(batch.len() - frames.len() + PUT_HEAD);
            let Some(frame) = frame::read(&mut frames) else {
                return Err(self.damaged(place.file, "a frame in it makes no sense"));
            };
            let applied = match frame {
                Frame::Put(record) => {
                    let (aor, key) = (record.owner(), record.key());
                    replayed.newest_inc_us = replayed.newest_inc_us.max(key.inc_us);
                    let print = Print::of(&aor, key.id);
                    replayed.prints.push(print);
                    self.recent.insert(print, self.now_us, GENERATION);
                    self.table.put_again(&aor, record, place, GENERATION, &|| self.base.snapshot())
                }
                Frame::Change { aor, key, verb } => {
                    let changed = self.table.change(&aor, key, verb, &|| self.base.snapshot());
                    changed.map(|_| ())
                }
            };
            applied.map_err(|error| OpenError::Damaged {
                path: self.folder.join(super::base::FILE),
                what: error.to_string(),
            })?;
        }
        Ok(())
    }

    fn damaged(&self, id: u64, what: &str) -> OpenError {
        OpenError::Damaged { path: wal::path_of(self.folder, id), what: what.into() }
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> OpenError {
        OpenError::Unusable { path: path.into(), reason: error.to_string() }
    }
}
