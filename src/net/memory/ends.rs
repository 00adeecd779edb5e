//! The ends of the network: a worker's two halves, and a scripted user agent.

use super::Memory;
use super::world::{Arrival, MailboxId};
use crate::net::{Event, Report, Wire};
use crate::vocab::limits::DATAGRAM_BATCH;
use crate::vocab::{FlowId, Packet, Path, SendTag, Transport};
use bytes::Bytes;
use futures_util::Stream;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// The worker number in the flows of a scripted user agent.
const ENDPOINT_WORKER: u16 = 1_023;

/// Takes from one mailbox, in order of arrival.
struct Receiver {
    memory: Memory,
    mailbox: MailboxId,
    alarm: Pin<Box<Sleep>>,
}

impl Receiver {
    fn new(memory: Memory, mailbox: MailboxId) -> Self {
        Self { memory, mailbox, alarm: Box::pin(sleep_until(Instant::now())) }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        loop {
            let taken = self.memory.world().take(self.mailbox, Instant::now(), cx.waker());
            match taken {
                Ok(arrival) => return Poll::Ready(arrival),
                Err(None) => return Poll::Pending,
                Err(Some(at)) => {
                    self.alarm.as_mut().reset(at);
                    ready!(self.alarm.as_mut().poll(cx));
                }
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.memory.world().leave(self.mailbox);
    }
}

/// The receiving half of a worker on a [`Memory`] network. Dropping it takes the node off.
pub struct MemoryEvents {
    receiver: Receiver,
    /// What was taken while a batch of packets was gathered.
    next: Option<Arrival>,
}

impl MemoryEvents {
    pub(super) fn new(memory: Memory, mailbox: MailboxId) -> Self {
        Self { receiver: Receiver::new(memory, mailbox), next: None }
    }
}

impl Stream for MemoryEvents {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let first = match self.next.take() {
            Some(arrival) => arrival,
            None => ready!(self.receiver.poll_take(cx)),
        };
        let mut packets = match first {
            Arrival::Packet(packet) => vec![packet],
            Arrival::Closed(flow) => return Poll::Ready(Some(Event::FlowClosed(flow))),
            Arrival::Failed(tag) => return Poll::Ready(Some(Event::SendFailed(tag))),
        };
        while packets.len() < DATAGRAM_BATCH
            && let Poll::Ready(arrival) = self.receiver.poll_take(cx)
        {
            match arrival {
                Arrival::Packet(packet) => packets.push(packet),
                other => {
                    self.next = Some(other);
                    break;
                }
            }
        }
        Poll::Ready(Some(Event::Packets(packets)))
    }
}

/// The sending half.
pub(super) struct MemoryWire {
    memory: Memory,
    mailbox: MailboxId,
    listeners: Vec<(Transport, SocketAddr)>,
    queue: Vec<(Path, Bytes, Option<SendTag>)>,
    report: Report,
}

impl MemoryWire {
    pub(super) fn new(
        memory: Memory,
        mailbox: MailboxId,
        listeners: Vec<(Transport, SocketAddr)>,
    ) -> Self {
        Self { memory, mailbox, listeners, queue: Vec::new(), report: Report::default() }
    }
}

impl Wire for MemoryWire {
    fn send(&mut self, path: Path, bytes: Bytes, tag: Option<SendTag>) {
        self.queue.push((path, bytes, tag));
    }

    fn flush(&mut self) {
        let mut world = self.memory.world();
        for (path, bytes, tag) in self.queue.drain(..) {
            match path.transport {
                Transport::Udp => self.report.datagrams_out += 1,
                Transport::Tcp => self.report.stream_messages_out += 1,
            }
            world.send(self.mailbox, path, bytes, tag, true);
        }
    }

    fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let fits = |(of, local): &&(Transport, SocketAddr)| {
            *of == transport && local.is_ipv4() == remote.is_ipv4()
        };
        self.listeners.iter().find(fits).map(|(_, local)| *local)
    }

    fn close(&mut self, flow: FlowId) {
        self.flush();
        self.memory.world().close(flow);
    }

    fn listeners(&self) -> &[(Transport, SocketAddr)] {
        &self.listeners
    }

    fn shutdown(&mut self) {
        self.memory.world().stop_accepting(self.mailbox);
    }

    fn report(&self) -> Report {
        self.report
    }
}

/// A scripted user agent: one address, any transport, whole messages.
pub struct Endpoint {
    receiver: Receiver,
    address: SocketAddr,
}

impl Endpoint {
    pub(super) fn new(memory: Memory, address: SocketAddr) -> Self {
        let places = [(Transport::Udp, address), (Transport::Tcp, address)];
        let mailbox = memory.world().enter(ENDPOINT_WORKER, &places);
        Self { receiver: Receiver::new(memory, mailbox), address }
    }

    /// Where it is reached.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends to an address; over TCP on the connection there is, else on a new one.
    pub fn send(&self, transport: Transport, remote: SocketAddr, bytes: impl Into<Bytes>) {
        let path = Path { transport, local: self.address, remote, flow: None };
        self.send_on(path, bytes);
    }

    /// Sends the way a received packet came.
    pub fn send_on(&self, path: Path, bytes: impl Into<Bytes>) {
        let mailbox = self.receiver.mailbox;
        self.receiver.memory.world().send(mailbox, path, bytes.into(), None, false);
    }

    /// Ends a connection.
    pub fn close(&self, flow: FlowId) {
        self.receiver.memory.world().close(flow);
    }

    /// The next packet; waits for one.
    pub async fn receive(&mut self) -> Packet {
        loop {
            if let Arrival::Packet(packet) = poll_fn(|cx| self.receiver.poll_take(cx)).await {
                return packet;
            }
        }
    }

    /// The next packet, if one comes in time.
    pub async fn receive_within(&mut self, patience: Duration) -> Option<Packet> {
        timeout(patience, self.receive()).await.ok()
    }
}
