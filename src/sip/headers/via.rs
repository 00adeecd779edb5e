//! Via: the way a request came and its response goes.

use super::params::Params;
use super::text::{
    Set, alphanumeric_and, is_all, is_blank, is_token, number, split_once, trim, trim_end,
    trim_start,
};
use std::net::{IpAddr, Ipv6Addr};

/// One Via value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, … as it came.
    pub transport: &'a [u8],
    /// The host of `sent-by` as it came; an IPv6 address has its brackets.
    pub host: &'a [u8],
    /// The port of `sent-by`.
    pub port: Option<u16>,
    /// The `branch` parameter.
    pub branch: Option<&'a [u8]>,
    /// `rport`: `Some(None)` = asked for, `Some(Some(port))` = filled in (RFC 3581).
    pub rport: Option<Option<u16>>,
    /// `received`: the source address a server saw.
    pub received: Option<&'a [u8]>,
    /// `maddr`.
    pub maddr: Option<&'a [u8]>,
    /// All parameters.
    pub params: Params<'a>,
    is_neat: bool,
}

impl<'a> Via<'a> {
    /// Reads one element of a Via list. The protocol's name and version are not judged (a
    /// request of another version is answered by way of its own Via), stray semicolons are
    /// passed over. `None` when no response could be sent by it.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (name, rest) = split_once(value, b'/')?;
        let (version, rest) = split_once(rest, b'/')?;
        if !is_token(trim(name)) || !is_token(trim(version)) {
            return None;
        }
        let rest = trim_start(rest);
        let end = rest.iter().position(|&byte| is_blank(byte))?;
        let (transport, rest) = rest.split_at(end);
        if !is_token(transport) {
            return None;
        }
        let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (sent_by, params) = rest.split_at(end);
        let (host, port) = host_port(trim(sent_by))?;
        let params = Params::new(params);
        let mut via = Via { transport, host, port, params, ..Via::default() };
        via.is_neat = params.check_each(|name, value| via.note(name, value));
        Some(via)
    }

    /// The address in `sent-by`, when it is numeric.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip(self.host)
    }

    /// The address in `received`, with or without brackets (RFC 5118 section 4.5).
    #[must_use]
    pub fn received_ip(&self) -> Option<IpAddr> {
        self.received.and_then(ip)
    }

    /// False when semicolons stand in it without a parameter, or a quote does not end.
    #[must_use]
    pub const fn is_neat(&self) -> bool {
        self.is_neat
    }

    /// Keeps the first value of a parameter that routing needs.
    fn note(&mut self, name: &[u8], value: Option<&'a [u8]>) {
        let value = value.filter(|value| !value.is_empty());
        match name.len() {
            6 if self.branch.is_none() && name.eq_ignore_ascii_case(b"branch") => {
                self.branch = value;
            }
            5 if self.rport.is_none() && name.eq_ignore_ascii_case(b"rport") => {
                self.rport = Some(value.and_then(port));
            }
            8 if self.received.is_none() && name.eq_ignore_ascii_case(b"received") => {
                self.received = value;
            }
            5 if self.maddr.is_none() && name.eq_ignore_ascii_case(b"maddr") => {
                self.maddr = value;
            }
            _ => {}
        }
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`, with white space around the colon.
#[must_use]
pub(crate) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let end = match text {
        [b'[', ..] => memchr::memchr(b']', text)? + 1,
        _ => memchr::memchr(b':', text).unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    let host = trim_end(host);
    if !is_host(host) {
        return None;
    }
    match trim_start(rest) {
        [] => Some((host, None)),
        [b':', digits @ ..] => Some((host, Some(port(trim(digits))?))),
        _ => None,
    }
}

/// Reads a numeric host, with or without the brackets of IPv6. `:::` is read as `::`, a known
/// slip of a grammar of old (RFC 5118 section 4.10).
#[must_use]
pub(crate) fn ip(host: &[u8]) -> Option<IpAddr> {
    let inner = match host {
        [b'[', inner @ .., b']'] => inner,
        plain => plain,
    };
    let text = std::str::from_utf8(inner).ok()?;
    if !inner.contains(&b':') {
        return if inner.len() == host.len() { text.parse().ok() } else { None };
    }
    let address = text.parse::<Ipv6Addr>();
    address.or_else(|_| text.replacen(":::", "::", 1).parse()).ok().map(IpAddr::V6)
}

/// A host name (underscores are met in practice), an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &[u8]) -> bool {
    if let [b'[', inner @ .., b']'] = host {
        return inner.contains(&b':')
            && inner.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    }
    !host.is_empty() && is_all(host, &HOST)
}

static HOST: Set = alphanumeric_and(b"-._");

fn port(digits: &[u8]) -> Option<u16> {
    u16::try_from(number(digits)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_and_the_first_of_two_counts() {
        let via = Via::parse(
            b"SIP/2.0/UDP h.example:5070;branch=z9hG4bK1;rport=;received=192.0.2.1;maddr=224.2.0.1;branch=2",
        )
        .unwrap();
        assert_eq!(
            (via.transport, via.host, via.port),
            (&b"UDP"[..], &b"h.example"[..], Some(5070))
        );
        assert_eq!((via.branch, via.rport), (Some(&b"z9hG4bK1"[..]), Some(None)));
        assert_eq!(via.received_ip(), "192.0.2.1".parse().ok());
        assert_eq!((via.maddr, via.ip()), (Some(&b"224.2.0.1"[..]), None));
        assert_eq!(Via::parse(b"SIP/2.0/UDP h;rport=5").unwrap().rport, Some(Some(5)));
    }

    #[test]
    fn a_via_no_answer_can_go_by_is_none() {
        for bad in [
            "",
            "SIP/2.0",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/ h",
            "//UDP h",
            "SIP/2.0/UDP ;x",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h:65536",
            "SIP/2.0/UDP h h",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP ::1",
            "SIP/2.0/UDP [h]",
            "SIP/2.0/UDP <h>",
        ] {
            assert_eq!(Via::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn brackets_belong_to_ipv6_only() {
        assert_eq!(ip(b"[::1]"), "::1".parse().ok());
        assert_eq!(ip(b"::1"), "::1".parse().ok());
        assert_eq!(ip(b"192.0.2.1"), "192.0.2.1".parse().ok());
        assert_eq!((ip(b"[192.0.2.1]"), ip(b"h"), ip(b"1.2.3")), (None, None, None));
    }
}
