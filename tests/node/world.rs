//! A whole node on one thread: all actors, a network and a store that are values, and time that
//! moves only when everybody waits.

use crate::text::Sip;
use futures_util::{FutureExt, StreamExt};
use sipsilo::actors::Options;
use sipsilo::actors::gateway::StartNet;
use sipsilo::inbox::{Backoff, Settings as InboxSettings};
use sipsilo::net::ListenSpec;
use sipsilo::net::memory::{Endpoint, Memory};
use sipsilo::node::{Node, Parts, Place};
use sipsilo::sip::ingress::{Domains, Policy};
use sipsilo::sip::{endpoint, registrar};
use sipsilo::store::Store;
use sipsilo::store::failing::{Failing, Faults};
use sipsilo::store::memory::MemoryStore;
use sipsilo::vocab::clock::micros;
use sipsilo::vocab::{Clock, Now, Path, Transport};
use sipsilo_cluster::{NodeId, SoleOwner};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// Longer than anything in a story takes, in the time of the story.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Both clocks follow tokio's, which stands still while somebody works.
struct Held(Instant);

impl Clock for Held {
    fn now(&self) -> Now {
        let us = micros(self.0.elapsed());
        Now { mono_us: us, unix_us: 1_800_000_000_000_000 + i64::try_from(us).unwrap() }
    }
}

/// Runs a story.
pub(crate) fn story(tale: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, tale);
}

/// What the stories can do to the store.
pub(crate) type TestStore = Failing<MemoryStore>;

/// The node and its surroundings.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) net: Memory,
    pub(crate) store: Arc<TestStore>,
    /// Makes every call of a slow store panic.
    pub(crate) poison: Arc<AtomicBool>,
    serial: Cell<u64>,
}

/// Where a worker listens.
pub(crate) fn listener(worker: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060 + worker))
}

impl World {
    /// A node with one worker.
    pub(crate) async fn start() -> Self {
        Self::with(1, |_| {}).await
    }

    /// A node of `workers`, each with an address of its own, and other options.
    pub(crate) async fn with(workers: u16, change: impl FnOnce(&mut Parts)) -> Self {
        let mut world = Self::prepared(workers, change);
        world.node.open().await.unwrap();
        while !world.node.observe().await.is_complete {
            pass(Duration::from_millis(1)).await;
        }
        world
    }

    /// The same before its sockets are open.
    pub(crate) fn prepared(workers: u16, change: impl FnOnce(&mut Parts)) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Held(Instant::now()));
        let net = Memory::new(7);
        let poison = Arc::new(AtomicBool::new(false));
        let is_poison = poison.clone();
        // What is slow here never answers, or is the end of whoever asks.
        let gate = Arc::new(move || {
            assert!(!is_poison.load(Ordering::Relaxed), "poison");
            std::future::pending::<()>().boxed()
        });
        let inner = MemoryStore::new(clock.clone());
        let store = Arc::new(Failing::new(inner, 7, Faults::default(), gate));
        let mut parts = Parts {
            clock,
            store: store.clone(),
            ownership: Arc::new(SoleOwner::new(NodeId("test".into()))),
            nets: (0..workers).map(|worker| opening(&net, worker)).collect(),
            policy: Policy {
                domains: Domains::new(["example.com"]),
                trusted: vec![sipsilo::sip::ingress::IpNet::new([203, 0, 113, 0].into(), 24)],
                ..Policy::default()
            },
            endpoint: endpoint::Settings::default(),
            options: Options {
                inbox: InboxSettings {
                    backoff: Backoff { jitter_percent: 0, ..Backoff::default() },
                    ..InboxSettings::default()
                },
                registrar: registrar::Settings::default(),
                delivery_timeout: Duration::from_secs(10),
                sweep_every: Duration::from_secs(60),
                oversize_udp: true,
            },
            deliveries_max: 100,
            seed: 7,
            place: Place::Here,
        };
        change(&mut parts);
        Self { node: Node::prepare(parts), net, store, poison, serial: Cell::new(0) }
    }

    /// A user agent at `192.0.2.<last>`.
    pub(crate) fn ua(&self, name: &str, last: u8) -> Ua {
        let address = SocketAddr::from(([192, 0, 2, last], 5060));
        let end = self.net.endpoint(address);
        Ua { name: name.into(), end, server: listener(0), transport: Transport::Udp, cseq: 0 }
    }

    /// A number nobody had before.
    pub(crate) fn number(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    /// The message is in the store, whoever asks.
    pub(crate) async fn held(&self, user: &str) -> u32 {
        let aor = sipsilo::vocab::Aor::from_parts(user, "example.com");
        self.store.count(&aor, u32::MAX).await.unwrap()
    }
}

fn opening(net: &Memory, worker: u16) -> StartNet {
    let net = net.clone();
    let address = listener(worker);
    Box::new(move || {
        let specs = [Transport::Udp, Transport::Tcp];
        let specs = specs.map(|transport| ListenSpec { transport, address });
        let (wire, events) = net.wire(worker, &specs);
        Ok((wire, events.boxed_local()))
    })
}

/// Lets time go by.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}

/// A scripted user agent.
pub(crate) struct Ua {
    pub(crate) name: String,
    pub(crate) end: Endpoint,
    pub(crate) server: SocketAddr,
    pub(crate) transport: Transport,
    cseq: u32,
}

impl Ua {
    /// Sends bytes as they are.
    pub(crate) fn send(&self, bytes: impl Into<Vec<u8>>) {
        self.end.send(self.transport, self.server, bytes.into());
    }

    /// The next message of any kind, with the way it came.
    pub(crate) async fn next(&mut self) -> Option<(Sip, Path)> {
        let packet = self.end.receive_within(PATIENCE).await?;
        Some((Sip::read(&packet.bytes), packet.path))
    }

    /// Nothing comes for `time`.
    pub(crate) async fn hears_nothing(&mut self, time: Duration) {
        if let Some(packet) = self.end.receive_within(time).await {
            panic!("{} hears {:?}", self.name, Sip::read(&packet.bytes));
        }
    }

    /// The next message, which is a response.
    pub(crate) async fn answer(&mut self) -> u16 {
        let (sip, _) = self.next().await.expect("an answer");
        assert!(sip.code() > 0, "{} waits for an answer and hears {sip:?}", self.name);
        sip.code()
    }

    /// The next message, which is a MESSAGE and is answered with `code`.
    pub(crate) async fn take(&mut self, code: u16) -> String {
        let (sip, path) = self.next().await.expect("a MESSAGE");
        assert!(sip.is("MESSAGE"), "{} waits for a MESSAGE and hears {sip:?}", self.name);
        self.end.send_on(path, sip.answer(code, "So", ""));
        sip.text()
    }

    /// A MESSAGE to `to@example.com`.
    pub(crate) fn message(&self, world: &World, to: &str, text: &str, extra: &str) -> String {
        let (n, name, addr) = (world.number(), &self.name, self.end.address());
        let via = if self.transport == Transport::Udp { "UDP" } else { "TCP" };
        format!(
            "MESSAGE sip:{to}@example.com SIP/2.0\r\n\
             Via: SIP/2.0/{via} {addr};rport;branch=z9hG4bK{name}{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{name}@example.com>;tag=t{n}\r\nTo: <sip:{to}@example.com>\r\n\
             Call-ID: c{n}@test\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n{extra}\
             Content-Length: {}\r\n\r\n{text}",
            text.len()
        )
    }

    /// Sends a MESSAGE and says how it was answered.
    pub(crate) async fn says(&mut self, world: &World, to: &str, text: &str) -> u16 {
        self.send(self.message(world, to, text, ""));
        self.answer().await
    }

    /// A REGISTER for `expires` seconds.
    pub(crate) fn register_request(&mut self, world: &World, expires: u32) -> String {
        self.cseq += 1;
        let (n, name, addr, cseq) = (world.number(), &self.name, self.end.address(), self.cseq);
        let via = if self.transport == Transport::Udp { "UDP" } else { "TCP" };
        format!(
            "REGISTER sip:example.com SIP/2.0\r\n\
             Via: SIP/2.0/{via} {addr};rport;branch=z9hG4bK{name}{n}\r\nMax-Forwards: 70\r\n\
             From: <sip:{name}@example.com>;tag=t{n}\r\nTo: <sip:{name}@example.com>\r\n\
             Call-ID: reg-{name}\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{name}@{addr}>;expires={expires}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// Registers for `expires` seconds.
    pub(crate) async fn registers(&mut self, world: &World, expires: u32) {
        let request = self.register_request(world, expires);
        self.send(request);
        assert_eq!(self.answer().await, 200);
    }
}
