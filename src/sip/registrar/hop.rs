//! Where to send what is meant for a binding.

use super::settings::Nat;
use crate::vocab::{NextHop, Path, Transport};
use std::net::IpAddr;

/// Where the first `Path` value of a REGISTER leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// There is none.
    None,
    /// Nowhere this node can go: a scheme or a transport it does not speak.
    Unusable,
    /// There.
    To(NextHop),
}

/// The next hop of a contact that registered over `path`; `contact` is where its URI leads.
///
/// 1. The first `Path` value (RFC 3327 section 5.4).
/// 2. The connection that registered (RFC 5626 section 7).
/// 3. Over UDP the contact's own address, or the source of the packet when the contact cannot be
///    true (see [`Nat`]).
///
/// `None` when the contact names a transport or a scheme this node does not speak.
pub(super) fn next_hop(
    contact: Option<NextHop>,
    route: &Route,
    path: &Path,
    nat: Nat,
) -> Option<NextHop> {
    match (route, path.transport) {
        (Route::To(hop), _) => Some(leave_from(hop.clone(), path)),
        // Whoever sent the packet put it there, or knows who did: answer there.
        (Route::Unusable, _) | (Route::None, Transport::Tcp) => Some(NextHop::Path(*path)),
        (Route::None, Transport::Udp) => over_udp(contact, path, nat),
    }
}

/// Sends to `hop` from the local address of `path`, where that can be.
fn leave_from(hop: NextHop, path: &Path) -> NextHop {
    match hop {
        NextHop::Path(to)
            if to.transport == Transport::Udp
                && path.transport == Transport::Udp
                && to.remote.is_ipv4() == path.local.is_ipv4() =>
        {
            NextHop::Path(Path { local: path.local, ..to })
        }
        NextHop::Path(_) | NextHop::Name { .. } => hop,
    }
}

fn over_udp(contact: Option<NextHop>, path: &Path, nat: Nat) -> Option<NextHop> {
    let source = NextHop::Path(*path);
    match (nat, contact) {
        (Nat::Always, _) => Some(source),
        (Nat::Auto, Some(NextHop::Path(to))) if is_behind(to.remote.ip(), path.remote.ip()) => {
            Some(source)
        }
        (Nat::Auto, Some(NextHop::Name { host, .. })) if host.ends_with(".invalid") => Some(source),
        (Nat::Off | Nat::Auto, contact) => contact.map(|hop| leave_from(hop, path)),
    }
}

/// True when `named` is an address nobody outside its own network can reach, and the packet did
/// not come from it.
fn is_behind(named: IpAddr, source: IpAddr) -> bool {
    let (named, source) = (named.to_canonical(), source.to_canonical());
    named != source && is_private(named)
}

/// Private (RFC 1918, RFC 4193), carrier NAT (RFC 6598), link-local, loopback and unspecified.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(v6) => {
            v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_loopback()
                || v6.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_stay_at_home_are_known() {
        let home = ["10.1.2.3", "172.31.0.1", "192.168.1.9", "100.64.0.1", "169.254.3.4"];
        let also = ["127.0.0.1", "0.0.0.0", "fd00::1", "fe80::1", "::1", "::"];
        for ip in home.iter().chain(&also) {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["192.0.2.1", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn a_private_contact_that_sent_the_packet_itself_is_true() {
        let ip = |text: &str| text.parse().unwrap();
        assert!(!is_behind(ip("192.168.1.9"), ip("192.168.1.9")));
        assert!(!is_behind(ip("192.168.1.9"), ip("::ffff:192.168.1.9")));
        assert!(is_behind(ip("192.168.1.9"), ip("192.168.1.1")));
        assert!(!is_behind(ip("192.0.2.7"), ip("198.51.100.1")));
    }
}
