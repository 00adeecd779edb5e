//! What one stored message costs the allocator, from its datagram to its 202, in a whole node.
//! `cargo bench --bench allocations`.
//!
//! The node runs on this thread over a network in memory; the store is the memory store, whose
//! own copies are counted as well. Messages go to users who are new, and to users who have just
//! got one.

use bytes::Bytes;
use futures_util::StreamExt;
use sipsilo::actors::Options;
use sipsilo::actors::gateway::StartNet;
use sipsilo::inbox;
use sipsilo::net::ListenSpec;
use sipsilo::net::memory::Memory;
use sipsilo::node::{Node, Parts, Place, SystemClock};
use sipsilo::sip::ingress::{Domains, Policy};
use sipsilo::sip::{endpoint, registrar};
use sipsilo::store::memory::MemoryStore;
use sipsilo::vocab::{Clock, Transport};
use sipsilo_cluster::{NodeId, SoleOwner};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MESSAGES: u32 = 2_000;

fn message(user: u32, n: u32) -> String {
    let body = "x".repeat(100);
    format!(
        "MESSAGE sip:u{user}@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=t{n}\r\nTo: <sip:u{user}@example.com>\r\n\
         Call-ID: c{n}@test\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n\
         Content-Length: 100\r\n\r\n{body}"
    )
}

fn start(memory: &Memory, listen: SocketAddr, listening: oneshot::Sender<()>) -> Node {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let memory = memory.clone();
    let start_net: StartNet = Box::new(move || {
        let spec = ListenSpec { transport: Transport::Udp, address: listen };
        let (wire, events) = memory.wire(0, &[spec]);
        let _ = listening.send(());
        Ok((wire, events.boxed_local()))
    });
    Node::start(Parts {
        store: Arc::new(MemoryStore::new(clock.clone())),
        clock,
        ownership: Arc::new(SoleOwner::new(NodeId("bench".into()))),
        nets: vec![start_net],
        policy: Policy { domains: Domains::new(["example.com"]), ..Policy::default() },
        endpoint: endpoint::Settings::default(),
        options: Options {
            inbox: inbox::Settings::default(),
            registrar: registrar::Settings::default(),
            delivery_timeout: Duration::from_secs(32),
            sweep_every: Duration::from_secs(150),
            oversize_udp: false,
        },
        deliveries_max: 1_000,
        seed: 1,
        place: Place::Here,
    })
}

#[tokio::main(flavor = "local")]
async fn main() {
    let memory = Memory::new(1);
    let listen = SocketAddr::from(([10, 0, 0, 1], 5060));
    let (listening, is_listening) = oneshot::channel();
    let _node = start(&memory, listen, listening);
    is_listening.await.expect("the gateway opens its sockets");
    let mut alice = memory.endpoint(SocketAddr::from(([10, 0, 0, 2], 5060)));
    let mut number = 0;
    let mut round = async |users: u32, name: &str| {
        let texts: Vec<Bytes> =
            (0..MESSAGES).map(|n| Bytes::from(message(n % users, number + n))).collect();
        number += MESSAGES;
        let region = Region::new(ALLOCATOR);
        for text in texts {
            alice.send(Transport::Udp, listen, text);
            let answer = alice.receive().await;
            assert!(answer.bytes.starts_with(b"SIP/2.0 202"), "{:?}", answer.bytes);
        }
        let change = region.change();
        let each = |n: usize| n as f64 / f64::from(MESSAGES);
        println!(
            "{name}: {:.1} allocations, {:.1} reallocations, {:.0} bytes for each stored message",
            each(change.allocations),
            each(change.reallocations),
            each(change.bytes_allocated)
        );
    };
    round(MESSAGES, "warm-up").await;
    round(10, "users who have just got one").await;
    round(MESSAGES, "users whose actor is alive").await;
}
