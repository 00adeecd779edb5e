//! Time as a value.
//!
//! Machines are handed a [`Now`]; only `node.rs` and tests own a [`Clock`].

use std::time::Duration;

/// One reading of both clocks.
///
/// The monotonic clock drives timers and never jumps; the wall clock is what messages are stamped
/// with and what `Expires` is counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Microseconds since some fixed moment of this process.
    pub mono_us: u64,
    /// Microseconds since 1970-01-01 UTC.
    pub unix_us: i64,
}

impl Now {
    /// Whole seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn unix_s(self) -> i64 {
        self.unix_us.div_euclid(1_000_000)
    }

    /// The monotonic moment `after` from now, in microseconds.
    #[must_use]
    pub fn mono_after(self, after: Duration) -> u64 {
        self.mono_us.saturating_add(micros(after))
    }

    /// This reading moved `by` into the future on both clocks.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let us = micros(by);
        Self {
            mono_us: self.mono_us.saturating_add(us),
            unix_us: self.unix_us.saturating_add(i64::try_from(us).unwrap_or(i64::MAX)),
        }
    }
}

/// A duration in whole microseconds, saturating.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Where [`Now`] comes from. The system's clock is made in `node.rs`; tests hold their own.
pub trait Clock: Send + Sync + 'static {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_before_1970_round_towards_the_past() {
        let now = Now { mono_us: 0, unix_us: -1 };
        assert_eq!(now.unix_s(), -1);
    }

    #[test]
    fn both_clocks_move_together() {
        let now = Now { mono_us: 5, unix_us: 10 }.plus(Duration::from_millis(1));
        assert_eq!((now.mono_us, now.unix_us), (1_005, 1_010));
    }
}
