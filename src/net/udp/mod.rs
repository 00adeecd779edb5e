//! Datagrams.
//!
//! One socket of one worker. Both directions go through `recvmmsg` and `sendmmsg`, so a busy worker
//! pays one system call for up to [`DATAGRAM_BATCH`] datagrams; an idle one pays one for each.
//!
//! The socket is watched for reading only. Being watched for writing as well would wake the worker
//! for every datagram that leaves; a second registration does that while the socket is full.

mod batch;
#[cfg(test)]
mod tests;

use super::counters::Shared;
use super::stun;
use crate::vocab::limits::DATAGRAM_BATCH;
use crate::vocab::{Packet, Path, SendTag, Transport};
use batch::{Batch, Received, Sent};
use bytes::{Bytes, BytesMut};
use nix::errno::Errno;
use nix::sys::socket::{SockaddrIn, SockaddrIn6};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Datagrams of one batch share an allocation of about this size: few allocations, and a message
/// that is kept for long pins no more than this.
const CHUNK_BYTES: usize = 16 * 1024;

/// One UDP socket with its send queue.
pub(super) struct Port {
    local: SocketAddr,
    socket: AsyncFd<UdpSocket>,
    /// Watches the same socket for room, while it is full.
    full: Option<AsyncFd<UdpSocket>>,
    batch: Either,
    queue: VecDeque<Queued>,
    queue_max: usize,
    counters: Shared,
}

enum Either {
    V4(Batch<SockaddrIn>),
    V6(Batch<SockaddrIn6>),
}

struct Queued {
    source: IpAddr,
    remote: SocketAddr,
    bytes: Bytes,
    tag: Option<SendTag>,
}

impl Port {
    /// Takes over a bound, non-blocking socket; on the runtime that is to drive it.
    pub(super) fn new(socket: UdpSocket, queue_max: usize, counters: Shared) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let tells_destination = local.ip().is_unspecified();
        let batch = if local.is_ipv4() {
            Either::V4(Batch::new(tells_destination))
        } else {
            Either::V6(Batch::new(tells_destination))
        };
        Ok(Self {
            local,
            socket: watch(socket, Interest::READABLE)?,
            full: None,
            batch,
            queue: VecDeque::new(),
            queue_max: queue_max.max(DATAGRAM_BATCH),
            counters,
        })
    }

    /// How well this socket can send from `local`: exactly, as one of many addresses, or not.
    pub(super) fn fits(&self, local: SocketAddr) -> Fit {
        if self.local == local {
            return Fit::Exact;
        }
        let same = self.local.port() == local.port() && self.local.is_ipv4() == local.is_ipv4();
        if same && self.local.ip().is_unspecified() { Fit::Wildcard } else { Fit::No }
    }

    /// The next datagrams. Waits for some; an error is the socket's end.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        failed: &mut Vec<SendTag>,
    ) -> Poll<io::Result<Vec<Packet>>> {
        loop {
            let mut guard = ready!(self.socket.poll_read_ready(cx))?;
            let mut inbox = Inbox::new(self.local);
            let socket = guard.get_inner();
            let took = match &mut self.batch {
                Either::V4(batch) => batch.receive(socket, |datagrams| inbox.take(datagrams)),
                Either::V6(batch) => batch.receive(socket, |datagrams| inbox.take(datagrams)),
            };
            self.counters.receive_calls.add(1);
            match took {
                Ok(count) => {
                    self.counters.datagrams_in.add(count);
                    if count < DATAGRAM_BATCH {
                        // The queue was seen empty, and what comes later is a new edge.
                        guard.clear_ready();
                    }
                }
                Err(Errno::EAGAIN) => {
                    guard.clear_ready();
                    continue;
                }
                Err(errno) if is_passing(errno) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
            self.counters.keepalives.add(inbox.keepalives);
            if !inbox.answers.is_empty() {
                for answer in inbox.answers.drain(..) {
                    failed.extend(self.push(answer));
                }
                self.flush(failed);
            }
            if !inbox.packets.is_empty() {
                return Poll::Ready(Ok(inbox.packets));
            }
        }
    }

    /// Queues one datagram; hands back the tag of what had to be dropped for it.
    pub(super) fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: Bytes,
        tag: Option<SendTag>,
    ) -> Option<SendTag> {
        self.push(Queued { source: local.ip(), remote, bytes, tag })
    }

    fn push(&mut self, datagram: Queued) -> Option<SendTag> {
        let mut dropped = None;
        if self.queue.len() >= self.queue_max {
            dropped = self.queue.pop_front().and_then(|oldest| oldest.tag);
            self.counters.datagrams_dropped.add(1);
        }
        self.queue.push_back(datagram);
        dropped
    }

    /// Sends what is queued until all is gone or the socket is full.
    pub(super) fn flush(&mut self, failed: &mut Vec<SendTag>) {
        while self.full.is_none()
            && let Some(first) = self.queue.front()
        {
            let source = first.source;
            // One call sends from one address; without a wildcard there is only one.
            let run = self.queue.iter().take_while(|d| d.source == source);
            let datagrams = run.map(|d| Sent { bytes: &d.bytes, remote: d.remote });
            let socket = self.socket.get_ref();
            let sent = match &mut self.batch {
                Either::V4(batch) => batch.send(socket, source, datagrams),
                Either::V6(batch) => batch.send(socket, source, datagrams),
            };
            self.counters.send_calls.add(1);
            match sent {
                Ok(count) => {
                    self.counters.datagrams_out.add(count);
                    self.queue.drain(..count);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.full = self.watch_for_room(),
                // Too long, no route, forbidden: it concerns the first datagram only.
                Err(_) => {
                    self.counters.datagrams_dropped.add(1);
                    failed.extend(self.queue.pop_front().and_then(|datagram| datagram.tag));
                }
            }
            if sent == Err(Errno::EAGAIN) {
                break;
            }
        }
    }

    /// None when the watch cannot be had; the next flush tries again.
    fn watch_for_room(&self) -> Option<AsyncFd<UdpSocket>> {
        let socket = self.socket.get_ref().try_clone().ok()?;
        watch(socket, Interest::WRITABLE).ok()
    }

    /// True while the kernel takes no more from this socket.
    pub(super) const fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// Goes on with `flush` when a full socket has room again.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>, failed: &mut Vec<SendTag>) {
        while let Some(full) = &self.full {
            if full.poll_write_ready(cx).is_pending() {
                return;
            }
            self.full = None;
            self.flush(failed);
        }
    }
}

/// What an earlier datagram of ours met, or a shortage: the socket is as good as before.
fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINTR
            | Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ENOMEM
            | Errno::ENOBUFS
    )
}

/// Registers a socket with the runtime for one interest, which `tokio::net::UdpSocket` cannot.
#[expect(
    deprecated,
    reason = "the successor is `unsafe fn`: the descriptor must stay the same and open as long as \
              its owner lives, and that of a `UdpSocket` does"
)]
fn watch(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    AsyncFd::with_interest(socket, interest)
}

/// Whether a socket can send from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It cannot.
    No,
    /// It listens on every address, that one too.
    Wildcard,
    /// It is that address.
    Exact,
}

/// What one system call brought, on its way out of the buffers.
struct Inbox {
    local: SocketAddr,
    packets: Vec<Packet>,
    answers: Vec<Queued>,
    keepalives: usize,
}

impl Inbox {
    fn new(local: SocketAddr) -> Self {
        Self { local, packets: Vec::new(), answers: Vec::new(), keepalives: 0 }
    }

    fn take(&mut self, datagrams: &[Received<'_>]) {
        let mut chunk = BytesMut::new();
        let mut left: usize = datagrams.iter().map(|datagram| datagram.bytes.len()).sum();
        self.packets.reserve_exact(datagrams.len());
        for datagram in datagrams {
            let bytes = datagram.bytes;
            if !self.keeps_alive(datagram) {
                if chunk.capacity() < bytes.len() {
                    chunk = BytesMut::with_capacity(left.min(CHUNK_BYTES).max(bytes.len()));
                }
                chunk.extend_from_slice(bytes);
                let local = self.our_end(datagram);
                let remote = datagram.remote;
                let path = Path { transport: Transport::Udp, local, remote, flow: None };
                self.packets.push(Packet { bytes: chunk.split().freeze(), path });
            }
            left -= bytes.len();
        }
    }

    fn our_end(&self, datagram: &Received<'_>) -> SocketAddr {
        SocketAddr::new(datagram.local.unwrap_or(self.local.ip()), self.local.port())
    }

    /// True for what only keeps a NAT binding open; STUN is answered.
    fn keeps_alive(&mut self, datagram: &Received<'_>) -> bool {
        let bytes = datagram.bytes;
        if stun::is_stun(bytes) {
            self.answers.extend(stun::answer(bytes, datagram.remote).map(|answer| Queued {
                source: self.our_end(datagram).ip(),
                remote: datagram.remote,
                bytes: answer,
                tag: None,
            }));
        } else if !bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return false;
        }
        self.keepalives += 1;
        true
    }
}
