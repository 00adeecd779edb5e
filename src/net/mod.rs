//! Sockets: datagrams and connections in, datagrams and connections out.
//!
//! A worker owns one [`Wire`] to send on and one stream of [`Event`]s to pull from. What is not
//! pulled stays in the kernel: datagrams in the socket's buffer, stream bytes at the peer, so a
//! gateway that is behind slows its peers down instead of growing. Every queue in here has a bound,
//! and what falls off a bound is counted ([`Report`]) and told to the sender ([`Event::SendFailed`]).
//!
//! Nothing in here decides about messages: no transaction, no routing, no retransmission. The only
//! bytes answered here are keep-alives (RFC 5626: CRLF on streams, STUN on datagrams).
//!
//! * `listen`: the addresses to listen on, and opening them with errors that say what to do.
//! * `udp`: many datagrams a system call, both ways.
//! * `stun`: the answer to a keep-alive of RFC 5626.
//! * `tcp`: connections, accepted and opened, each with its bounds.
//! * `route`: which of our addresses a peer is reached from.
//! * `worker`: one worker's sockets as a `Wire` and a stream.
//! * `memory`: the same faces over a network that is a value, with seeded faults.

mod counters;
mod listen;
pub mod memory;
mod route;
mod stun;
mod tcp;
mod udp;
mod worker;

pub use counters::Report;
pub use listen::{BindError, ListenSpec, SpecError, bind};
pub use worker::{Events, WorkerSockets};

use crate::sip::Message;
use crate::vocab::{FlowId, Packet, Path, SendTag, Transport};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// What the network tells its gateway.
#[derive(Debug)]
pub enum Event {
    /// Datagrams or whole messages, in the order they came; never empty.
    Packets(Vec<Packet>),
    /// A connection that packets came from, or were sent on, is gone.
    FlowClosed(FlowId),
    /// What was sent under this tag did not leave; or it went over a connection that has ended, so
    /// that no answer comes that way. Says nothing about what was answered before.
    SendFailed(SendTag),
    /// A request came on a connection that cannot be read on after it. The gateway answers on this
    /// path, flushes, and closes the flow; if it does not, the connection ends by itself soon.
    StreamBad {
        /// The way it came; has a flow.
        path: Path,
        /// The head of the request.
        answer: Box<Message>,
        /// The code to answer with.
        code: u16,
        /// What is wrong, for a log.
        reason: &'static str,
    },
    /// What came on a connection was not SIP; the connection ends by itself.
    StreamJunk {
        /// The way it came.
        path: Path,
        /// What is wrong, for a log.
        reason: &'static str,
    },
}

/// The sending side of a worker's sockets.
///
/// `send` only queues; nothing leaves before `flush`.
pub trait Wire {
    /// Queues `bytes` for `path`. A failure comes back as [`Event::SendFailed`] if there is a tag.
    ///
    /// A path with a flow goes on that connection or fails. A stream path without one goes on an
    /// open connection to the same remote address, else on a new one.
    fn send(&mut self, path: Path, bytes: Bytes, tag: Option<SendTag>);

    /// Hands what is queued to the kernel, as far as it takes it; the rest follows by itself.
    fn flush(&mut self);

    /// Our address as `remote` sees it: what a new request to it names in its Via.
    fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr>;

    /// Ends a connection after what is queued on it has left.
    fn close(&mut self, flow: FlowId);

    /// The addresses listened on, with the ports that were really bound.
    fn listeners(&self) -> &[(Transport, SocketAddr)];

    /// Takes no new connections from here on; what is open stays so until the stream is dropped.
    fn shutdown(&mut self);

    /// What this worker's sockets did so far.
    fn report(&self) -> Report;
}

/// What an operator may turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Wanted size of each UDP socket's buffers in the kernel, in bytes. Default 8 MiB; the kernel
    /// may give less (`net.core.rmem_max`).
    pub socket_buffer_bytes: usize,
    /// Datagrams that may wait for a full socket, each worker and address. Default 16,384.
    pub datagram_queue_max: usize,
    /// Open connections, all workers together. Default 50,000.
    pub connections_max: usize,
    /// Accepted connections from one IP address, all workers together. Default 1,000.
    pub connections_per_source_max: usize,
    /// Silence after which a connection is closed. Default 65 minutes: longer than a registration.
    pub idle_timeout: Duration,
    /// How long a peer may leave a message half sent, what we send unread, or a connection it has
    /// made unused. Default 30 seconds.
    pub stall_timeout: Duration,
    /// How long opening a connection may take. Default 5 seconds.
    pub connect_timeout: Duration,
    /// Bytes that may wait on one accepted connection for its peer to read; connections opened by
    /// us may hold eight times as many. Default 1 MiB.
    pub write_queue_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket_buffer_bytes: 8 * 1024 * 1024,
            datagram_queue_max: 16_384,
            connections_max: 50_000,
            connections_per_source_max: 1_000,
            idle_timeout: Duration::from_secs(65 * 60),
            stall_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            write_queue_bytes_max: 1024 * 1024,
        }
    }
}
