//! The actors: they own state, call machines and run effects. No decision about a message is
//! made here.
//!
//! * `gateway`: one for each worker thread; owns a SIP endpoint and the thread's sockets.
//! * `router`: one for each worker thread; takes batches of commands to the shards of its thread.
//! * `shard`: 1,024 of them, spread over the threads; owns bindings, the set of occupied inboxes
//!   and the AoR actors of its part of the mailbox space.
//! * `aor`: one for each address of record in use; owns its inbox and what is in flight for it.
//! * `scheduler`: one for each worker thread; retries, expiry of bindings, sweeps.
//!
//! Every mailbox is bounded; the sender decides what full means. An actor may die at any moment:
//! the truth is in the store.

pub mod aor;
pub mod gateway;
pub mod held;
pub mod load;
pub mod messages;
pub mod router;
pub mod scheduler;
pub mod shard;
pub mod ticket;

use crate::actors::load::Load;
use crate::inbox;
use crate::sip::ingress::Policy;
use crate::sip::registrar;
use crate::store::Store;
use crate::vocab::stats::Stats;
use crate::vocab::{Aor, Clock};
use actix::Addr;
use sipsilo_cluster::{Ownership, ShardId};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// What every actor of a node is given at its construction.
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The messages.
    pub store: Arc<dyn Store>,
    /// Which shards this node may send for.
    pub ownership: Arc<dyn Ownership>,
    /// Counters.
    pub stats: Stats,
    /// How much is going on, and what may still begin.
    pub load: Load,
    /// The addresses of the other actors, complete before the first packet is read.
    pub directory: Directory,
    /// The rules for requests; a reload replaces them.
    pub rules: RwLock<Arc<Policy>>,
    /// Options of the actors themselves.
    pub options: Options,
    /// The seed of everything that is drawn by chance.
    pub seed: u64,
}

impl World {
    /// The rules for requests as they stand.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on requests are judged by these rules.
    pub fn set_policy(&self, policy: Policy) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

/// Options that actors hand to the machines they own.
#[derive(Clone, Debug)]
pub struct Options {
    /// For each inbox.
    pub inbox: inbox::Settings,
    /// For each shard's bindings.
    pub registrar: registrar::Settings,
    /// How long one delivery may take before it counts as unanswered.
    pub delivery_timeout: Duration,
    /// Between two sweeps of expired messages.
    pub sweep_every: Duration,
    /// Send requests over 1,300 bytes by UDP to contacts that registered by UDP.
    pub oversize_udp: bool,
}

/// The addresses of a node's actors. Filled once, while the node starts.
#[derive(Default)]
pub struct Directory {
    gateways: OnceLock<Vec<Addr<gateway::Gateway>>>,
    routers: OnceLock<Vec<Addr<router::Router>>>,
    schedulers: OnceLock<Vec<Addr<scheduler::Scheduler>>>,
    shards: OnceLock<Vec<Addr<shard::Shard>>>,
}

impl Directory {
    /// Makes the addresses known. A second call changes nothing.
    pub fn fill(
        &self,
        gateways: Vec<Addr<gateway::Gateway>>,
        routers: Vec<Addr<router::Router>>,
        schedulers: Vec<Addr<scheduler::Scheduler>>,
        shards: Vec<Addr<shard::Shard>>,
    ) {
        let _ = self.gateways.set(gateways);
        let _ = self.routers.set(routers);
        let _ = self.schedulers.set(schedulers);
        let _ = self.shards.set(shards);
    }

    /// All gateways, by worker.
    pub fn gateways(&self) -> &[Addr<gateway::Gateway>] {
        self.gateways.get().map_or(&[], Vec::as_slice)
    }

    /// The gateway of a worker; a worker that does not exist counts as the first.
    #[must_use]
    pub fn gateway(&self, worker: u16) -> Option<&Addr<gateway::Gateway>> {
        let all = self.gateways();
        all.get(usize::from(worker)).or_else(|| all.first())
    }

    /// All routers, by worker.
    pub fn routers(&self) -> &[Addr<router::Router>] {
        self.routers.get().map_or(&[], Vec::as_slice)
    }

    /// All schedulers, by worker.
    pub fn schedulers(&self) -> &[Addr<scheduler::Scheduler>] {
        self.schedulers.get().map_or(&[], Vec::as_slice)
    }

    /// All shards, by number.
    pub fn shards(&self) -> &[Addr<shard::Shard>] {
        self.shards.get().map_or(&[], Vec::as_slice)
    }

    /// The actor of a shard.
    #[must_use]
    pub fn shard(&self, id: ShardId) -> Option<&Addr<shard::Shard>> {
        self.shards().get(usize::from(id.number()))
    }
}

/// The shard of an address of record.
#[must_use]
pub fn shard_of(aor: &Aor) -> ShardId {
    ShardId::of(aor.user(), aor.host())
}

/// The worker thread that hosts a shard.
#[must_use]
pub fn worker_of(shard: ShardId, workers: usize) -> usize {
    usize::from(shard.number()) % workers.max(1)
}
