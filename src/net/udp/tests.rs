//! Real sockets on loopback.

use super::*;
use crate::net::{Event, Events, ListenSpec, Settings, Wire, bind};

use futures_util::StreamExt;

use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn open(spec: &str) -> (Box<dyn Wire>, Events) {
    let spec: ListenSpec = spec.parse().unwrap();
    bind(&[spec], 1, &Settings::default()).unwrap().remove(0).start().unwrap()
}

fn peer(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

async fn next(events: &mut Events) -> Event {
    tokio::time::timeout(PATIENCE, events.next()).await.expect("an event").unwrap()
}

async fn packets(events: &mut Events, count: usize) -> Vec<Packet> {
    let mut all = Vec::new();
    while all.len() < count {
        match next(events).await {
            Event::Packets(packets) => all.extend(packets),
            other => panic!("{other:?}"),
        }
    }
    all
}

fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

fn heard(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (count, from) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(count);
    (buffer, from)
}

#[tokio::test]
async fn a_datagram_comes_in_with_its_path_and_the_answer_leaves_the_same_way() {
    for host in ["127.0.0.1", "[::1]"] {
        if host.contains(':') && !has_ipv6() {
            continue;
        }
        let (mut wire, mut events) = open(&format!("udp:{host}:0"));
        let listening = wire.listeners()[0].1;
        let peer = peer(&format!("{host}:0"));
        peer.send_to(b"MESSAGE", listening).unwrap();
        let packet = packets(&mut events, 1).await.remove(0);
        assert_eq!(packet.bytes, "MESSAGE");
        let remote = peer.local_addr().unwrap();
        let path = Path { transport: Transport::Udp, local: listening, remote, flow: None };
        assert_eq!(packet.path, path);
        wire.send(packet.path, Bytes::from_static(b"200"), None);
        wire.flush();
        assert_eq!(heard(&peer), (b"200".to_vec(), listening));
    }
}

#[tokio::test]
async fn a_socket_on_every_address_answers_from_the_one_that_was_asked() {
    for (any, hosts) in [("0.0.0.0", &["127.0.0.1", "127.0.0.77"][..]), ("[::]", &["[::1]"][..])] {
        if any.contains(':') && !has_ipv6() {
            continue;
        }
        let (mut wire, mut events) = open(&format!("udp:{any}:0"));
        let port = wire.listeners()[0].1.port();
        for host in hosts {
            let asked: SocketAddr = format!("{host}:{port}").parse().unwrap();
            let peer = peer(&format!("{host}:0"));
            for round in 0..3 {
                peer.send_to(&[b'a' + round], asked).unwrap();
                let packet = packets(&mut events, 1).await.remove(0);
                assert_eq!(packet.path.local, asked, "round {round}");
                wire.send(packet.path, packet.bytes, None);
                wire.flush();
                assert_eq!(heard(&peer), (vec![b'a' + round], asked));
            }
        }
    }
}

#[tokio::test]
async fn answers_from_different_addresses_leave_in_one_flush() {
    let (mut wire, mut events) = open("udp:0.0.0.0:0");
    let port = wire.listeners()[0].1.port();
    let peers = [peer("127.0.0.1:0"), peer("127.0.0.1:0")];
    let asked = [format!("127.0.0.1:{port}"), format!("127.0.0.9:{port}")];
    for (peer, asked) in peers.iter().zip(&asked) {
        peer.send_to(b"who", asked).unwrap();
    }
    for packet in packets(&mut events, 2).await {
        wire.send(packet.path, packet.bytes, None);
    }
    wire.flush();
    for (peer, asked) in peers.iter().zip(&asked) {
        assert_eq!(heard(peer).1, asked.parse().unwrap());
    }
}

#[tokio::test]
async fn the_largest_datagram_comes_in_whole() {
    let (wire, mut events) = open("udp:127.0.0.1:0");
    let large = vec![b'x'; 65_507];
    peer("127.0.0.1:0").send_to(&large, wire.listeners()[0].1).unwrap();
    assert_eq!(packets(&mut events, 1).await[0].bytes, large);
}

#[tokio::test]
async fn a_datagram_that_cannot_leave_fails_alone_and_its_sender_is_told() {
    let (mut wire, mut events) = open("udp:127.0.0.1:0");
    let local = wire.listeners()[0].1;
    let peer = peer("127.0.0.1:0");
    let remote = peer.local_addr().unwrap();
    let path = Path { transport: Transport::Udp, local, remote, flow: None };
    wire.send(path, Bytes::from_static(b"before"), Some(SendTag(1)));
    wire.send(path, Bytes::from(vec![b'x'; 65_530]), Some(SendTag(2)));
    let other = Path { local: "127.0.0.2:9".parse().unwrap(), ..path };
    wire.send(other, Bytes::from_static(b"not ours"), Some(SendTag(3)));
    wire.send(path, Bytes::from_static(b"after"), Some(SendTag(4)));
    wire.flush();
    let mut failed = Vec::new();
    for _ in 0..2 {
        match next(&mut events).await {
            Event::SendFailed(tag) => failed.push(tag.0),
            other => panic!("{other:?}"),
        }
    }
    failed.sort_unstable();
    assert_eq!(failed, [2, 3]);
    assert_eq!(heard(&peer).0, b"before");
    assert_eq!(heard(&peer).0, b"after");
}

#[tokio::test]
async fn a_queue_that_is_full_drops_its_oldest_and_tells() {
    let spec = "udp:127.0.0.1:0".parse().unwrap();
    let settings = Settings { datagram_queue_max: 64, ..Settings::default() };
    let sockets = bind(&[spec], 1, &settings).unwrap().remove(0);
    let (mut wire, mut events) = sockets.start().unwrap();
    let local = wire.listeners()[0].1;
    let peer = peer("127.0.0.1:0");
    let remote = peer.local_addr().unwrap();
    let path = Path { transport: Transport::Udp, local, remote, flow: None };
    for tag in 0..65 {
        wire.send(path, Bytes::from(tag.to_string()), Some(SendTag(tag)));
    }
    assert!(matches!(next(&mut events).await, Event::SendFailed(SendTag(0))));
    wire.flush();
    assert_eq!(heard(&peer).0, b"1");
    assert_eq!(wire.report().datagrams_dropped, 1);
    assert_eq!((wire.report().datagrams_out, wire.report().send_calls), (64, 1));
}

#[tokio::test]
async fn many_datagrams_come_in_with_few_system_calls() {
    let (wire, mut events) = open("udp:127.0.0.1:0");
    let peer = peer("127.0.0.1:0");
    for number in 0..200_u32 {
        peer.send_to(number.to_string().as_bytes(), wire.listeners()[0].1).unwrap();
    }
    let all = packets(&mut events, 200).await;
    for (number, packet) in (0..200_u32).zip(all) {
        assert_eq!(packet.bytes, number.to_string());
    }
    let report = wire.report();
    assert_eq!(report.datagrams_in, 200);
    assert!(report.receive_calls <= 5, "{report:?}");
}

#[tokio::test]
async fn a_keep_alive_is_not_passed_on_and_stun_is_answered() {
    let (wire, mut events) = open("udp:127.0.0.1:0");
    let peer = peer("127.0.0.1:0");
    let mut binding = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    binding.extend_from_slice(b"transaction!");
    for datagram in [&b"\r\n\r\n"[..], b"\0", &binding, b"SIP"] {
        peer.send_to(datagram, wire.listeners()[0].1).unwrap();
    }
    assert_eq!(packets(&mut events, 1).await[0].bytes, "SIP");
    assert_eq!(heard(&peer).0[..2], [1, 1]);
    assert_eq!(wire.report().keepalives, 3);
}

/// Two workers on threads of their own echo what comes; a window of unanswered datagrams keeps the
/// pace, so that nothing may be lost.
#[test]
fn two_workers_answer_every_datagram_of_a_paced_flood() {
    const PEERS: usize = 8;
    const EACH: usize = 2_500;
    const WINDOW: usize = 16;
    let spec = "udp:127.0.0.1:0".parse().unwrap();
    let sets = bind(&[spec], 2, &Settings::default()).unwrap();
    let target = sets[0].listeners()[0].1;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let workers: Vec<_> = sets
        .into_iter()
        .map(|set| {
            let mut stopped = stopped.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async move {
                    let (mut wire, mut events) = set.start().unwrap();
                    loop {
                        tokio::select! {
                            event = events.next() => {
                                let Some(Event::Packets(packets)) = event else { panic!() };
                                for packet in packets {
                                    wire.send(packet.path, packet.bytes, None);
                                }
                                wire.flush();
                            }
                            _ = stopped.changed() => return wire.report(),
                        }
                    }
                })
            })
        })
        .collect();
    let peers: Vec<_> = (0..PEERS).map(|_| peer("127.0.0.1:0")).collect();
    let mut buffer = [0; 2_048];
    for from in (0..EACH).step_by(WINDOW) {
        let count = WINDOW.min(EACH - from);
        for peer in &peers {
            for _ in 0..count {
                peer.send_to(&[b'm'; 700], target).unwrap();
            }
        }
        for peer in &peers {
            for _ in 0..count {
                assert_eq!(peer.recv(&mut buffer).unwrap(), 700);
            }
        }
    }
    stop.send(true).unwrap();
    let reports: Vec<_> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
    let total: u64 = reports.iter().map(|report| report.datagrams_in).sum();
    assert_eq!(total, (PEERS * EACH) as u64, "{reports:?}");
    assert!(reports.iter().all(|report| report.datagrams_dropped == 0), "{reports:?}");
}

#[tokio::test]
async fn what_a_full_socket_did_not_take_leaves_when_it_has_room_again() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let local = socket.local_addr().unwrap();
    let peer = peer("127.0.0.1:0");
    let mut port = Port::new(socket, 64, Shared::default()).unwrap();
    // Loopback never fills a socket, so the state is set by hand.
    port.full = port.watch_for_room();
    assert!(port.full.is_some());
    let mut failed = Vec::new();
    for text in ["one", "two"] {
        port.send(local, peer.local_addr().unwrap(), Bytes::from(text), None);
        port.flush(&mut failed);
    }
    assert_eq!(port.queue.len(), 2, "a full socket is left alone");
    std::future::poll_fn(|cx| {
        port.poll_flush(cx, &mut failed);
        if port.full.is_some() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    assert_eq!((heard(&peer).0, heard(&peer).0), (b"one".to_vec(), b"two".to_vec()));
    assert!(port.queue.is_empty() && failed.is_empty());
}
