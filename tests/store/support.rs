//! Stores to test, and a clock for them.

use sipsilo::store::Store;
use sipsilo::store::embedded::{EmbeddedStore, Options};
use sipsilo::store::memory::MemoryStore;
use sipsilo::vocab::{Clock, Now};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

/// A clock that stands still until it is told.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_700_000_000_000_000))
    }
}

impl TestClock {
    pub(crate) fn advance_s(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let unix_us = self.0.load(Ordering::SeqCst);
        Now { mono_us: u64::try_from(unix_us).unwrap(), unix_us }
    }
}

/// A store and what it lives in.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    _folder: Option<TempDir>,
}

pub(crate) fn memory() -> Subject {
    let store = Arc::new(MemoryStore::new(Arc::new(TestClock::default())));
    Subject { store, _folder: None }
}

/// Small files, so that many tests at once cost little.
pub(crate) fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder, Arc::new(TestClock::default()));
    options.segment_bytes = 256 * 1024;
    options
}

pub(crate) fn embedded() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(options(folder.path())).unwrap());
    Subject { store, _folder: Some(folder) }
}

pub(crate) fn embedded_tiny() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.generation_bytes = 1;
    let store = Arc::new(EmbeddedStore::open(options).unwrap());
    Subject { store, _folder: Some(folder) }
}
