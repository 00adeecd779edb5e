//! A world: a node, its disk, its network, the people around it, and what befalls them.

use super::chance::Chance;
use super::clock::{SimClock, Steady};
use super::device::Device;
use super::disk::Disk;
use super::sender::Sender;
use super::verdict;
use super::weather::{DiskFaults, Weather};
use super::wire;
use super::witness::{Limits, Witness};
use sipsilo::actors::Options;
use sipsilo::inbox;
use sipsilo::net::ListenSpec;
use sipsilo::net::memory::{Conditions, Memory};
use sipsilo::node::{Node, Parts, Place};
use sipsilo::sip::ingress::{Domains, Policy};
use sipsilo::sip::{endpoint, registrar};
use sipsilo::store::memory::MemoryStore;
use sipsilo::vocab::Transport;
use sipsilo_cluster::{NodeId, SoleOwner};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, sleep_until};

const RELAY_WINDOW: Duration = Duration::from_secs(5);
/// When all is well again, whatever is left is delivered within this time.
const DRAIN: Duration = Duration::from_secs(3 * 3_600);
/// And after this nothing of it is left in memory: the longest transaction is over, and every phone
/// has registered once more.
const SETTLE: Duration = Duration::from_secs(400);

/// What a world leaves behind.
pub struct Outcome {
    pub chronicle: Vec<String>,
    pub broken: Vec<String>,
}

pub fn node_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

/// What all tasks of a world share.
pub struct World {
    pub seed: u64,
    pub weather: Weather,
    pub clock: Arc<SimClock>,
    pub memory: Memory,
    pub disk: Arc<Disk>,
    pub witness: Arc<Witness>,
    begin: Instant,
}

/// How one life of the node ends.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Instant,
    is_orderly: bool,
    up_again: Duration,
}

/// Runs the world of `seed` to its end.
pub fn run(seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = World::new(seed);
        world.live().await;
        let mut book = world.witness.book();
        Outcome {
            chronicle: std::mem::take(&mut book.log),
            broken: std::mem::take(&mut book.broken),
        }
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let weather = Weather::of(seed);
        let clock = Arc::new(SimClock::start());
        let limits = Limits {
            delivery_timeout: weather.delivery_timeout,
            relay_window: RELAY_WINDOW,
            attempts_max: weather.attempts_max,
            max_messages: weather.max_messages,
        };
        let witness = Arc::new(Witness::new(clock.clone(), limits));
        let inner = MemoryStore::new(Arc::new(Steady(clock.clone())));
        let disk = Disk::new(inner, witness.clone(), Chance::of(seed, "disk"));
        disk.set_faults(weather.disk);
        let memory = Memory::new(Chance::of(seed, "network").number());
        memory.set(weather.net.clone());
        witness.note(&format!("{weather:?}"));
        Self { seed, weather, clock, memory, disk, witness, begin: Instant::now() }
    }

    async fn live(&self) {
        let senders = self.start_senders();
        let good = self.start_devices();
        self.start_troubles();
        let mut bindings = None;
        let mut chance = Chance::of(self.seed, "lives");
        for (number, end) in self.ends().into_iter().enumerate() {
            let set = LocalSet::new();
            bindings = set.run_until(self.life(number as u64, bindings.take(), end)).await;
            drop(set);
            self.disk.crash();
            self.witness.note("node down");
            if chance.hits(0.5) {
                bindings = None;
            }
            sleep_until(Instant::now() + end.up_again).await;
        }
        let set = LocalSet::new();
        let last = async {
            let node = self.start_node(99);
            self.import(&node, bindings).await;
            for sender in senders {
                sender.await.expect("a sender comes to its end");
            }
            self.fair_weather();
            for device in good {
                device.send(()).expect("a device lives as long as its world");
            }
            self.drain().await;
            // An actor waits its time by the wall clock: after one that was set back, longer.
            let set_back = if self.weather.steps > 0 { 4 * DRAIN } else { Duration::ZERO };
            sleep_until(Instant::now() + SETTLE + set_back).await;
            verdict::at_rest(self, &node).await;
        };
        set.run_until(last).await;
        verdict::of_letters(self);
    }

    /// When and how the node's lives end, but for the last.
    fn ends(&self) -> Vec<End> {
        let mut chance = Chance::of(self.seed, "ends");
        let mut ends: Vec<End> = (0..self.weather.ends)
            .map(|_| End {
                at: self.some_time(&mut chance),
                is_orderly: chance.hits(self.weather.orderly),
                up_again: chance.ms(0..=8_000),
            })
            .collect();
        ends.sort_by_key(|end| end.at);
        ends
    }

    fn some_time(&self, chance: &mut Chance) -> Instant {
        self.begin + chance.ms(0..=self.weather.span.as_millis() as u64)
    }

    /// One life of the node; what it hands on to the next.
    async fn life(
        &self,
        number: u64,
        bindings: Option<Vec<Vec<u8>>>,
        end: End,
    ) -> Option<Vec<Vec<u8>>> {
        let node = self.start_node(number);
        self.import(&node, bindings).await;
        sleep_until(end.at).await;
        if !end.is_orderly {
            return None;
        }
        self.witness.note("node goes down in order");
        node.drain(Duration::from_secs(5)).await;
        let is_idle = node.world().load.deliveries_now() == 0;
        let bindings = node.export().await;
        // A disk that fails may not have done what it was asked for.
        let is_sound = node.stop().await.is_ok() && self.weather.has_sound_disk();
        if is_idle && is_sound {
            self.witness.node_went_well();
        }
        Some(bindings)
    }

    async fn import(&self, node: &Node, bindings: Option<Vec<Vec<u8>>>) {
        if let Some(bindings) = bindings {
            node.import(bindings).await.expect("bindings that were exported");
        }
    }

    fn start_node(&self, life: u64) -> Node {
        let listen = |transport| ListenSpec { transport, address: node_address() };
        let specs = vec![listen(Transport::Udp), listen(Transport::Tcp)];
        let weather = &self.weather;
        let policy = Policy {
            domains: Domains::new(["example.com"]),
            listeners: vec![node_address()],
            relay_group_window: RELAY_WINDOW / 2,
            relay_window: RELAY_WINDOW,
            host: "example.com".into(),
            loop_key: self.seed,
            ..Policy::default()
        };
        let options = Options {
            inbox: inbox::Settings {
                max_messages: weather.max_messages,
                attempts_max: weather.attempts_max,
                backoff: inbox::Backoff {
                    initial: weather.retry_initial,
                    max: Duration::from_secs(300),
                    ..inbox::Backoff::default()
                },
                ..inbox::Settings::default()
            },
            registrar: registrar::Settings {
                min_expires_s: 5,
                own_addresses: Arc::new([node_address()]),
                own_hosts: Arc::new(["example.com".into()]),
                ..registrar::Settings::default()
            },
            delivery_timeout: weather.delivery_timeout,
            sweep_every: weather.sweep_every,
            oversize_udp: false,
        };
        let node = Node::start(Parts {
            clock: self.clock.clone(),
            store: self.disk.mount(),
            ownership: Arc::new(SoleOwner::new(NodeId("sim".into()))),
            nets: vec![wire::net(&self.memory, &self.witness, specs)],
            policy,
            endpoint: endpoint::Settings::default(),
            options,
            deliveries_max: 8,
            seed: Chance::of(self.seed, &format!("node {life}")).number(),
            place: Place::Here,
        });
        self.witness.node_began();
        node
    }

    fn start_senders(&self) -> Vec<JoinHandle<()>> {
        let senders = (1..=self.weather.senders).map(|number| {
            let mut chance = Chance::of(self.seed, &format!("sender {number}"));
            let sender = Sender {
                number,
                endpoint: Sender::endpoint(&self.memory, number),
                node: node_address(),
                transport: self.transport(&mut chance),
                chance,
                witness: self.witness.clone(),
                users: self.weather.users,
                messages: self.weather.messages_each,
                span: self.weather.span,
                fleeting: self.weather.fleeting,
            };
            tokio::spawn(sender.live())
        });
        senders.collect()
    }

    /// Starts the phones; each has a way to be told to behave.
    fn start_devices(&self) -> Vec<oneshot::Sender<()>> {
        let mut all = Vec::new();
        for user in 1..=self.weather.users {
            let mut chance = Chance::of(self.seed, &format!("user {user}"));
            let devices = if self.weather.is_calm { 1 } else { chance.from(1..=2) };
            for number in 1..=devices {
                let mut chance = Chance::of(self.seed, &format!("device {user} {number}"));
                let way = (node_address(), self.transport(&mut chance));
                let endpoint = self.memory.endpoint(Device::address(user, number));
                let moody = self.weather.moody;
                let witness = self.witness.clone();
                let device = Device::new((user, number), endpoint, way, moody, chance, witness);
                let (good, is_good) = oneshot::channel();
                tokio::spawn(device.live(is_good));
                all.push(good);
            }
        }
        all
    }

    fn transport(&self, chance: &mut Chance) -> Transport {
        if chance.hits(self.weather.tcp) { Transport::Tcp } else { Transport::Udp }
    }

    /// Cuts, outages and clocks that are set: each at its time.
    fn start_troubles(&self) {
        let mut chance = Chance::of(self.seed, "troubles");
        for _ in 0..self.weather.cuts {
            let (at, lasts) = (self.some_time(&mut chance), chance.ms(500..=50_000));
            let host = if chance.hits(0.5) {
                Sender::address(chance.from(1..=self.weather.senders)).ip()
            } else {
                Device::address(chance.from(1..=self.weather.users), 1).ip()
            };
            tokio::spawn(cut(self.memory.clone(), self.witness.clone(), host, at, lasts));
        }
        for _ in 0..self.weather.outages {
            let (at, lasts) = (self.some_time(&mut chance), chance.ms(500..=60_000));
            let disk = self.disk.clone();
            tokio::spawn(async move {
                sleep_until(at).await;
                disk.set_down(true);
                sleep_until(at + lasts).await;
                disk.set_down(false);
            });
        }
        for _ in 0..self.weather.steps {
            let at = self.some_time(&mut chance);
            let size_us = chance.from(0..=3_600_000_000).cast_signed();
            let by_us = if chance.hits(0.5) { size_us } else { -size_us };
            let (clock, witness) = (self.clock.clone(), self.witness.clone());
            tokio::spawn(async move {
                sleep_until(at).await;
                witness.note(&format!("the wall clock is set by {by_us} us"));
                clock.step(by_us);
            });
        }
    }

    /// From here on nothing goes wrong any more.
    fn fair_weather(&self) {
        self.witness.note("fair weather");
        self.memory.heal_all();
        let delay = self.weather.net.delay.clone();
        self.memory.set(Conditions { delay, ..Conditions::default() });
        self.disk.set_faults(DiskFaults::default());
        self.disk.set_down(false);
    }

    /// Waits until every inbox is empty.
    async fn drain(&self) {
        let deadline = Instant::now() + DRAIN;
        while self.disk.live() > 0 {
            if Instant::now() > deadline {
                let left = self.disk.live();
                self.witness.accuse(format!("custody: {left} messages are never delivered"));
                return;
            }
            sleep_until(Instant::now() + Duration::from_secs(1)).await;
        }
        self.witness.note("all inboxes are empty");
    }
}

async fn cut(memory: Memory, witness: Arc<Witness>, host: IpAddr, at: Instant, lasts: Duration) {
    sleep_until(at).await;
    witness.note(&format!("{host} is cut off"));
    memory.cut(host, node_address().ip());
    sleep_until(at + lasts).await;
    memory.heal(host, node_address().ip());
    witness.note(&format!("{host} is back"));
}
