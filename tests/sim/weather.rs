//! What a world is like: drawn from its seed.

use super::chance::Chance;
use sipsilo::net::memory::Conditions;
use std::time::Duration;

/// What a disk does wrong: shares of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskFaults {
    /// Refused at once.
    pub busy: f64,
    /// Not done, and says so.
    pub lost: f64,
    /// Done, and says that it was not.
    pub happened: f64,
    /// Done, after seconds.
    pub slow: f64,
    /// The call itself panics.
    pub panics: f64,
}

/// Everything that is drawn once for a world.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Nothing goes wrong at all: then everything is told exactly once.
    pub is_calm: bool,
    /// How long people write and come and go.
    pub span: Duration,
    pub users: u64,
    pub senders: u64,
    pub messages_each: u64,
    pub net: Conditions,
    /// Times that a host is cut off from the node.
    pub cuts: u64,
    pub disk: DiskFaults,
    /// Times that the disk is down for a while.
    pub outages: u64,
    /// Times that the node dies, or is restarted in order.
    pub ends: u64,
    /// The share of those that are in order.
    pub orderly: f64,
    /// Times that the wall clock is set.
    pub steps: u64,
    /// The share of deliveries that a device does not answer with 200.
    pub moody: f64,
    /// The share of agents that speak TCP.
    pub tcp: f64,
    /// The share of messages that live for seconds only.
    pub fleeting: f64,
    pub max_messages: u32,
    pub attempts_max: u16,
    pub delivery_timeout: Duration,
    pub sweep_every: Duration,
    pub retry_initial: Duration,
}

impl Weather {
    /// The weather of the world of `seed`.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed, "weather");
        let mut weather = Self::calm(&mut chance);
        if weather.is_calm {
            return weather;
        }
        let c = &mut chance;
        if c.hits(0.5) {
            weather.net.loss = c.share(0.01, 0.25);
            weather.net.duplicate = c.share(0.0, 0.1);
            weather.net.reorder = c.share(0.0, 0.1);
        }
        weather.cuts = if c.hits(0.3) { c.from(1..=3) } else { 0 };
        if c.hits(0.5) {
            let most = *c.pick(&[0.02, 0.1, 0.3]);
            weather.disk.busy = c.share(0.0, most / 2.0);
            weather.disk.lost = c.share(0.0, most);
            weather.disk.happened = c.share(0.0, most);
            weather.disk.slow = c.share(0.0, most);
        }
        weather.disk.panics = if c.hits(0.3) { c.share(0.0, 0.05) } else { 0.0 };
        weather.outages = if c.hits(0.25) { c.from(1..=2) } else { 0 };
        weather.ends = if c.hits(0.5) { c.from(1..=4) } else { 0 };
        weather.orderly = *c.pick(&[0.0, 0.0, 0.5, 1.0]);
        weather.steps = if c.hits(0.2) { c.from(1..=3) } else { 0 };
        weather.moody = if c.hits(0.6) { c.share(0.05, 0.6) } else { 0.0 };
        weather.fleeting = if c.hits(0.4) { c.share(0.1, 0.7) } else { 0.0 };
        weather.max_messages = if c.hits(0.25) { c.from(2..=8) as u32 } else { 0 };
        weather
    }

    /// Nothing is wrong with the disk.
    pub fn has_sound_disk(&self) -> bool {
        self.disk == DiskFaults::default() && self.outages == 0
    }

    fn calm(c: &mut Chance) -> Self {
        let longest_ms = *c.pick(&[0, 5, 40, 120]);
        let delay = Duration::ZERO..=Duration::from_millis(longest_ms);
        Self {
            is_calm: c.hits(0.12),
            span: Duration::from_secs(c.from(30..=240)),
            users: c.from(1..=4),
            senders: c.from(1..=4),
            // Now and then more than one page of the store holds.
            messages_each: if c.hits(0.04) { c.from(60..=150) } else { c.from(2..=12) },
            net: Conditions { delay, ..Conditions::default() },
            cuts: 0,
            disk: DiskFaults::default(),
            outages: 0,
            ends: 0,
            orderly: 0.0,
            steps: 0,
            moody: 0.0,
            tcp: *c.pick(&[0.0, 0.3, 0.3, 1.0]),
            fleeting: 0.0,
            max_messages: 0,
            attempts_max: c.from(2..=8) as u16,
            delivery_timeout: Duration::from_secs(*c.pick(&[5, 10, 32])),
            sweep_every: Duration::from_secs(c.from(5..=60)),
            retry_initial: Duration::from_secs(c.from(1..=20)),
        }
    }
}
