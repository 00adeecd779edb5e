//! URIs: their parts, their equality, and what they mean to us.

mod equal;
mod escape;

use crate::sip::headers::Params;
use crate::sip::headers::text::split_once;
use crate::sip::headers::via::{host_port, ip};
use crate::vocab::{Aor, NextHop, Path, Transport};
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The kinds of URI the server knows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`.
    Sip,
    /// `sips:`: the same user, reached over TLS only.
    Sips,
    /// `tel:` (RFC 3966).
    Tel,
    /// `im:` (RFC 3860).
    Im,
    /// Anything else; it is carried and never understood.
    Other,
}

/// A URI, split into its parts. Nothing is unescaped.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// What kind it is.
    pub scheme: Scheme,
    /// The user without a password; the number of a `tel:`.
    pub user: Option<&'a [u8]>,
    /// The password, which nobody should send.
    pub password: Option<&'a [u8]>,
    /// The host, an IPv6 address with its brackets; empty for `tel:` and unknown schemes.
    pub host: &'a [u8],
    /// The port.
    pub port: Option<u16>,
    /// The URI parameters.
    pub params: Params<'a>,
    /// What follows the `?`: header fields for a request made from this URI.
    pub headers: &'a [u8],
    /// All of it.
    text: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Splits a URI. `None` when it breaks the grammar of its scheme: an empty user or host, two
    /// `@`, a port above 65,535, a `%` without two hexadecimal digits, white space, quotes or
    /// angle brackets.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let colon = memchr::memchr(b':', text)?;
        let scheme = scheme(&text[..colon])?;
        if !escape::is_clean(text) {
            return None;
        }
        let rest = &text[colon + 1..];
        let whole = Uri {
            scheme,
            user: None,
            password: None,
            host: b"",
            port: None,
            params: Params::default(),
            headers: b"",
            text,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips | Scheme::Im => whole.sip(rest),
            Scheme::Tel => whole.tel(rest),
            Scheme::Other => (!rest.is_empty()).then_some(whole),
        }
    }

    fn sip(mut self, rest: &'a [u8]) -> Option<Self> {
        let rest = match split_once(rest, b'@') {
            None => rest,
            Some((userinfo, rest)) => {
                let (user, password) = match split_once(userinfo, b':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                if user.is_empty() {
                    return None;
                }
                (self.user, self.password) = (Some(user), password);
                rest
            }
        };
        if memchr::memchr(b'@', rest).is_some() {
            return None;
        }
        let (rest, headers) = split_once(rest, b'?').unwrap_or((rest, b""));
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (sent_to, params) = rest.split_at(end);
        if params.contains(&b'"') {
            return None;
        }
        (self.host, self.port) = host_port(sent_to)?;
        (self.params, self.headers) = (Params::new(params), headers);
        Some(self)
    }

    fn tel(mut self, rest: &'a [u8]) -> Option<Self> {
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (number, params) = rest.split_at(end);
        let is_dialled = |byte: &u8| {
            byte.is_ascii_hexdigit()
                || matches!(byte, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#')
        };
        if number.is_empty() || !number.iter().all(is_dialled) {
            return None;
        }
        (self.user, self.params) = (Some(number), Params::new(params));
        Some(self)
    }

    /// The URI as it came.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// RFC 3261 section 19.1.4, for a binding, a route or a loop; see `uri/equal.rs` for the rules.
    #[must_use]
    pub fn equals(&self, other: &Uri<'_>) -> bool {
        equal::equals(self, other)
    }

    /// The mailbox this URI names (RFC 3261 section 10.3 step 5): parameters and port go, the host
    /// is in lower case, and in the user escapes are decoded where the character may stand there
    /// unescaped; all others are kept as `%XX` in upper case, so that `%40` is never taken for
    /// the `@` and `%00` never ends a string. `None` unless the scheme is sip, sips or im.
    #[must_use]
    pub fn aor(&self) -> Option<Aor> {
        if !matches!(self.scheme, Scheme::Sip | Scheme::Sips | Scheme::Im) {
            return None;
        }
        let mut user = SmallVec::<[u8; 128]>::new();
        escape::canonical(self.user.unwrap_or_default(), &mut user);
        let host = canonical_host(self.host);
        // Both are ASCII by construction.
        Some(Aor::from_parts(std::str::from_utf8(&user).ok()?, std::str::from_utf8(&host).ok()?))
    }

    /// Where a request to this URI goes (RFC 3263 section 4): to `maddr`, else to the host, by
    /// `transport` or, for an address in numbers, by UDP. The local end of a path is not chosen
    /// yet: it is the unspecified address. `None` when we have no way to go there: another scheme
    /// than sip and im, or a transport we do not speak.
    #[must_use]
    pub fn next_hop(&self) -> Option<NextHop> {
        if !matches!(self.scheme, Scheme::Sip | Scheme::Im) {
            return None;
        }
        let transport = match self.params.get(b"transport") {
            None => None,
            Some(name) => Some(Transport::parse(name?)?),
        };
        let host = self.params.value(b"maddr").unwrap_or(self.host);
        if let Some(ip) = ip(host) {
            let transport = transport.unwrap_or(Transport::Udp);
            let port = self.port.unwrap_or(transport.default_port());
            return Some(NextHop::Path(Path {
                transport,
                local: unspecified(ip),
                remote: SocketAddr::new(ip, port),
                flow: None,
            }));
        }
        let (host, None) = host_port(host)? else { return None };
        let host = std::str::from_utf8(host).ok()?.to_ascii_lowercase().into();
        Some(NextHop::Name { transport, host, port: self.port })
    }
}

fn unspecified(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// The host in lower case; an IPv6 address in its one shortest spelling (RFC 5952).
fn canonical_host(host: &[u8]) -> SmallVec<[u8; 64]> {
    if let (Some(b'['), Some(IpAddr::V6(address))) = (host.first(), ip(host)) {
        return format!("[{address}]").into_bytes().into();
    }
    host.iter().map(u8::to_ascii_lowercase).collect()
}

fn scheme(text: &[u8]) -> Option<Scheme> {
    let is = |name: &[u8]| text.eq_ignore_ascii_case(name);
    if is(b"sip") {
        return Some(Scheme::Sip);
    }
    if is(b"sips") {
        return Some(Scheme::Sips);
    }
    if is(b"tel") {
        return Some(Scheme::Tel);
    }
    if is(b"im") {
        return Some(Scheme::Im);
    }
    let (first, rest) = text.split_first()?;
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (first.is_ascii_alphabetic() && rest.iter().all(is_scheme)).then_some(Scheme::Other)
}

#[cfg(test)]
mod tests;
