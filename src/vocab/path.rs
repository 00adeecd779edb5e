//! Where a SIP message came from and where one goes to.

use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The transports this node speaks. TLS and WebSocket join here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// RFC 3261 section 18, datagrams.
    Udp,
    /// RFC 3261 section 18, a byte stream.
    Tcp,
}

impl Transport {
    /// True when the transport retransmits and orders by itself, so that SIP timers E, K and J
    /// do not run or are zero (RFC 3261 section 17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// The port a URI or Via without one means (RFC 3261 section 18.2.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        5060
    }

    /// The spelling in a Via (`UDP`).
    #[must_use]
    pub const fn in_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The spelling in a URI parameter and in `listen` options (`udp`).
    #[must_use]
    pub const fn in_uri(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// Reads either spelling, in any case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.eq_ignore_ascii_case(b"udp") {
            Some(Self::Udp)
        } else if text.eq_ignore_ascii_case(b"tcp") {
            Some(Self::Tcp)
        } else {
            None
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_uri())
    }
}

/// One connection, never reused for another in the life of the process (RFC 5626 section 7: a
/// binding must not inherit the connection of somebody who got the same port later).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

impl FlowId {
    const WORKER_BITS: u32 = 10;

    /// Names connection number `serial` of gateway `worker`.
    #[must_use]
    pub const fn new(worker: u16, serial: u64) -> Self {
        Self((serial << Self::WORKER_BITS) | (worker as u64 & ((1 << Self::WORKER_BITS) - 1)))
    }

    /// The gateway that owns the connection.
    #[must_use]
    pub const fn worker(self) -> u16 {
        (self.0 & ((1 << Self::WORKER_BITS) - 1)) as u16
    }
}

/// Names one send whose failure the sender wants to hear of; chosen by the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SendTag(pub u64);

/// The two ends of a packet, seen from this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The transport.
    pub transport: Transport,
    /// Our end: a listening address for UDP and for accepted connections, else the socket's own.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// The connection, for a stream transport whose connection is known.
    pub flow: Option<FlowId>,
}

/// One datagram, or one whole message cut from a stream, with the way it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The bytes as they came.
    pub bytes: Bytes,
    /// The way they came.
    pub path: Path,
}

/// Where a request is to go, before names are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NextHop {
    /// A numeric address, or a flow that is already there.
    Path(Path),
    /// A name to look up first (RFC 3263).
    Name {
        /// Asked for by a `transport` parameter; `None` = choose.
        transport: Option<Transport>,
        /// The host name, in lower case.
        host: Arc<str>,
        /// An explicit port, which rules out SRV.
        port: Option<u16>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_tells_its_gateway() {
        assert_eq!(FlowId::new(3, 77).worker(), 3);
        assert_ne!(FlowId::new(3, 77), FlowId::new(3, 78));
    }
}
