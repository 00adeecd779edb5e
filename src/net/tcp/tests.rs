//! Real connections on loopback.

use super::*;
use crate::net::{Events, ListenSpec, Wire, bind};
use crate::vocab::Packet;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PATIENCE: Duration = Duration::from_secs(10);
const SOON: Duration = Duration::from_millis(50);

struct Node {
    wire: Box<dyn Wire>,
    events: Events,
    address: SocketAddr,
}

impl Node {
    fn with(spec: &str, settings: &Settings) -> Self {
        let spec: ListenSpec = spec.parse().unwrap();
        let (wire, events) = bind(&[spec], 1, settings).unwrap().remove(0).start().unwrap();
        let address = wire.listeners()[0].1;
        Self { wire, events, address }
    }

    fn new() -> Self {
        Self::with("tcp:127.0.0.1:0", &Settings::default())
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.next()).await.expect("an event").unwrap()
    }

    async fn packets(&mut self, count: usize) -> Vec<Packet> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await {
                Event::Packets(packets) => all.extend(packets),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    async fn closed(&mut self) -> FlowId {
        match self.next().await {
            Event::FlowClosed(flow) => flow,
            other => panic!("{other:?}"),
        }
    }

    /// Drives the node while `what` is awaited; nothing else may happen meanwhile.
    async fn during<T>(&mut self, what: impl Future<Output = T>) -> T {
        tokio::select! {
            done = tokio::time::timeout(PATIENCE, what) => done.expect("it to happen"),
            event = self.events.next() => panic!("{event:?}"),
        }
    }

    async fn dialled(&mut self) -> TcpStream {
        let address = self.address;
        self.during(TcpStream::connect(address)).await.unwrap()
    }

    fn path_to(&self, remote: SocketAddr) -> Path {
        Path { transport: Transport::Tcp, local: self.address, remote, flow: None }
    }
}

fn message(number: usize) -> String {
    format!(
        "OPTIONS sip:node SIP/2.0\r\nVia: SIP/2.0/TCP peer;branch=z9hG4bK{number}\r\n\
         From: <sip:a@peer>;tag=1\r\nTo: <sip:node>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 4\r\n\r\nbody"
    )
}

/// Reads to the end of what the peer is sent.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("an end").ok();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_message_comes_in_with_its_flow_and_the_answer_leaves_on_it() {
    for host in ["127.0.0.1", "[::1]"] {
        if TcpListener::bind(format!("{host}:0")).await.is_err() {
            continue;
        }
        let mut node = Node::with(&format!("tcp:{host}:0"), &Settings::default());
        let mut peer = node.dialled().await;
        peer.write_all(message(1).as_bytes()).await.unwrap();
        let packet = node.packets(1).await.remove(0);
        assert_eq!(packet.bytes, message(1));
        assert_eq!(packet.path.local, node.address);
        assert_eq!(packet.path.remote, peer.local_addr().unwrap());
        assert!(packet.path.flow.is_some());
        node.wire.send(packet.path, Bytes::from_static(b"SIP/2.0 200"), None);
        node.wire.flush();
        let mut answer = [0; 11];
        node.during(peer.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"SIP/2.0 200");
        drop(peer);
        assert_eq!(Some(node.closed().await), packet.path.flow);
    }
}

#[tokio::test]
async fn messages_are_cut_right_however_the_stream_is_split() {
    let mut node = Node::new();
    let mut peer = node.dialled().await;
    let all: String = (0..3).map(message).collect();
    peer.write_all(all.as_bytes()).await.unwrap();
    for (number, packet) in node.packets(3).await.iter().enumerate() {
        assert_eq!(packet.bytes, message(number));
    }
    peer.set_nodelay(true).unwrap();
    for byte in message(7).bytes() {
        peer.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(node.packets(1).await[0].bytes, message(7));
}

#[tokio::test]
async fn a_double_line_end_is_answered_with_one_at_once() {
    let mut node = Node::new();
    let mut peer = node.dialled().await;
    peer.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    node.during(peer.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    peer.write_all(format!("\r\n{}", message(1)).as_bytes()).await.unwrap();
    node.packets(1).await;
    peer.shutdown().await.unwrap();
    node.closed().await;
    assert_eq!(rest(&mut peer).await, "", "a single line end is not answered");
}

#[tokio::test]
async fn a_request_that_cannot_be_framed_is_answered_and_then_the_connection_ends() {
    let mut node = Node::new();
    let mut peer = node.dialled().await;
    let unframed = message(2).replace("Content-Length: 4\r\n", "");
    peer.write_all(format!("{}{unframed}", message(1)).as_bytes()).await.unwrap();
    assert_eq!(node.packets(1).await[0].bytes, message(1));
    let Event::StreamBad { path, answer, code, .. } = node.next().await else { panic!() };
    assert_eq!((answer.call_id(), code), (&b"2"[..], 400));
    node.wire.send(path, Bytes::from_static(b"SIP/2.0 400 no length"), None);
    node.wire.flush();
    node.wire.close(path.flow.unwrap());
    assert_eq!(node.during(rest(&mut peer)).await, "SIP/2.0 400 no length");
    drop(peer);
    assert_eq!(Some(node.closed().await), path.flow);
}

#[tokio::test]
async fn what_is_not_sip_ends_the_connection() {
    let mut node = Node::new();
    let mut peer = node.dialled().await;
    peer.write_all(b"GET / HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    let Event::StreamJunk { path, .. } = node.next().await else { panic!() };
    assert_eq!(node.during(rest(&mut peer)).await, "");
    drop(peer);
    assert_eq!(Some(node.closed().await), path.flow);
    assert_eq!(node.wire.report().junk, 1);
}

#[tokio::test]
async fn a_message_left_half_sent_ends_the_connection() {
    let settings = Settings { stall_timeout: SOON, ..Settings::default() };
    let mut node = Node::with("tcp:127.0.0.1:0", &settings);
    let mut peer = node.dialled().await;
    peer.write_all(&message(1).as_bytes()[..50]).await.unwrap();
    node.closed().await;
    assert_eq!(node.wire.report().stalled, 1);
    assert_eq!(rest(&mut peer).await, "");
}

#[tokio::test]
async fn a_connection_that_is_silent_for_too_long_ends() {
    let settings = Settings { idle_timeout: SOON, ..Settings::default() };
    let mut node = Node::with("tcp:127.0.0.1:0", &settings);
    let mut peer = node.dialled().await;
    peer.write_all(message(1).as_bytes()).await.unwrap();
    node.packets(1).await;
    node.closed().await;
    assert_eq!(node.wire.report().stalled, 0);
    assert_eq!(rest(&mut peer).await, "");
}

#[tokio::test]
async fn a_connection_that_never_said_anything_ends_sooner() {
    let settings = Settings { stall_timeout: SOON, ..Settings::default() };
    let mut node = Node::with("tcp:127.0.0.1:0", &settings);
    let mut peer = node.dialled().await;
    node.closed().await;
    assert_eq!(node.wire.report().stalled, 1);
    assert_eq!(rest(&mut peer).await, "");
}

#[tokio::test]
async fn a_source_with_too_many_connections_is_refused_another() {
    let settings = Settings { connections_per_source_max: 2, ..Settings::default() };
    let mut node = Node::with("tcp:127.0.0.1:0", &settings);
    let mut peers = vec![node.dialled().await, node.dialled().await, node.dialled().await];
    let mut third = peers.pop().unwrap();
    assert_eq!(node.during(rest(&mut third)).await, "");
    assert_eq!((node.wire.report().accepted, node.wire.report().refused), (2, 1));
    peers.pop();
    node.closed().await;
    let mut next = node.dialled().await;
    next.write_all(message(1).as_bytes()).await.unwrap();
    node.packets(1).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_loses_its_connection_and_the_senders_are_told() {
    let settings = Settings { write_queue_bytes_max: 200_000, ..Settings::default() };
    let mut node = Node::with("tcp:127.0.0.1:0", &settings);
    let mut peer = node.dialled().await;
    peer.write_all(message(1).as_bytes()).await.unwrap();
    let path = node.packets(1).await[0].path;
    let large = Bytes::from(vec![b'x'; 60_000]);
    let (mut sent, mut failed, mut open) = (0, Vec::new(), true);
    while open {
        node.wire.send(path, large.clone(), Some(SendTag(sent)));
        node.wire.flush();
        sent += 1;
        assert!(sent < 10_000, "everything is taken");
        tokio::task::yield_now().await;
        while let Ok(event) = tokio::time::timeout(Duration::ZERO, node.events.next()).await {
            match event {
                Some(Event::SendFailed(tag)) => failed.push(tag.0),
                Some(Event::FlowClosed(flow)) => open = Some(flow) != path.flow,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(failed.len() >= 3, "what was queued failed too: {failed:?}");
    failed.sort_unstable();
    let first = failed[0];
    assert!(failed.iter().copied().eq(first..sent), "all from {first} to {sent}: {failed:?}");
}

#[tokio::test]
async fn what_is_sent_to_one_address_shares_one_connection_and_its_fate() {
    let mut node = Node::new();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let path = node.path_to(peer.local_addr().unwrap());
    for number in 0..3 {
        node.wire.send(path, message(number).into(), Some(SendTag(number as u64)));
    }
    node.wire.flush();
    let (mut stream, from) = node.during(peer.accept()).await.unwrap();
    assert_eq!(from.ip(), node.address.ip());
    let mut got = vec![0; message(0).len() * 3];
    node.during(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(String::from_utf8(got).unwrap(), (0..3).map(message).collect::<String>());

    stream.write_all(message(9).as_bytes()).await.unwrap();
    let packet = node.packets(1).await.remove(0);
    assert_eq!((packet.path.remote, packet.path.local), (path.remote, from));
    node.wire.send(path, message(4).into(), None);
    node.wire.flush();
    let mut got = vec![0; message(4).len()];
    node.during(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(node.wire.report().opened, 1);

    drop(stream);
    for tag in 0..3 {
        let event = node.next().await;
        assert!(matches!(event, Event::SendFailed(SendTag(lost)) if lost == tag), "{event:?}");
    }
    assert_eq!(Some(node.closed().await), packet.path.flow);
    node.wire.send(packet.path, message(5).into(), Some(SendTag(5)));
    assert!(matches!(node.next().await, Event::SendFailed(SendTag(5))));
}

#[tokio::test]
async fn a_peer_that_connected_is_reached_on_its_connection() {
    let mut node = Node::new();
    let mut peer = node.dialled().await;
    peer.write_all(message(1).as_bytes()).await.unwrap();
    let path = node.packets(1).await[0].path;
    node.wire.send(Path { flow: None, ..path }, message(2).into(), None);
    node.wire.flush();
    let mut got = vec![0; message(2).len()];
    node.during(peer.read_exact(&mut got)).await.unwrap();
    assert_eq!(node.wire.report().opened, 0);
}

#[tokio::test]
async fn a_refused_connection_fails_everything_that_waited_for_it() {
    let mut node = Node::new();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for tag in [1, 2] {
        node.wire.send(node.path_to(gone), message(1).into(), Some(SendTag(tag)));
    }
    node.wire.flush();
    for tag in [1, 2] {
        let event = node.next().await;
        assert!(matches!(event, Event::SendFailed(SendTag(failed)) if failed == tag), "{event:?}");
    }
    assert_eq!(node.wire.report().open_failed, 1);
}

#[tokio::test]
async fn a_connection_that_is_never_answered_fails_in_time() {
    let settings = Settings { connect_timeout: SOON, ..Settings::default() };
    let mut node = Node::with("tcp:127.0.0.1:0", &settings);
    let full = tokio::net::TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(0).unwrap();
    let remote = full.local_addr().unwrap();
    let _first = TcpStream::connect(remote).await.unwrap();
    node.wire.send(node.path_to(remote), message(1).into(), Some(SendTag(1)));
    node.wire.flush();
    assert!(matches!(node.next().await, Event::SendFailed(SendTag(1))));
}

#[tokio::test]
async fn after_shutdown_open_connections_go_on_and_new_ones_are_refused() {
    let mut node = Node::new();
    let mut peer = node.dialled().await;
    peer.write_all(message(1).as_bytes()).await.unwrap();
    node.packets(1).await;
    node.wire.shutdown();
    let refused = TcpStream::connect(node.address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    peer.write_all(message(2).as_bytes()).await.unwrap();
    let path = node.packets(1).await[0].path;
    node.wire.send(path, Bytes::from_static(b"last words"), None);
    node.wire.flush();
    let Node { events, .. } = node;
    drop(events);
    assert_eq!(rest(&mut peer).await, "last words");
}

#[tokio::test]
async fn a_gateway_that_does_not_pull_stops_its_peers() {
    const MESSAGES: usize = 60_000;
    let mut node = Node::new();
    let mut peer = node.dialled().await;
    peer.write_all(message(0).as_bytes()).await.unwrap();
    node.packets(1).await;
    let writer = tokio::spawn(async move {
        for number in 1..MESSAGES {
            peer.write_all(message(number).as_bytes()).await.unwrap();
        }
        peer
    });
    for _ in 0..20_000 {
        tokio::task::yield_now().await;
    }
    let held = node.wire.report().stream_messages_in;
    assert!(held < 15_000, "{held} messages were read that nobody asked for");
    for (number, packet) in node.packets(MESSAGES - 1).await.iter().enumerate() {
        assert_eq!(packet.bytes, message(number + 1));
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn every_worker_accepts_and_its_flows_name_it() {
    let spec: ListenSpec = "tcp:127.0.0.1:0".parse().unwrap();
    let sets = bind(&[spec], 2, &Settings::default()).unwrap();
    let mut workers: Vec<_> = sets.into_iter().map(|set| set.start().unwrap()).collect();
    let address = workers[0].0.listeners()[0].1;
    let mut peers = Vec::new();
    for number in 0..64 {
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(message(number).as_bytes()).await.unwrap();
        peers.push(peer);
    }
    let (first, second) = workers.split_at_mut(1);
    let mut counts = [0, 0];
    while counts.iter().sum::<usize>() < 64 {
        let event = tokio::time::timeout(PATIENCE, async {
            tokio::select! {
                event = first[0].1.next() => (0, event),
                event = second[0].1.next() => (1, event),
            }
        });
        let (worker, Some(Event::Packets(packets))) = event.await.expect("an event") else {
            panic!()
        };
        for packet in packets {
            assert_eq!(packet.path.flow.unwrap().worker(), worker);
            counts[usize::from(worker)] += 1;
        }
    }
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

#[tokio::test]
async fn an_idle_connection_costs_little_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = listener.local_addr().unwrap();
    let stream = TcpStream::connect(remote).await.unwrap();
    let settings = Settings::default();
    let budget = Budget::new(&settings);
    let (flows, _notices) =
        Flows::new(0, Vec::new(), settings, budget.clone(), Shared::default()).unwrap();
    let path = Path { transport: Transport::Tcp, local: remote, remote, flow: None };
    let outbox = Outbox::new(1);
    let admission = budget.admit(None).unwrap();
    let connection = Connection::new(flows.shop.clone(), stream, path, outbox, admission, false);
    let bytes = size_of_val(&connection.run());
    assert!(bytes <= 2_048, "the task holds {bytes} bytes");
}
