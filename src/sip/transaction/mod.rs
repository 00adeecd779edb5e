//! Transactions (RFC 3261 section 17, RFC 4320): tables and timers, no text.
//!
//! * [`key`]: which request belongs to which transaction.
//! * [`server`]: requests that came, and the final responses kept for replay.
//! * [`client`]: requests we sent.
//! * `timer`: queues of constant length in place of a heap; `completed`: the kept responses;
//!   `index`: from key to place.
//!
//! The endpoint reads and writes the messages; here they are bytes.

pub(crate) mod client;
mod completed;
mod index;
pub(crate) mod key;
pub(crate) mod server;
mod timer;

pub use key::ServerKey;

use crate::vocab::clock::micros;
use std::time::Duration;

/// The timers of RFC 3261 section 17, from its table 4, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// T1: the round trip that is assumed; the first retransmission interval.
    pub(crate) t1: u64,
    /// T2: the longest retransmission interval.
    pub(crate) t2: u64,
}

impl Times {
    pub(crate) fn new(t1: Duration, t2: Duration) -> Self {
        let t1 = micros(t1).max(1);
        Self { t1, t2: micros(t2).max(t1) }
    }

    /// Timers F, J and H: 64 times T1.
    pub(crate) fn longest(self) -> u64 {
        self.t1.saturating_mul(64)
    }

    /// The intervals of Timer E: T1, doubled until it is T2.
    pub(crate) fn intervals(self) -> impl Iterator<Item = u64> {
        let doubled = move |&interval: &u64| {
            (interval < self.t2).then(|| interval.saturating_mul(2).min(self.t2))
        };
        std::iter::successors(Some(self.t1), doubled).take(16)
    }

    /// When a client's Timer E has come to T2: not before, and then at once, 100 is due
    /// (RFC 4320 section 4.1).
    pub(crate) fn trying(self) -> u64 {
        self.intervals().take_while(|&interval| interval < self.t2).sum::<u64>().max(self.t1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_times_follow_from_t1_and_t2() {
        let times = Times::new(Duration::from_millis(500), Duration::from_secs(4));
        let intervals: Vec<u64> = times.intervals().collect();
        assert_eq!(intervals, [500_000, 1_000_000, 2_000_000, 4_000_000]);
        assert_eq!(times.trying(), 3_500_000);
        assert_eq!(times.longest(), 32_000_000);
    }

    #[test]
    fn odd_settings_still_make_sense() {
        let times = Times::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(times.intervals().collect::<Vec<_>>(), [1]);
        assert_eq!(times.trying(), 1);
    }
}
