//! What an operator may turn, and the bounds he need not.

use super::chance::Chance;
use crate::vocab::clock::micros;
use std::time::Duration;

/// Deliveries whose removal from the store is not answered yet, for one inbox. With as many
/// nothing more is sent: a crash repeats at most these and the one in flight.
pub(super) const REMOVALS_MAX: usize = 8;
/// Rejected messages that wait for their time of retry, for one inbox. With as many nothing but
/// these is sent.
pub(super) const DEFERRED_MAX: usize = 256;
/// Identities of messages just stored that are recognised without asking the store.
pub(super) const RECENT_MAX: usize = 32;
/// How a store that failed is asked again.
pub(super) const STORE_BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(500),
    factor: 2,
    max: Duration::from_secs(30),
    jitter_percent: 20,
};

/// How long to wait before the next try: growing, bounded, and spread by chance so that many
/// inboxes that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub initial: Duration,
    /// Each further failure multiplies by this.
    pub factor: u32,
    /// Never longer than this, jitter aside.
    pub max: Duration,
    /// At most this share of the delay is added by chance.
    pub jitter_percent: u8,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(30),
            factor: 2,
            max: Duration::from_secs(3_600),
            jitter_percent: 20,
        }
    }
}

impl Backoff {
    /// The delay after `failures` failures in a row, in microseconds.
    pub(super) fn delay_us(&self, failures: u32, chance: &mut Chance) -> i64 {
        let max_us = micros(self.max);
        let mut delay_us = micros(self.initial).min(max_us);
        for _ in 1..failures {
            if delay_us >= max_us {
                break;
            }
            delay_us = delay_us.saturating_mul(u64::from(self.factor.max(1))).min(max_us);
            if self.factor <= 1 {
                break;
            }
        }
        let spread_us = delay_us.saturating_mul(u64::from(self.jitter_percent)) / 100;
        let delay_us = delay_us.saturating_add(chance.up_to(spread_us)).max(1);
        i64::try_from(delay_us).unwrap_or(i64::MAX)
    }
}

/// The options of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most messages of one inbox, dead letters not counted; 0 = no limit (msilo's
    /// `max_messages`).
    pub max_messages: u32,
    /// After so many failed attempts a message becomes a dead letter; 0 = never.
    pub attempts_max: u16,
    /// When a contact that could not be had, or a message that was rejected, is tried again.
    pub backoff: Backoff,
    /// The longest `Retry-After` that is honoured.
    pub retry_after_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_messages: 0,
            attempts_max: 8,
            backoff: Backoff::default(),
            retry_after_max: Duration::from_secs(3_600),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_the_factor_up_to_the_bound() {
        let backoff = Backoff {
            initial: Duration::from_secs(1),
            factor: 3,
            max: Duration::from_secs(10),
            jitter_percent: 0,
        };
        let mut chance = Chance::new(1);
        let seconds: Vec<i64> =
            [1, 2, 3, 4, u32::MAX].map(|n| backoff.delay_us(n, &mut chance) / 1_000_000).into();
        assert_eq!(seconds, [1, 3, 9, 10, 10]);
    }

    #[test]
    fn jitter_only_adds_and_never_more_than_its_share() {
        let backoff = Backoff { jitter_percent: 50, ..Backoff::default() };
        let mut chance = Chance::new(7);
        let delays: Vec<i64> = (0..100).map(|_| backoff.delay_us(1, &mut chance)).collect();
        assert!(delays.iter().all(|us| (30_000_000..=45_000_000).contains(us)), "{delays:?}");
        assert!(delays.iter().any(|us| *us != delays[0]), "all delays are the same");
    }

    #[test]
    fn senseless_settings_still_give_a_delay() {
        let zero =
            Backoff { initial: Duration::ZERO, factor: 0, max: Duration::MAX, jitter_percent: 255 };
        assert_eq!(zero.delay_us(9, &mut Chance::new(0)), 1);
        let endless = Backoff { initial: Duration::MAX, ..zero };
        assert!(endless.delay_us(u32::MAX, &mut Chance::new(0)) > 0);
    }
}
