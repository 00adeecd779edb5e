//! The addresses to listen on, and opening them.
//!
//! With more than one worker every address is opened once for each, and the kernel spreads peers
//! over the sockets (`SO_REUSEPORT`). That option also lets a second process of the same user join
//! in silence and take a share of the traffic, so an address is first bound without it: somebody
//! who is there already makes the start fail, as it should.

use super::worker::WorkerSockets;
use super::{Settings, tcp};
use crate::vocab::Transport;
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

/// How often a free port is asked for again when another process took it in between.
const FREE_PORT_TRIES: usize = 8;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;

/// One address to listen on, as in `udp:192.0.2.1:5060` or `tcp:[::]:5060`.
///
/// Port 0 means a free one. `0.0.0.0` and `[::]` mean every address of their family; `[::]` does
/// not take IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenSpec {
    /// The transport spoken there.
    pub transport: Transport,
    /// The address and port.
    pub address: SocketAddr,
}

/// Text that is no [`ListenSpec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// What stands before the first colon is no transport of ours.
    #[error("listen address {0:?} must start with `udp:` or `tcp:`, as in `udp:0.0.0.0:5060`")]
    Transport(String),
    /// What stands after it is no numeric address with a port.
    #[error(
        "listen address {0:?} must name a numeric address and a port, as in `udp:192.0.2.1:5060` \
         or `tcp:[::1]:5060` (every address: `0.0.0.0` or `[::]`)"
    )]
    Address(String),
}

impl FromStr for ListenSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let wrong_transport = || SpecError::Transport(text.to_owned());
        let (transport, address) = text.split_once(':').ok_or_else(wrong_transport)?;
        let transport = Transport::parse(transport.as_bytes()).ok_or_else(wrong_transport)?;
        let address = address.parse().map_err(|_| SpecError::Address(text.to_owned()))?;
        Ok(Self { transport, address })
    }
}

impl TryFrom<String> for ListenSpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

impl From<ListenSpec> for String {
    fn from(spec: ListenSpec) -> Self {
        spec.to_string()
    }
}

impl fmt::Display for ListenSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.address)
    }
}

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket is there.
    #[error(
        "cannot listen on {0}: the address is in use; stop what listens there (`ss -lntup`) or choose another port"
    )]
    InUse(ListenSpec),
    /// The port is below 1024 and this process may not have it, or a policy forbids it.
    #[error(
        "cannot listen on {0}: not permitted; use a port from 1024 on or grant CAP_NET_BIND_SERVICE"
    )]
    NotPermitted(ListenSpec),
    /// The machine does not have this address, or not this family.
    #[error(
        "cannot listen on {0}: this machine has no such address; see `ip address` or listen on 0.0.0.0 or [::]"
    )]
    NoSuchAddress(ListenSpec),
    /// The process has no file descriptors left.
    #[error(
        "cannot listen on {0}: out of file descriptors; raise the limit (`ulimit -n`, LimitNOFILE)"
    )]
    TooManyFiles(ListenSpec),
    /// One address stands twice in the list.
    #[error("cannot listen on {0} twice: name each address once")]
    Twice(ListenSpec),
    /// Anything else.
    #[error("cannot listen on {spec}")]
    Other {
        /// The address.
        spec: ListenSpec,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    fn new(spec: ListenSpec, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => return Self::InUse(spec),
            io::ErrorKind::PermissionDenied => return Self::NotPermitted(spec),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported => {
                return Self::NoSuchAddress(spec);
            }
            _ => {}
        }
        match source.raw_os_error() {
            Some(nix::libc::EMFILE | nix::libc::ENFILE) => Self::TooManyFiles(spec),
            Some(nix::libc::EAFNOSUPPORT) => Self::NoSuchAddress(spec),
            _ => Self::Other { spec, source },
        }
    }
}

/// Opens every address for `workers` workers, at most 1,024, before any of them starts.
///
/// # Errors
///
/// The first address that cannot be had, and what to do about it. Nothing stays open then.
pub fn bind(
    specs: &[ListenSpec],
    workers: u16,
    settings: &Settings,
) -> Result<Vec<WorkerSockets>, BindError> {
    let budget = tcp::Budget::new(settings);
    let mut sets: Vec<WorkerSockets> = (0..workers)
        .map(|worker| WorkerSockets::new(worker, settings.clone(), budget.clone()))
        .collect();
    for (index, spec) in specs.iter().enumerate() {
        if spec.address.port() != 0 && specs[..index].contains(spec) {
            return Err(BindError::Twice(*spec));
        }
        let opened = open(*spec, usize::from(workers), settings)
            .map_err(|source| BindError::new(*spec, source))?;
        for (set, socket) in sets.iter_mut().zip(opened) {
            set.add(spec.transport, socket).map_err(|source| BindError::new(*spec, source))?;
        }
    }
    Ok(sets)
}

/// Opens one address `count` times. A free port is looked for again if it was lost in between.
fn open(spec: ListenSpec, count: usize, settings: &Settings) -> io::Result<Vec<Socket>> {
    let tries = if spec.address.port() == 0 { FREE_PORT_TRIES } else { 1 };
    let mut result = open_once(spec, count, settings);
    for _ in 1..tries {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                result = open_once(spec, count, settings);
            }
            _ => break,
        }
    }
    result
}

fn open_once(spec: ListenSpec, count: usize, settings: &Settings) -> io::Result<Vec<Socket>> {
    let mut address = spec.address;
    if count > 1 {
        let alone = bound(spec.transport, address, false)?;
        address = real_address(&alone)?;
    }
    let sockets = (0..count)
        .map(|_| {
            let socket = bound(spec.transport, address, count > 1)?;
            address = real_address(&socket)?;
            Ok(socket)
        })
        .collect::<io::Result<Vec<_>>>()?;
    for socket in &sockets {
        match spec.transport {
            Transport::Udp => {
                enlarge_buffers(socket, settings.socket_buffer_bytes);
                if address.ip().is_unspecified() {
                    tell_destinations(socket, address)?;
                }
            }
            Transport::Tcp => socket.listen(BACKLOG)?,
        }
    }
    Ok(sockets)
}

fn bound(transport: Transport, address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if transport == Transport::Tcp {
        // Connections of an earlier run that are in TIME_WAIT must not keep us from starting.
        socket.set_reuse_address(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

pub(super) fn real_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Asks for large buffers; with CAP_NET_ADMIN beyond the system's limit. Less is no error.
fn enlarge_buffers(socket: &Socket, bytes: usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &bytes).is_err() {
        socket.set_recv_buffer_size(bytes).ok();
    }
    if setsockopt(socket, sockopt::SndBufForce, &bytes).is_err() {
        socket.set_send_buffer_size(bytes).ok();
    }
}

/// Has the kernel tell with each datagram which of our addresses it was sent to.
fn tell_destinations(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> ListenSpec {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_read_and_printed_alike() {
        for text in ["udp:127.0.0.1:5060", "tcp:[::1]:5060", "udp:0.0.0.0:5060", "udp:[::]:0"] {
            assert_eq!(spec(text).to_string(), text);
        }
        assert_eq!(spec("UDP:127.0.0.1:1"), spec("udp:127.0.0.1:1"));
    }

    #[test]
    fn a_wrong_address_is_told_what_is_allowed() {
        for (text, hint) in [
            ("sctp:127.0.0.1:5060", "`udp:` or `tcp:`"),
            ("127.0.0.1:5060", "`udp:` or `tcp:`"),
            ("udp", "`udp:` or `tcp:`"),
            ("udp:localhost:5060", "numeric address and a port"),
            ("udp:127.0.0.1", "numeric address and a port"),
            ("tcp:::1:5060", "numeric address and a port"),
            ("tcp:127.0.0.1:65536", "numeric address and a port"),
        ] {
            let error = text.parse::<ListenSpec>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn somebody_who_is_there_already_makes_the_start_fail_even_with_many_workers() {
        for transport in ["udp", "tcp"] {
            let free = spec(&format!("{transport}:127.0.0.1:0"));
            let first = bind(&[free], 2, &Settings::default()).unwrap();
            let taken = first[0].listeners()[0].1;
            for workers in [1, 2] {
                let again = [spec(&format!("{transport}:{taken}"))];
                let error = bind(&again, workers, &Settings::default()).map(|_| ()).unwrap_err();
                assert!(matches!(error, BindError::InUse(_)), "{error}");
                assert!(error.to_string().contains(&taken.to_string()), "{error}");
            }
        }
    }

    #[test]
    fn an_address_of_another_machine_is_named_with_the_remedy() {
        let specs = [spec("udp:192.0.2.1:5060")];
        let error = bind(&specs, 1, &Settings::default()).map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("udp:192.0.2.1:5060") && error.contains("no such address"),
            "{error}"
        );
    }

    #[test]
    fn an_address_listed_twice_is_refused() {
        let specs = [spec("udp:127.0.0.1:45060"), spec("udp:127.0.0.1:45060")];
        let error = bind(&specs, 2, &Settings::default()).map(|_| ()).unwrap_err();
        assert!(matches!(error, BindError::Twice(_)), "{error}");
    }

    #[test]
    fn all_workers_share_one_free_port() {
        let specs = [spec("udp:127.0.0.1:0"), spec("tcp:127.0.0.1:0")];
        let sets = bind(&specs, 3, &Settings::default()).unwrap();
        let listeners: Vec<_> = sets.iter().map(WorkerSockets::listeners).collect();
        assert_eq!(listeners[0].len(), 2);
        assert!(listeners.iter().all(|set| *set == listeners[0]));
        assert!(listeners[0].iter().all(|(_, address)| address.port() != 0));
    }
}
