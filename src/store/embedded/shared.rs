//! What the threads of one embedded store share.

use super::base::Base;
use super::bodies::Bodies;
use super::checkpoint::Checkpoints;
use super::counters::Counters;
use super::disk::Disk;
use super::queue::Queue;
use super::readers::Readers;
use super::table::Table;
use super::wal::Spares;
use crate::vocab::Clock;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) memtable_bytes: usize,
    pub(super) generation_bytes: u64,
    pub(super) table: Table,
    pub(super) base: Base,
    pub(super) bodies: Bodies,
    pub(super) queue: Queue,
    pub(super) readers: Readers,
    pub(super) checkpoints: Checkpoints,
    pub(super) spares: Arc<Spares>,
    pub(super) counters: Arc<Counters>,
    /// Generations up to this one are in the base.
    pub(super) flushed: AtomicU64,
    /// True when no operation may begin any more.
    pub(super) closed: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}
