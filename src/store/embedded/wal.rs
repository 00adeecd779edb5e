//! The log: segments one after the other, each written from front to back and used again.

use super::bodies::Place;
use super::counters::Counters;
use super::disk::{Disk, DiskFile, fill};
use super::hold;
use super::segment::{self, HEAD, Head};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Prepared segments that are kept at most.
const SPARES_MAX: usize = 24;

/// The file of segment `id`.
pub(super) fn path_of(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("wal-{id:016x}.log"))
}

/// The segment a file holds, from its name.
pub(super) fn id_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    u64::from_str_radix(digits, 16).ok()
}

/// True for a file that [`Spares`] holds.
pub(super) fn is_spare(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("spare-") && name.ends_with(".log"))
}

/// Files of a segment's size that hold nothing any more. Overwriting one needs neither space nor
/// a change of metadata.
#[derive(Debug)]
pub(super) struct Spares {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    pub(super) segment_bytes: u64,
    paths: Mutex<Vec<PathBuf>>,
}

impl Spares {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf, segment_bytes: u64) -> Self {
        Self { disk, folder, segment_bytes, paths: Mutex::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        hold(&self.paths).is_empty()
    }

    fn take(&self) -> Option<PathBuf> {
        hold(&self.paths).pop()
    }

    /// A name nothing else has.
    fn name(&self) -> PathBuf {
        self.folder.join(format!("spare-{:016x}.log", rand::random::<u64>()))
    }

    /// Makes a fresh one.
    ///
    /// # Errors
    /// What the disk says; nothing is left behind.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let path = self.name();
        create(&*self.disk, &path, self.segment_bytes)?;
        hold(&self.paths).push(path);
        Ok(())
    }

    /// Keeps a file whose contents nobody needs any more, or removes it. Failing costs nothing
    /// but space: the next open finds the file again.
    pub(super) fn recycle(&self, path: &Path) {
        let has_size = self
            .disk
            .open(path, false)
            .and_then(|file| file.len())
            .is_ok_and(|len| len == self.segment_bytes);
        let has_room = hold(&self.paths).len() < SPARES_MAX;
        let spare = self.name();
        if has_size && has_room && self.disk.rename(path, &spare).is_ok() {
            hold(&self.paths).push(spare);
        } else if let Err(error) = self.disk.remove(path) {
            tracing::warn!(path = %path.display(), %error, "an old log file cannot be removed");
        }
    }
}

fn create(disk: &dyn Disk, path: &Path, len: u64) -> io::Result<Arc<dyn DiskFile>> {
    let made = disk.open(path, true).and_then(|file| fill(&*file, len).map(|()| file));
    if made.is_err() {
        // Half a file is no use; if even this fails the next open removes it.
        drop(disk.remove(path));
    }
    made
}

#[derive(Debug)]
struct Current {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    head: Head,
    /// How far it is written; 0 = not even its head.
    at: u64,
}

/// Where the log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The last segment that holds something, and how far.
    pub(super) last: (u64, u64),
    /// No file has this number or a higher one.
    pub(super) next_id: u64,
    /// The number of the next batch.
    pub(super) seq: u64,
}

/// The writing end of the log.
#[derive(Debug)]
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    spares: Arc<Spares>,
    counters: Arc<Counters>,
    current: Option<Current>,
    end: End,
}

impl Log {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        spares: Arc<Spares>,
        counters: Arc<Counters>,
        end: End,
    ) -> Self {
        Self { disk, folder, spares, counters, current: None, end }
    }

    /// The newest segment that holds something.
    pub(super) const fn last_segment(&self) -> u64 {
        self.end.last.0
    }

    /// Makes `batch` durable; its first [`segment::BATCH_HEAD`] bytes are filled in here. Answers
    /// where it stands.
    ///
    /// # Errors
    /// What the disk says. Then the batch counts as never written: the log goes on in another
    /// segment, whose head says that this one ends before the batch.
    pub(super) fn append(&mut self, batch: &mut [u8]) -> io::Result<Place> {
        let mut current = match self.current.take() {
            Some(current) if current.at + batch.len() as u64 <= self.spares.segment_bytes => {
                current
            }
            Some(_) | None => self.begin()?,
        };
        segment::seal(batch, current.head.seed, self.end.seq);
        let is_first = current.at == 0;
        let from = current.at.max(HEAD as u64);
        let written = if is_first {
            let both = [current.head.encode().as_slice(), batch].concat();
            current.file.write_at(0, &both)
        } else {
            current.file.write_at(from, batch)
        };
        if let Err(error) = written.and_then(|()| current.file.sync()) {
            Counters::add(&self.counters.wal_failures, 1);
            if is_first {
                // Nothing in it was ever durable. If it stays it is not in the chain of heads.
                drop(self.disk.remove(&current.path));
            }
            return Err(error);
        }
        let end = segment::aligned(batch.len()) as u64 + from;
        Counters::add(&self.counters.fsyncs, 1);
        Counters::add(&self.counters.wal_bytes, end - current.at);
        current.at = end;
        self.end.last = (current.head.id, current.at);
        self.end.seq += 1;
        let place =
            Place { file: current.head.id, at: u32::try_from(from).map_err(io::Error::other)? };
        self.current = Some(current);
        Ok(place)
    }

    /// Lets the next batch begin a segment.
    pub(super) fn cut(&mut self) {
        self.current = None;
    }

    fn begin(&mut self) -> io::Result<Current> {
        let id = self.end.next_id;
        self.end.next_id += 1;
        let path = path_of(&self.folder, id);
        let file = match self.spares.take() {
            Some(spare) => {
                self.disk.rename(&spare, &path)?;
                self.disk.open(&path, false)?
            }
            None => create(&*self.disk, &path, self.spares.segment_bytes)?,
        };
        self.disk.sync_folder(&self.folder)?;
        let (prev_id, prev_len) = self.end.last;
        let head = Head { id, seed: rand::random(), prev_id, prev_len, first_seq: self.end.seq };
        Ok(Current { file, path, head, at: 0 })
    }
}
