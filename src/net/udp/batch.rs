//! Many datagrams a system call.

use crate::vocab::limits::{DATAGRAM_BATCH, MESSAGE_BYTES_MAX};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6,
    SockaddrLike, recvmmsg, sendmmsg,
};
use smallvec::SmallVec;
use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// What the two address families do differently.
pub(super) trait Family: SockaddrLike + Copy + Into<SocketAddr> {
    /// The structure that carries our end of a datagram.
    type Info;

    /// The address as the system wants it; `None` for one of the other family.
    fn of(address: SocketAddr) -> Option<Self>;
    /// Our end of a received datagram.
    fn destination(control: &ControlMessageOwned) -> Option<IpAddr>;
    /// Asks for `source` as our end of sent datagrams; unspecified leaves it to the route.
    fn source(source: IpAddr) -> Self::Info;
    /// The same, as a control message.
    fn control(info: &Self::Info) -> ControlMessage<'_>;
    /// Room for one such control message.
    fn room() -> Vec<u8>;
}

impl Family for SockaddrIn {
    type Info = libc::in_pktinfo;

    fn of(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V4(v4) => Some(v4.into()),
            SocketAddr::V6(_) => None,
        }
    }

    fn destination(control: &ControlMessageOwned) -> Option<IpAddr> {
        match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
            }
            _ => None,
        }
    }

    fn source(source: IpAddr) -> Self::Info {
        let octets = match source {
            IpAddr::V4(v4) => v4.octets(),
            IpAddr::V6(_) => [0; 4],
        };
        libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(octets) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        }
    }

    fn control(info: &Self::Info) -> ControlMessage<'_> {
        ControlMessage::Ipv4PacketInfo(info)
    }

    fn room() -> Vec<u8> {
        cmsg_space!(libc::in_pktinfo)
    }
}

impl Family for SockaddrIn6 {
    type Info = libc::in6_pktinfo;

    fn of(address: SocketAddr) -> Option<Self> {
        match address {
            SocketAddr::V6(v6) => Some(v6.into()),
            SocketAddr::V4(_) => None,
        }
    }

    fn destination(control: &ControlMessageOwned) -> Option<IpAddr> {
        match control {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
            }
            _ => None,
        }
    }

    fn source(source: IpAddr) -> Self::Info {
        let s6_addr = match source {
            IpAddr::V6(v6) => v6.octets(),
            IpAddr::V4(_) => [0; 16],
        };
        libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr }, ipi6_ifindex: 0 }
    }

    fn control(info: &Self::Info) -> ControlMessage<'_> {
        ControlMessage::Ipv6PacketInfo(info)
    }

    fn room() -> Vec<u8> {
        cmsg_space!(libc::in6_pktinfo)
    }
}

/// A datagram as it lies in the receive buffers.
pub(super) struct Received<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) remote: SocketAddr,
    /// Our end, where the socket was asked to tell.
    pub(super) local: Option<IpAddr>,
}

/// A datagram to send.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) remote: SocketAddr,
}

/// The buffers and headers of one socket; reused by every call.
///
/// The receive buffers are 64 times the largest datagram, but only pages that a datagram reached
/// are ever real memory.
pub(super) struct Batch<F: Family> {
    tells_destination: bool,
    buffers: Vec<u8>,
    incoming: MultiHeaders<F>,
    outgoing: MultiHeaders<F>,
}

impl<F: Family> Batch<F> {
    pub(super) fn new(tells_destination: bool) -> Self {
        Self {
            tells_destination,
            buffers: vec![0; MESSAGE_BYTES_MAX * DATAGRAM_BATCH],
            incoming: headers(tells_destination),
            outgoing: headers(tells_destination),
        }
    }

    /// Takes in what waits, up to a batch, and shows it to `look`; says how many datagrams it was.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        look: impl FnOnce(&[Received<'_>]),
    ) -> Result<usize, Errno> {
        let mut buffers = self.buffers.chunks_mut(MESSAGE_BYTES_MAX);
        let mut slices: [[IoSliceMut<'_>; 1]; DATAGRAM_BATCH] =
            array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let mut control_lost = false;
        let count = {
            let mut received: SmallVec<[Received<'_>; DATAGRAM_BATCH]> = SmallVec::new();
            for message in recvmmsg(fd, &mut self.incoming, slices.iter_mut(), flags, None)? {
                let mut local = None;
                if self.tells_destination {
                    if let Ok(mut controls) = message.cmsgs() {
                        local = controls.find_map(|control| F::destination(&control));
                    }
                    control_lost |= local.is_none();
                }
                let bytes = message.iovs().next().unwrap_or_default();
                if let Some(remote) = message.address {
                    received.push(Received { bytes, remote: remote.into(), local });
                }
            }
            look(&received);
            received.len()
        };
        if control_lost {
            // The kernel wrote a shorter control length into a header, and nix leaves it there.
            self.incoming = headers(true);
        }
        Ok(count)
    }

    /// Sends the first of `datagrams`, up to a batch, from `source`; says how many went.
    pub(super) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        source: IpAddr,
        datagrams: impl Iterator<Item = Sent<'a>>,
    ) -> Result<usize, Errno> {
        let mut slices: SmallVec<[[IoSlice<'_>; 1]; DATAGRAM_BATCH]> = SmallVec::new();
        let mut addresses: SmallVec<[Option<F>; DATAGRAM_BATCH]> = SmallVec::new();
        for datagram in datagrams.take(DATAGRAM_BATCH) {
            slices.push([IoSlice::new(datagram.bytes)]);
            addresses.push(F::of(datagram.remote));
        }
        let info = F::source(source);
        let control = [F::control(&info)];
        let controls = if self.tells_destination { &control[..] } else { &[] };
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let results =
            sendmmsg(fd, &mut self.outgoing, slices.iter(), addresses.as_slice(), controls, flags)?;
        Ok(results.count())
    }
}

fn headers<F: Family>(tells_destination: bool) -> MultiHeaders<F> {
    MultiHeaders::preallocate(DATAGRAM_BATCH, tells_destination.then(F::room))
}
