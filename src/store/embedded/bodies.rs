//! Where the rows of the base point: records in files.
//!
//! When most of a segment of the log survives its checkpoint the records simply stay in it. Else
//! the few survivors are copied to a *kept* file and the segment is used again. A file goes when
//! its last record is gone, and when little is left in it, that is copied, too.

use super::base::failed_file;
use super::disk::{Disk, DiskFile};
use super::hold;
use super::record::Record;
use super::rows::Row;
use super::wal;
use crate::store::Error;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Set in the number of a kept file; segments have theirs without it.
const KEPT: u64 = 1 << 63;
/// A kept file is full at this size.
const KEPT_BYTES: u64 = 16 * 1024 * 1024;
/// So much is written to a kept file at once.
const PORTION_BYTES: usize = 1024 * 1024;
/// Files that are held open for reading.
const OPEN_MAX: usize = 256;

/// The place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) at: u32,
}

impl Place {
    /// The place `bytes` behind this one.
    pub(super) fn behind(self, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).expect("a batch is shorter than 4 GiB");
        Self { file: self.file, at: self.at + bytes }
    }
}

/// The file of a number.
pub(super) fn path_of(folder: &Path, file: u64) -> PathBuf {
    if file & KEPT == 0 {
        return wal::path_of(folder, file);
    }
    folder.join(format!("kept-{:016x}.dat", file & !KEPT))
}

/// The number of a kept file, from its name.
pub(super) fn id_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("kept-")?.strip_suffix(".dat")?;
    u64::from_str_radix(digits, 16).ok().map(|id| id | KEPT)
}

/// True for the number of a kept file.
pub(super) const fn is_kept(file: u64) -> bool {
    file & KEPT != 0
}

/// The reading side.
#[derive(Debug)]
pub(super) struct Bodies {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    open: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
}

impl Bodies {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, open: Mutex::default() }
    }

    /// The record a row points at. The row's snapshot must be held meanwhile: it keeps the file.
    pub(super) fn read(&self, row: &Row) -> Result<Record, Error> {
        let path = || path_of(&self.folder, row.file);
        let mut bytes = vec![0; row.len as usize];
        self.file(row.file)
            .and_then(|file| file.read_at(u64::from(row.at), &mut bytes))
            .map_err(|error| failed_file(&path(), &error))?;
        Record::read(&bytes).ok_or_else(|| {
            let path = path();
            Error::Corrupt(format!("{}: the record at byte {}", path.display(), row.at))
        })
    }

    /// Reads a whole file.
    pub(super) fn read_all(&self, file: u64) -> io::Result<Vec<u8>> {
        let file = self.file(file)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    fn file(&self, id: u64) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = hold(&self.open).get(&id) {
            return Ok(file.clone());
        }
        let file = self.disk.open(&path_of(&self.folder, id), false)?;
        let mut open = hold(&self.open);
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(id, file.clone());
        Ok(file)
    }

    /// Closes a file that is about to go.
    pub(super) fn forget(&self, id: u64) {
        hold(&self.open).remove(&id);
    }
}

/// The writing side: the kept file that is being filled. Only the checkpoint has one.
#[derive(Debug)]
pub(super) struct Keeper {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    id: u64,
    file: Option<Arc<dyn DiskFile>>,
    /// How far it is written, and what is to follow.
    at: u64,
    buffer: Vec<u8>,
}

impl Keeper {
    /// `newest`: no kept file has a higher number.
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf, newest: u64) -> Self {
        Self { disk, folder, id: newest | KEPT, file: None, at: 0, buffer: Vec::new() }
    }

    /// The file being filled.
    pub(super) const fn current(&self) -> u64 {
        self.id
    }

    /// Adds a record. It is there for good only after [`Keeper::sync`].
    pub(super) fn append(&mut self, record: &Record) -> io::Result<Place> {
        let len = self.at + self.buffer.len() as u64;
        if self.file.is_none() || len >= KEPT_BYTES {
            self.sync()?;
            self.begin()?;
        } else if self.buffer.len() >= PORTION_BYTES {
            self.sync()?;
        }
        let at = self.at + self.buffer.len() as u64;
        self.buffer.extend_from_slice(record.bytes());
        Ok(Place { file: self.id, at: u32::try_from(at).map_err(io::Error::other)? })
    }

    /// Makes everything added durable. After a failure the next record begins another file.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        if !self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            file.write_at(self.at, &buffer)?;
            file.sync()?;
            self.at += buffer.len() as u64;
            self.buffer = buffer;
            self.buffer.clear();
        }
        self.file = Some(file);
        Ok(())
    }

    /// Gives up what was added and not synced.
    pub(super) fn give_up(&mut self) {
        self.file = None;
        self.buffer.clear();
    }

    fn begin(&mut self) -> io::Result<()> {
        self.file = None;
        self.id += 1;
        let file = self.disk.open(&path_of(&self.folder, self.id), true)?;
        self.disk.sync_folder(&self.folder)?;
        self.file = Some(file);
        self.at = 0;
        Ok(())
    }
}
