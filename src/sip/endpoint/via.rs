//! The Via header as a way: where a response goes, and how our own requests are recognised.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use crate::sip::codec::Message;
use crate::sip::transaction::key::{Hex, after_cookie};
use crate::sip::transaction::server::ReplyPath;
use crate::vocab::{Path, Transport};

/// Where the responses to a request go (RFC 3261 section 18.2.2, RFC 3581 section 4), or `None`
/// when they may not go anywhere.
///
/// The address is always the one the request came from: `received` is what we saw ourselves, and
/// `maddr` is not followed, so that nobody can have us send to a third party. By UDP the port is
/// the source's if `rport` asks for it, else that of `sent-by`; the socket is the one the request
/// came to. By TCP it is the connection, and when that is gone, a new one to the port of `sent-by`.
///
/// A `sent-by` that is a broadcast or multicast address, or a source that cannot be one host's
/// (section 18.4, 26.1.5), gets nothing.
pub(super) fn reply_path(request: &Message, path: Path) -> Option<ReplyPath> {
    let via = request.top_via();
    if via.ip().is_some_and(is_crowd) {
        return None;
    }
    let port = via.port.unwrap_or(path.transport.default_port());
    let mut fallback = path.remote;
    fallback.set_port(port);
    let remote = match path.transport {
        Transport::Udp if via.rport.is_none() => fallback,
        Transport::Udp | Transport::Tcp => path.remote,
    };
    let ip = remote.ip();
    if is_crowd(ip) || ip.to_canonical().is_unspecified() || remote.port() == 0 {
        return None;
    }
    Some(ReplyPath { path: Path { remote, ..path }, fallback })
}

/// More hosts than one.
fn is_crowd(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_broadcast() || ip.is_multicast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

/// Writes our own Via value for a request that leaves by `path`.
pub(super) fn write(text: &mut String, path: &Path, worker: u16, serial: u64) {
    text.clear();
    let rport = match path.transport {
        Transport::Udp => ";rport",
        Transport::Tcp => "",
    };
    let written = write!(
        text,
        "SIP/2.0/{} {}{rport};branch=z9hG4bK{worker:x}.{}",
        path.transport.in_via(),
        SentBy(path.local),
        Hex::of(serial)
    );
    written.expect("writing to a String does not fail");
}

/// The worker and the number in a branch of ours.
pub(super) fn read_branch(branch: &[u8]) -> Option<(u16, u64)> {
    let (worker, serial) = std::str::from_utf8(after_cookie(branch)?).ok()?.split_once('.')?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if serial.len() != 16 || !is_hex(serial) || !is_hex(worker) {
        return None;
    }
    Some((u16::from_str_radix(worker, 16).ok()?, u64::from_str_radix(serial, 16).ok()?))
}

/// True when the top Via of a response has the `sent-by` that we wrote (section 18.1.2).
pub(super) fn is_sent_by(response: &Message, local: SocketAddr, transport: Transport) -> bool {
    let via = response.top_via();
    let port = via.port.unwrap_or(transport.default_port());
    port == local.port() && via.ip().map(|ip| ip.to_canonical()) == Some(local.ip().to_canonical())
}

/// An address as host and port of a Via: an IPv6 zone is of no use to the peer, and an IPv4
/// address of a socket for both families is an IPv4 address.
struct SentBy(SocketAddr);

impl fmt::Display for SentBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.ip().to_canonical() {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.0.port()),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.0.port()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(transport: Transport, local: &str) -> String {
        let remote = "198.51.100.7:5060".parse().unwrap();
        let path = Path { transport, local: local.parse().unwrap(), remote, flow: None };
        let mut text = String::from("left over");
        write(&mut text, &path, 0x1f, 0xabc);
        text
    }

    #[test]
    fn our_via_names_the_transport_the_socket_and_the_worker() {
        assert_eq!(
            written(Transport::Udp, "192.0.2.1:5060"),
            "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1f.0000000000000abc"
        );
        assert_eq!(
            written(Transport::Tcp, "[2001:db8::1]:5070"),
            "SIP/2.0/TCP [2001:db8::1]:5070;branch=z9hG4bK1f.0000000000000abc"
        );
        assert!(written(Transport::Udp, "[::ffff:192.0.2.1]:5060").contains("UDP 192.0.2.1:5060;"));
    }

    #[test]
    fn our_branch_is_read_back_in_any_case() {
        let expected = Some((0x1f, 0xabc));
        assert_eq!(read_branch(b"z9hG4bK1f.0000000000000abc"), expected);
        assert_eq!(read_branch(b"Z9HG4BK1F.0000000000000ABC"), expected);
    }

    #[test]
    fn branches_of_others_are_not_ours() {
        for other in [
            "z9hG4bK",
            "z9hG4bK1f",
            "z9hG4bK.0000000000000abc",
            "z9hG4bK1f.abc",
            "z9hG4bK1ffff.0000000000000abc",
            "z9hG4bK1f.+000000000000abc",
            "z9hG4bK+f.0000000000000abc",
            "1f.0000000000000abc",
        ] {
            assert_eq!(read_branch(other.as_bytes()), None, "{other}");
        }
    }
}
