//! Chance, all of it from the seed of a world.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A stream of draws. Each part of a world has its own, so that a change in one part leaves the
/// others as they were.
pub struct Chance(StdRng);

impl Chance {
    /// The stream of `part` in the world of `seed`.
    pub fn of(seed: u64, part: &str) -> Self {
        // FNV-1a: small, and the same everywhere.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
        for byte in part.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(StdRng::seed_from_u64(hash))
    }

    /// True with this probability.
    pub fn hits(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    /// A number of a range.
    pub fn from(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// A share between two.
    pub fn share(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.random::<f64>()
    }

    /// Milliseconds of a range.
    pub fn ms(&mut self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.from(range))
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let last = of.len() as u64 - 1;
        &of[self.from(0..=last) as usize]
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.random()
    }
}
