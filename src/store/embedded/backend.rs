//! redb on our file layer: faults can be injected under it, and what it writes is counted and
//! handed to the disk in small portions.

use super::disk::DiskFile;
use redb::{BackendError, StorageBackend};
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A commit is written in portions of this size, each made durable before the next: the log's
/// own small syncs then never queue behind tens of megabytes.
const PORTION_BYTES: u64 = 2 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Backend {
    file: Arc<dyn DiskFile>,
    written: Arc<AtomicU64>,
    unsynced: AtomicU64,
}

impl Backend {
    /// Counts the bytes it writes in `written`.
    pub(super) fn new(file: Arc<dyn DiskFile>, written: Arc<AtomicU64>) -> Self {
        Self { file, written, unsynced: AtomicU64::new(0) }
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.unsynced.store(0, Ordering::Relaxed);
        self.file.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, data)?;
        self.written.fetch_add(data.len() as u64, Ordering::Relaxed);
        let portion = self.unsynced.fetch_add(data.len() as u64, Ordering::Relaxed);
        if portion + data.len() as u64 >= PORTION_BYTES { self.sync_data() } else { Ok(()) }
    }

    // The folder's lock file keeps other processes out; redb's own locks add nothing to it.

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
