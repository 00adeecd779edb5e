//! Which of our addresses a peer is reached from.

use crate::vocab::Transport;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::time::Instant;

/// How many answers of the kernel are remembered; then all are forgotten.
const ROUTES_MAX: usize = 4_096;
/// How long an answer is believed: routes and addresses change under a running process.
const ROUTE_AGE_MAX: Duration = Duration::from_secs(30);

/// Chooses among the listening addresses by the route to the peer.
#[derive(Debug)]
pub(super) struct Routes {
    listeners: Vec<(Transport, SocketAddr)>,
    known: RefCell<HashMap<IpAddr, (IpAddr, Instant)>>,
}

impl Routes {
    pub(super) fn new(listeners: Vec<(Transport, SocketAddr)>) -> Self {
        Self { listeners, known: RefCell::default() }
    }

    pub(super) fn listeners(&self) -> &[(Transport, SocketAddr)] {
        &self.listeners
    }

    /// The listening address of `transport` to name to `remote`: the only specific one of its
    /// family, else the one the route to `remote` leaves from, else the first.
    pub(super) fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let mut fit = self.listeners.iter().filter_map(|(of, address)| {
            (*of == transport && address.is_ipv4() == remote.is_ipv4()).then_some(*address)
        });
        let first = fit.next()?;
        let others: Vec<SocketAddr> = fit.collect();
        if others.is_empty() && !first.ip().is_unspecified() {
            return Some(first);
        }
        let Some(source) = self.source_towards(remote) else {
            return Some(first).filter(|address| !address.ip().is_unspecified());
        };
        let all = || std::iter::once(first).chain(others.iter().copied());
        let exact = all().find(|address| address.ip() == source);
        let wildcard = || all().find(|address| address.ip().is_unspecified());
        exact
            .or_else(|| wildcard().map(|address| SocketAddr::new(source, address.port())))
            .or(Some(first))
    }

    /// The source address the kernel would use. Connecting a UDP socket asks it; nothing is sent.
    fn source_towards(&self, remote: SocketAddr) -> Option<IpAddr> {
        let now = Instant::now();
        let mut known = self.known.borrow_mut();
        if let Some((source, asked)) = known.get(&remote.ip())
            && now.duration_since(*asked) < ROUTE_AGE_MAX
        {
            return Some(*source);
        }
        let source = ask_kernel(remote)?;
        if known.len() >= ROUTES_MAX {
            known.clear();
        }
        known.insert(remote.ip(), (source, now));
        Some(source)
    }
}

fn ask_kernel(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    let source = socket.local_addr().ok()?.ip();
    (!source.is_unspecified()).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(listeners: &[(Transport, &str)]) -> Routes {
        Routes::new(listeners.iter().map(|(t, a)| (*t, a.parse().unwrap())).collect())
    }

    fn local(routes: &Routes, transport: Transport, remote: &str) -> Option<String> {
        routes.local_for(transport, remote.parse().unwrap()).map(|local| local.to_string())
    }

    #[test]
    fn the_only_listener_of_the_family_is_named() {
        let routes = routes(&[
            (Transport::Udp, "192.0.2.7:5060"),
            (Transport::Tcp, "192.0.2.8:5070"),
            (Transport::Udp, "[2001:db8::1]:5060"),
        ]);
        let remote = "198.51.100.1:5060";
        assert_eq!(local(&routes, Transport::Udp, remote).unwrap(), "192.0.2.7:5060");
        assert_eq!(local(&routes, Transport::Tcp, remote).unwrap(), "192.0.2.8:5070");
        assert_eq!(
            local(&routes, Transport::Udp, "[2001:db8::9]:5060").unwrap(),
            "[2001:db8::1]:5060"
        );
        assert_eq!(local(&routes, Transport::Tcp, "[2001:db8::9]:5060"), None);
    }

    #[test]
    fn a_listener_on_every_address_names_the_one_the_route_leaves_from() {
        let routes = routes(&[(Transport::Udp, "0.0.0.0:5062")]);
        assert_eq!(local(&routes, Transport::Udp, "127.0.0.9:5060").unwrap(), "127.0.0.1:5062");
        assert_eq!(local(&routes, Transport::Udp, "127.0.0.9:5060").unwrap(), "127.0.0.1:5062");
    }

    #[test]
    fn of_several_listeners_the_one_on_the_route_is_named() {
        let routes =
            routes(&[(Transport::Udp, "192.0.2.7:5060"), (Transport::Udp, "127.0.0.1:5061")]);
        assert_eq!(local(&routes, Transport::Udp, "127.0.0.2:5060").unwrap(), "127.0.0.1:5061");
    }
}
