//! A node: wires the parts together, and takes them down in order.

mod clock;
mod occupied;
mod parts;
mod run;
mod snapshot;

pub use clock::SystemClock;
pub use run::{Reload, run, store_of};

use crate::actors::gateway::{Gateway, StartNet};
use crate::actors::load::Load;
use crate::actors::messages::{Export, Import, Observe, Observed};
use crate::actors::router::Router;
use crate::actors::scheduler::Scheduler;
use crate::actors::shard::Shard;
use crate::actors::{Directory, Options, World, worker_of};
use crate::sip::endpoint;
use crate::sip::ingress::Policy;
use crate::store::{self, Store};
use crate::vocab::Clock;
use crate::vocab::stats::Stats;
use actix::{Actor, Addr, Arbiter, Context};
use sipsilo_cluster::{Ownership, ShardId};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::oneshot;

/// Between two looks at what is still open while a node goes down.
const DRAIN_STEP: Duration = Duration::from_millis(20);

/// How long the store may take to close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(20);

/// What a node is made of.
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The messages.
    pub store: Arc<dyn Store>,
    /// Which shards are this node's.
    pub ownership: Arc<dyn Ownership>,
    /// One set of sockets for each worker; opened on the worker's own thread.
    pub nets: Vec<StartNet>,
    /// The rules for requests.
    pub policy: Policy,
    /// For each gateway's endpoint.
    pub endpoint: endpoint::Settings,
    /// For the actors.
    pub options: Options,
    /// Deliveries that may be in flight on the node.
    pub deliveries_max: usize,
    /// The seed of everything drawn by chance.
    pub seed: u64,
    /// Where the actors live.
    pub place: Place,
}

/// A worker's sockets could not be put to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sockets of worker {worker} could not be put to work: see the log")]
pub struct NoSockets {
    /// Which worker, from 0.
    pub worker: usize,
}

/// Where the actors of a node live.
pub enum Place {
    /// One thread for each worker.
    Threads,
    /// All on the thread that starts the node, which runs a `LocalSet` (tests and simulation).
    Here,
}

/// A running node.
pub struct Node {
    world: Arc<World>,
    arbiters: Vec<Arbiter>,
    /// What the gateways wait for before they open their sockets.
    starts: Vec<oneshot::Sender<()>>,
}

impl Node {
    /// Starts the actors, then the sockets, and begins to enumerate the store.
    pub fn start(parts: Parts) -> Self {
        let mut node = Self::prepare(parts);
        node.let_go();
        node
    }

    /// Starts the actors and begins to enumerate the store. Nothing is heard of the network before
    /// [`Node::open`]: the time to [`Node::import`].
    pub fn prepare(parts: Parts) -> Self {
        let workers = parts.nets.len().max(1);
        let last_inc_us = parts.store.newest_inc_us();
        let world = Arc::new(World {
            clock: parts.clock,
            store: parts.store,
            ownership: parts.ownership,
            stats: Stats::default(),
            load: Load::new(parts.deliveries_max),
            directory: Directory::default(),
            rules: RwLock::new(Arc::new(parts.policy)),
            options: parts.options,
            seed: parts.seed,
        });
        let arbiters = match parts.place {
            Place::Threads => (0..workers).map(|_| Arbiter::new()).collect(),
            Place::Here => Vec::new(),
        };
        let at = |worker: usize| arbiters.get(worker);
        let shards = ShardId::all()
            .map(|id| {
                let world = world.clone();
                begin(at(worker_of(id, workers)), move || {
                    Shard::new(id, workers, world, last_inc_us)
                })
            })
            .collect();
        let schedulers = (0..workers)
            .map(|worker| {
                let world = world.clone();
                begin(at(worker), move || Scheduler::new(world, worker == 0))
            })
            .collect();
        let routers = (0..workers)
            .map(|worker| {
                let world = world.clone();
                begin(at(worker), move || Router::new(world))
            })
            .collect();
        let mut gateways = Vec::with_capacity(workers);
        let mut starts = Vec::with_capacity(workers);
        for (worker, net) in parts.nets.into_iter().enumerate() {
            let number = u16::try_from(worker).unwrap_or(u16::MAX);
            let settings = endpoint::Settings { worker: number, ..parts.endpoint.clone() };
            let seed = seeds(parts.seed, number);
            let (go, may_go) = oneshot::channel();
            let world = world.clone();
            gateways.push(begin(at(worker), move || {
                Gateway::new(number, world, settings, seed, net, may_go)
            }));
            starts.push(go);
        }
        world.directory.fill(gateways, routers, schedulers, shards);
        occupied::enumerate(world.clone(), at(0));
        Self { world, arbiters, starts }
    }

    /// Every actor knows every other: the sockets may open.
    fn let_go(&mut self) {
        for go in self.starts.drain(..) {
            let _ = go.send(());
        }
    }

    /// Opens the sockets, and comes back when they are.
    ///
    /// # Errors
    /// [`NoSockets`]: the log says why.
    pub async fn open(&mut self) -> Result<(), NoSockets> {
        self.let_go();
        for (worker, gateway) in self.world.directory.gateways().iter().enumerate() {
            // A gateway answers nothing before its sockets are there.
            gateway.send(Observe).await.map_err(|_| NoSockets { worker })?;
        }
        Ok(())
    }

    /// True while every actor is alive without which a part of the service is gone. (The actor of
    /// an address of record is replaced when it dies; these are not.)
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let directory = &self.world.directory;
        directory.gateways().iter().all(Addr::connected)
            && directory.routers().iter().all(Addr::connected)
            && directory.schedulers().iter().all(Addr::connected)
            && directory.shards().iter().all(Addr::connected)
    }

    /// What the actors share: counters, the store, the gauge.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Sums up what all actors have just now.
    pub async fn observe(&self) -> Observed {
        let mut sum = Observed { is_complete: true, ..Observed::default() };
        for shard in self.world.directory.shards() {
            let seen = shard.send(Observe).await.unwrap_or_default();
            sum.actors += seen.actors;
            sum.users += seen.users;
            sum.occupied += seen.occupied;
            sum.is_complete &= seen.is_complete;
        }
        for gateway in self.world.directory.gateways() {
            sum.open_transactions +=
                gateway.send(Observe).await.unwrap_or_default().open_transactions;
        }
        sum
    }

    /// The bindings of every shard, to be given to [`Node::import`] after a restart.
    pub async fn export(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for shard in self.world.directory.shards() {
            all.push(shard.send(Export).await.unwrap_or_default());
        }
        all
    }

    /// Takes bindings back in and answers how many users have one.
    ///
    /// # Errors
    /// The text of the first shard that could not read its part; the others are taken in.
    pub async fn import(&self, bindings: Vec<Vec<u8>>) -> Result<usize, String> {
        let mut users = 0;
        let mut trouble = None;
        for (shard, bytes) in self.world.directory.shards().iter().zip(bindings) {
            match shard.send(Import(bytes)).await {
                Ok(Ok(read)) => users += read,
                Ok(Err(error)) => trouble = Some(error),
                Err(error) => trouble = Some(error.to_string()),
            }
        }
        trouble.map_or(Ok(users), Err)
    }

    /// Lets what is open come to its end, for at most `patience`, and takes in nothing new.
    pub async fn drain(&self, patience: Duration) {
        self.world.load.drain();
        let deadline = tokio::time::Instant::now() + patience;
        let load = &self.world.load;
        while load.open_now() + load.deliveries_now() > 0 {
            let next = tokio::time::Instant::now() + DRAIN_STEP;
            if next > deadline {
                break;
            }
            tokio::time::sleep_until(next).await;
        }
        // The last answers are with the gateways: they leave before this does.
        for gateway in self.world.directory.gateways() {
            let _ = gateway.send(Observe).await;
        }
    }

    /// Closes the store and ends the threads.
    ///
    /// # Errors
    /// What the store said when it could not write everything down.
    pub async fn stop(self) -> Result<(), store::Error> {
        let silent = || store::Error::Unavailable("it did not close in time".into());
        let closed = tokio::time::timeout(CLOSE_PATIENCE, self.world.store.close()).await;
        let closed = closed.unwrap_or_else(|_| Err(silent()));
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        for arbiter in self.arbiters {
            // A thread that panicked has said so itself.
            let _ = arbiter.join();
        }
        closed
    }
}

/// Starts an actor on a worker's thread, or here.
fn begin<A, F>(arbiter: Option<&Arbiter>, make: F) -> Addr<A>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce() -> A + Send + 'static,
{
    match arbiter {
        Some(arbiter) => A::start_in_arbiter(&arbiter.handle(), |_| make()),
        None => make().start(),
    }
}

/// Four seeds for one gateway, from one for the node.
fn seeds(seed: u64, worker: u16) -> [u64; 4] {
    let state = ahash::RandomState::with_seeds(seed, u64::from(worker), 0x5117, 0x5110);
    [0_u64, 1, 2, 3].map(|n| state.hash_one(n))
}
