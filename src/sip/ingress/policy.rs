//! What this server is, whom it trusts, and which of two permitted answers it gives.

use crate::vocab::Aor;
use ahash::AHashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The option tags that this server understands in `Require`.
pub const SUPPORTED: [&str; 1] = ["path"];

/// The methods that this server itself answers, as `Allow` shows them.
pub const ALLOWED: &str = "MESSAGE, REGISTER, OPTIONS, CANCEL, ACK";

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNet {
    base: u128,
    mask: u128,
}

/// The place of an address in one 128-bit space; IPv4 lies where its mapped form is (RFC 4291
/// section 2.5.5.2), so that a dual-stack socket's `::ffff:10.0.0.1` is `10.0.0.1`.
const fn place(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl IpNet {
    /// The addresses whose first `prefix` bits are those of `address`; a prefix longer than the
    /// address means that address alone.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Self {
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let free = bits.saturating_sub(u32::from(prefix));
        // 128 free bits are no shift that exists.
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Self { base: place(address) & mask, mask }
    }

    /// True when `address` lies in the range.
    #[must_use]
    pub const fn contains(&self, address: IpAddr) -> bool {
        place(address) & self.mask == self.base
    }
}

/// A set of domains: names, or addresses in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains(AHashSet<Box<[u8]>>);

impl Domains {
    /// Case does not matter; an IPv6 address may be written with or without brackets.
    #[must_use]
    pub fn new<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let hosts = hosts.into_iter();
        Self(hosts.map(|host| canonical(host.as_bytes()).into_boxed_slice()).collect())
    }

    /// True when `host`, as it stands in a URI, is one of them.
    #[must_use]
    pub fn contains(&self, host: &[u8]) -> bool {
        let is_canonical = |byte: &u8| !byte.is_ascii_uppercase() && *byte != b'[';
        if host.iter().all(is_canonical) {
            self.0.contains(host)
        } else {
            self.0.contains(canonical(host).as_slice())
        }
    }
}

/// What an INVITE for one of our users gets. (For the server itself it is always 405.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InviteAnswer {
    /// 405 with `Allow`: this server knows no calls.
    #[default]
    NotAllowed,
    /// 480: the caller may try again, or another way.
    Unavailable,
}

/// What a request other than MESSAGE gets when its user is offline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfflineAnswer {
    /// 404, as in msilo's sample configuration.
    #[default]
    NotFound,
    /// 480.
    Unavailable,
}

/// What a typing notice for a user who is offline gets; it is not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiscardAnswer {
    /// 202.
    #[default]
    Accepted,
    /// 200.
    Ok,
}

/// The rules of [`super::classify`], [`crate::sip::relay`] and [`crate::sip::egress`].
#[derive(Clone, Debug)]
pub struct Policy {
    /// The domains whose users this server keeps messages for.
    pub domains: Domains,
    /// The only users who have mailboxes and may register; empty = all users of our domains.
    pub users: AHashSet<Aor>,
    /// The addresses that this server listens on; a URI with one of them, port included, names
    /// this server. So does the address that a request came to, which an unspecified listening
    /// address does not tell.
    pub listeners: Vec<SocketAddr>,
    /// Peers that may send to foreign domains and whose `P-Asserted-Identity` is believed.
    pub trusted: Vec<IpNet>,
    /// The answer to an INVITE for one of our users.
    pub invite: InviteAnswer,
    /// The answer to other requests for a user who is offline.
    pub offline_other: OfflineAnswer,
    /// The answer to a typing notice for a user who is offline.
    pub discarded: DiscardAnswer,
    /// How long a message lives without `Expires`, and at most (msilo's `expire_time`).
    pub expire_time: Duration,
    /// The longest body that is accepted, in bytes.
    pub body_bytes_max: usize,
    /// True to accept a MESSAGE without a body (msilo refuses it).
    pub empty_body: bool,
    /// How long the contacts of one `q` have before those of the next are tried too.
    pub relay_group_window: Duration,
    /// How long all contacts together have; then nobody answered. Far below Timer F (32 s), so
    /// that the sender still waits for the answer (RFC 4320 section 1).
    pub relay_window: Duration,
    /// `Retry-After` of a 503 that is a real outage.
    pub outage_retry_after: Duration,
    /// The name of this server in `Warning`, and behind the `@` of its Call-IDs.
    pub host: String,
    /// Makes the loop marks of this server its own; any value, different on each server.
    pub loop_key: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            domains: Domains::default(),
            users: AHashSet::new(),
            listeners: Vec::new(),
            trusted: Vec::new(),
            invite: InviteAnswer::default(),
            offline_other: OfflineAnswer::default(),
            discarded: DiscardAnswer::default(),
            expire_time: Duration::from_secs(259_200),
            body_bytes_max: 60_000,
            empty_body: true,
            relay_group_window: Duration::from_millis(2_500),
            relay_window: Duration::from_secs(5),
            outage_retry_after: Duration::from_secs(10),
            host: "sipsilo".to_owned(),
            loop_key: 0,
        }
    }
}

impl Policy {
    /// True when `peer` may send anywhere and may assert identities.
    #[must_use]
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(peer))
    }

    /// True when `aor`, an address in one of our domains, is somebody's.
    #[must_use]
    pub fn has_user(&self, aor: &Aor) -> bool {
        !aor.user().is_empty() && (self.users.is_empty() || self.users.contains(aor))
    }

    /// True when `host`, with `port` if the URI has one, is a domain of ours or an address that
    /// we listen on; `arrived` is the local address that the request came to.
    ///
    /// A configured domain is ours whatever the port: canonical addresses have none. A bare
    /// listening address is ours only with its own port: behind another port of the same machine
    /// lives another program.
    #[must_use]
    pub fn is_ours(&self, host: &[u8], port: Option<u16>, arrived: SocketAddr) -> bool {
        self.domains.contains(host) || self.is_listener(host, port, arrived)
    }

    /// True when a `Route` to `host` and `port` leads to this very server. Stricter than
    /// [`Policy::is_ours`]: an explicit port must be one of ours, for a proxy on the same
    /// machine may carry the same name.
    #[must_use]
    pub fn is_this_server(&self, host: &[u8], port: Option<u16>, arrived: SocketAddr) -> bool {
        let is_our_port = port.is_none_or(|port| self.listeners.iter().any(|l| l.port() == port));
        (self.domains.contains(host) && is_our_port) || self.is_listener(host, port, arrived)
    }

    fn is_listener(&self, host: &[u8], port: Option<u16>, arrived: SocketAddr) -> bool {
        let Some(address) = address(host) else { return false };
        let port = port.unwrap_or(5060);
        let mut ours = self.listeners.iter().chain([&arrived]);
        ours.any(|l| l.port() == port && place(l.ip()) == place(address))
    }
}

/// A host without the brackets of an IPv6 reference.
fn bare(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(host)
}

/// A host in lower case; an IPv6 address in its shortest spelling, without brackets.
fn canonical(host: &[u8]) -> Vec<u8> {
    match address(host) {
        Some(IpAddr::V6(address)) => address.to_string().into_bytes(),
        Some(IpAddr::V4(_)) | None => host.to_ascii_lowercase(),
    }
}

fn address(host: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(bare(host)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ARRIVED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5066);

    fn net(text: &str) -> IpNet {
        let (address, prefix) = text.split_once('/').unwrap_or((text, "128"));
        IpNet::new(ip(address), prefix.parse().unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        assert!(net("10.0.0.0/8").contains(ip("10.255.1.2")));
        assert!(!net("10.0.0.0/8").contains(ip("11.0.0.0")));
        assert!(net("192.0.2.7").contains(ip("192.0.2.7")));
        assert!(!net("192.0.2.7").contains(ip("192.0.2.8")));
        assert!(net("2001:db8::/32").contains(ip("2001:db8:1::1")));
        assert!(!net("2001:db8::/32").contains(ip("2001:db9::1")));
        assert!(net("0.0.0.0/0").contains(ip("8.8.8.8")));
        assert!(!net("0.0.0.0/0").contains(ip("2001:db8::1")));
        assert!(net("::/0").contains(ip("2001:db8::1")));
    }

    #[test]
    fn an_ipv4_peer_of_a_dual_stack_socket_is_the_same_peer() {
        assert!(net("10.0.0.0/8").contains(ip("::ffff:10.1.2.3")));
    }

    #[test]
    fn a_domain_is_ours_in_any_case_and_with_any_port() {
        let policy =
            Policy { domains: Domains::new(["Example.COM", "[2001:db8::1]"]), ..Policy::default() };
        assert!(policy.is_ours(b"example.com", None, ARRIVED));
        assert!(policy.is_ours(b"EXAMPLE.com", Some(5080), ARRIVED));
        assert!(policy.is_ours(b"[2001:DB8::1]", None, ARRIVED));
        assert!(!policy.is_ours(b"example.org", None, ARRIVED));
        assert!(!policy.is_ours(b"sub.example.com", None, ARRIVED));
    }

    #[test]
    fn a_listening_address_is_ours_with_its_own_port_only() {
        let listeners = vec!["127.0.0.1:5060".parse().unwrap(), "[::1]:5070".parse().unwrap()];
        let policy = Policy { listeners, ..Policy::default() };
        assert!(policy.is_ours(b"127.0.0.1", None, ARRIVED));
        assert!(policy.is_ours(b"127.0.0.1", Some(5060), ARRIVED));
        assert!(!policy.is_ours(b"127.0.0.1", Some(5070), ARRIVED));
        assert!(policy.is_ours(b"[::1]", Some(5070), ARRIVED));
        assert!(!policy.is_ours(b"[::1]", None, ARRIVED));
        assert!(policy.is_ours(b"192.0.2.1", Some(5066), ARRIVED));
    }

    #[test]
    fn a_route_with_our_name_and_a_foreign_port_leads_elsewhere() {
        let listeners = vec!["127.0.0.1:5060".parse().unwrap()];
        let policy =
            Policy { listeners, domains: Domains::new(["localhost"]), ..Policy::default() };
        assert!(policy.is_this_server(b"localhost", None, ARRIVED));
        assert!(policy.is_this_server(b"localhost", Some(5060), ARRIVED));
        assert!(!policy.is_this_server(b"localhost", Some(5061), ARRIVED));
    }
}
