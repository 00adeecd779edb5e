//! A network that is a value: the faces of the real one, with faults drawn from a seed.
//!
//! Time is tokio's, so under `tokio::time::pause` a day of traffic takes a moment, and two runs
//! with one seed that send the same things at the same times see the same network.
//!
//! * Datagrams are lost, delayed, doubled and overtaken as [`Conditions`] say.
//! * Messages on connections arrive once and in order, after a delay of the same range. A
//!   connection ends when an end closes it or goes away, or when something is sent over it while
//!   its two ends are cut off from each other.
//! * An address nobody has swallows datagrams and refuses connections.
//!
//! An address belongs to one worker: there is no spreading over several here.

mod ends;
#[cfg(test)]
mod tests;
mod world;

pub use ends::{Endpoint, MemoryEvents};

use super::{ListenSpec, Wire};
use ends::MemoryWire;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use world::World;

/// What the network does to what is sent over it. The default is a perfect one without delay.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// The share of datagrams that is lost, from 0 to 1.
    pub loss: f64,
    /// The share of datagrams that arrives twice.
    pub duplicate: f64,
    /// The share of datagrams that is held up so long that later ones overtake it.
    pub reorder: f64,
    /// How long the way takes; drawn anew for every datagram.
    pub delay: RangeInclusive<Duration>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self { loss: 0.0, duplicate: 0.0, reorder: 0.0, delay: Duration::ZERO..=Duration::ZERO }
    }
}

/// What happened on the network so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams and messages handed to the network.
    pub sent: u64,
    /// Those that reached the queue of an end; a doubled one counts twice.
    pub delivered: u64,
    /// Those lost on the way, by chance, by a cut, or because nobody was there.
    pub lost: u64,
}

/// The network. Clones are the same network.
#[derive(Clone, Debug)]
pub struct Memory {
    world: Arc<Mutex<World>>,
}

impl Memory {
    /// A perfect network; `seed` decides what chance will do once [`Conditions`] leave it room.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(seed))) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what happens to what is sent from here on.
    pub fn set(&self, conditions: Conditions) {
        self.world().conditions = conditions;
    }

    /// Lets nothing through between two hosts, in either direction.
    pub fn cut(&self, one: IpAddr, other: IpAddr) {
        self.world().cut(one, other);
    }

    /// Takes back a cut.
    pub fn heal(&self, one: IpAddr, other: IpAddr) {
        self.world().heal(one, other);
    }

    /// Takes back every cut.
    pub fn heal_all(&self) {
        self.world().heal_all();
    }

    /// What happened so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.world().traffic
    }

    /// A node's worker on these addresses, as [`super::WorkerSockets::start`] gives one. The
    /// addresses are free again when the stream is dropped.
    ///
    /// # Panics
    ///
    /// If somebody has one of the addresses.
    #[must_use]
    pub fn wire(&self, worker: u16, specs: &[ListenSpec]) -> (Box<dyn Wire>, MemoryEvents) {
        let listeners: Vec<_> = specs.iter().map(|spec| (spec.transport, spec.address)).collect();
        let mailbox = self.world().enter(worker, &listeners);
        let wire = MemoryWire::new(self.clone(), mailbox, listeners);
        (Box::new(wire), MemoryEvents::new(self.clone(), mailbox))
    }

    /// A scripted user agent, reachable at `address` over every transport until dropped.
    ///
    /// # Panics
    ///
    /// If somebody has the address.
    #[must_use]
    pub fn endpoint(&self, address: SocketAddr) -> Endpoint {
        Endpoint::new(self.clone(), address)
    }
}
