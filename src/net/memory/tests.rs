//! The network keeps what its description says, and is the same again for the same seed.

use super::*;
use crate::net::Event;
use crate::vocab::{Path, SendTag, Transport};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn spec(text: &str) -> ListenSpec {
    text.parse().unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn next(events: &mut MemoryEvents) -> Event {
    tokio::time::timeout(PATIENCE, events.next()).await.expect("an event").unwrap()
}

/// Sends numbered datagrams 1 ms apart and tells which arrived when, in order of arrival.
async fn trace(seed: u64, conditions: Conditions) -> Vec<(u64, u128)> {
    const COUNT: u64 = 500;
    let memory = Memory::new(seed);
    memory.set(conditions);
    let from = memory.endpoint(address("192.0.2.1:5060"));
    let mut to = memory.endpoint(address("192.0.2.2:5060"));
    let start = Instant::now();
    let mut clock = tokio::time::interval(ms(1));
    let sender = async {
        for number in 0..COUNT {
            clock.tick().await;
            from.send(Transport::Udp, address("192.0.2.2:5060"), number.to_string());
        }
    };
    let receiver = async {
        let mut seen = Vec::new();
        while let Some(packet) = to.receive_within(PATIENCE).await {
            let number = std::str::from_utf8(&packet.bytes).unwrap().parse().unwrap();
            seen.push((number, start.elapsed().as_millis()));
        }
        seen
    };
    tokio::join!(sender, receiver).1
}

#[tokio::test(start_paused = true)]
async fn a_perfect_network_brings_everything_in_order_at_once() {
    let seen = trace(1, Conditions::default()).await;
    assert!(seen.iter().copied().eq((0..500).map(|number| (number, u128::from(number)))));
}

#[tokio::test(start_paused = true)]
async fn faults_come_as_often_as_asked_and_the_same_seed_repeats_them() {
    let conditions = Conditions { loss: 0.2, duplicate: 0.1, reorder: 0.1, delay: ms(5)..=ms(10) };
    let seen = trace(7, conditions.clone()).await;
    assert_eq!(seen, trace(7, conditions.clone()).await);
    assert_ne!(seen, trace(8, conditions).await);

    let mut numbers: Vec<u64> = seen.iter().map(|(number, _)| *number).collect();
    assert!(!numbers.is_sorted(), "nothing was overtaken");
    let arrived = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    let lost = 500 - numbers.len();
    assert!((60..140).contains(&lost), "{lost} lost");
    let doubled = arrived - numbers.len();
    assert!((20..70).contains(&doubled), "{doubled} doubled");
    for (number, at) in seen {
        let took = at - u128::from(number);
        assert!((5..=31).contains(&took), "{number} took {took} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_lets_nothing_through_until_it_is_healed() {
    let memory = Memory::new(1);
    let one = memory.endpoint(address("192.0.2.1:5060"));
    let mut other = memory.endpoint(address("192.0.2.2:5060"));
    memory.cut(other.address().ip(), one.address().ip());
    one.send(Transport::Udp, other.address(), "lost");
    assert!(other.receive_within(PATIENCE).await.is_none());
    memory.heal(one.address().ip(), other.address().ip());
    one.send(Transport::Udp, other.address(), "found");
    assert_eq!(other.receive().await.bytes, "found");
    assert_eq!(memory.traffic(), Traffic { sent: 2, delivered: 1, lost: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_node_answers_a_user_agent_the_way_it_asked() {
    let memory = Memory::new(1);
    let specs = [spec("udp:192.0.2.1:5060"), spec("tcp:192.0.2.1:5060")];
    let (mut wire, mut events) = memory.wire(3, &specs);
    let mut agent = memory.endpoint(address("198.51.100.9:40000"));
    for transport in [Transport::Udp, Transport::Tcp] {
        agent.send(transport, specs[0].address, "hello");
        let Event::Packets(packets) = next(&mut events).await else { panic!() };
        let path = packets[0].path;
        assert_eq!((path.local, path.remote), (specs[0].address, agent.address()));
        assert_eq!(path.flow.map(|flow| flow.worker()), transport.is_reliable().then_some(3));
        wire.send(path, Bytes::from_static(b"answer"), None);
        assert!(agent.receive_within(ms(1)).await.is_none(), "nothing leaves before flush");
        wire.flush();
        let answer = agent.receive().await;
        assert_eq!(answer.bytes, "answer");
        assert_eq!(answer.path.remote, specs[0].address);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_keeps_order_and_loses_nothing_on_a_bad_network() {
    let memory = Memory::new(5);
    memory.set(Conditions { loss: 0.5, duplicate: 0.5, reorder: 0.5, delay: ms(0)..=ms(50) });
    let specs = [spec("tcp:192.0.2.1:5060")];
    let (mut wire, _events) = memory.wire(0, &specs);
    let mut agent = memory.endpoint(address("198.51.100.9:5060"));
    let path = Path {
        transport: Transport::Tcp,
        local: specs[0].address,
        remote: agent.address(),
        flow: None,
    };
    for number in 0..100 {
        wire.send(path, number.to_string().into(), None);
    }
    wire.flush();
    let mut flows = std::collections::BTreeSet::new();
    for number in 0..100 {
        let packet = agent.receive().await;
        assert_eq!(packet.bytes, number.to_string());
        flows.insert(packet.path.flow);
    }
    assert_eq!(flows.len(), 1, "one connection is used for all");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_is_told_and_sending_on_it_fails() {
    let memory = Memory::new(1);
    let specs = [spec("tcp:192.0.2.1:5060")];
    let (mut wire, mut events) = memory.wire(0, &specs);
    let agent = memory.endpoint(address("198.51.100.9:5060"));
    agent.send(Transport::Tcp, specs[0].address, "hello");
    let Event::Packets(packets) = next(&mut events).await else { panic!() };
    let path = packets[0].path;
    drop(agent);
    let Event::FlowClosed(flow) = next(&mut events).await else { panic!() };
    assert_eq!(Some(flow), path.flow);
    wire.send(path, Bytes::from_static(b"late"), Some(SendTag(1)));
    wire.send(Path { flow: None, ..path }, Bytes::from_static(b"anew"), Some(SendTag(2)));
    wire.flush();
    for tag in [1, 2] {
        let event = next(&mut events).await;
        assert!(matches!(event, Event::SendFailed(SendTag(t)) if t == tag), "{event:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_dropped_is_gone_and_its_addresses_are_free() {
    let memory = Memory::new(1);
    let specs = [spec("udp:192.0.2.1:5060")];
    let agent = memory.endpoint(address("198.51.100.9:5060"));
    let (_wire, events) = memory.wire(0, &specs);
    drop(events);
    agent.send(Transport::Udp, specs[0].address, "nobody");
    let (_wire, mut events) = memory.wire(1, &specs);
    agent.send(Transport::Udp, specs[0].address, "somebody");
    let Event::Packets(packets) = next(&mut events).await else { panic!() };
    assert_eq!(packets[0].bytes, "somebody");
    assert_eq!(memory.traffic().lost, 1);
}
