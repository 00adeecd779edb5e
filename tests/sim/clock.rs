//! The time of a world: tokio's paused clock, and a wall clock beside it that may be set.

use sipsilo::vocab::{Clock, Now};
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::Instant;

/// 2026-01-01 00:00:00 UTC.
const BEGINNING_US: i64 = 1_767_225_600_000_000;

/// The clock of a world.
pub struct SimClock {
    start: Instant,
    set_by_us: AtomicI64,
}

impl SimClock {
    /// A clock that starts at the same moment in every world.
    pub fn start() -> Self {
        Self { start: Instant::now(), set_by_us: AtomicI64::new(0) }
    }

    /// Sets the wall clock forward or back.
    pub fn step(&self, by_us: i64) {
        self.set_by_us.fetch_add(by_us, Ordering::Relaxed);
    }

    /// Microseconds since the world began.
    pub fn since_start_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).expect("a world ends long before that")
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let mono_us = self.since_start_us();
        let set_by_us = self.set_by_us.load(Ordering::Relaxed);
        Now { mono_us, unix_us: BEGINNING_US + mono_us.cast_signed() + set_by_us }
    }
}

/// The same without steps: for a store, whose memory of identities is not the subject here.
pub struct Steady(pub std::sync::Arc<SimClock>);

impl Clock for Steady {
    fn now(&self) -> Now {
        let mono_us = self.0.since_start_us();
        Now { mono_us, unix_us: BEGINNING_US + mono_us.cast_signed() }
    }
}
