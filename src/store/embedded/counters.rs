//! What the embedded store counts.

use crate::store::Report;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rising counters, by name.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) puts: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) changes: AtomicU64,
    pub(super) swept: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) fsyncs: AtomicU64,
    pub(super) wal_bytes: AtomicU64,
    pub(super) wal_failures: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) checkpoint_failures: AtomicU64,
    pub(super) checkpoint_messages: AtomicU64,
    pub(super) checkpoint_us: AtomicU64,
    pub(super) base_bytes: Arc<AtomicU64>,
    pub(super) files_compacted: AtomicU64,
    pub(super) pages: AtomicU64,
    pub(super) base_pages: AtomicU64,
    pub(super) busy: AtomicU64,
}

impl Counters {
    /// Raises one of them.
    pub(super) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn report(&self, memtable_bytes: usize) -> Report {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Report {
            counters: vec![
                ("puts", get(&self.puts)),
                ("duplicates", get(&self.duplicates)),
                ("changes", get(&self.changes)),
                ("swept", get(&self.swept)),
                ("batches", get(&self.batches)),
                ("fsyncs", get(&self.fsyncs)),
                ("wal_bytes", get(&self.wal_bytes)),
                ("wal_failures", get(&self.wal_failures)),
                ("checkpoints", get(&self.checkpoints)),
                ("checkpoint_failures", get(&self.checkpoint_failures)),
                ("checkpoint_messages", get(&self.checkpoint_messages)),
                ("checkpoint_us", get(&self.checkpoint_us)),
                ("base_bytes", get(&self.base_bytes)),
                ("files_compacted", get(&self.files_compacted)),
                ("pages", get(&self.pages)),
                ("base_pages", get(&self.base_pages)),
                ("busy", get(&self.busy)),
                ("memtable_bytes", memtable_bytes as u64),
            ],
        }
    }
}
