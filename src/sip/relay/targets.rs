//! Targets: where one copy of a request goes, and what its Request-URI and Route say.

use crate::sip::headers::NameAddr;
use crate::sip::uri::Uri;
use crate::vocab::{Contact, NextHop, Reach};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// One place to pass a request on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The Request-URI, as loose routing has it.
    pub uri: Bytes,
    /// The Route values in order.
    pub routes: Vec<Arc<str>>,
    /// Where to send it.
    pub next_hop: NextHop,
    /// Preference in thousandths; equal ones are tried together.
    pub q: u16,
}

impl Target {
    /// A binding of one of our users: the flow or address he registered with, by way of the
    /// stored Path (RFC 3261 section 16.5, RFC 3327 section 5.4).
    #[must_use]
    pub fn contact(contact: &Contact) -> Self {
        Self {
            uri: request_uri(contact.uri.as_bytes()),
            routes: contact.route.iter().map(route).collect(),
            next_hop: contact.next_hop.clone(),
            q: contact.q,
        }
    }

    /// Somebody elsewhere: the first of `routes` decides, else `uri`. `None` when that is no
    /// address to which a request could be sent.
    #[must_use]
    pub fn onward(uri: &[u8], routes: Vec<Arc<str>>) -> Option<Self> {
        let next_hop = match routes.first() {
            Some(first) => Uri::parse(NameAddr::parse(first.as_bytes())?.uri)?.next_hop()?,
            None => Uri::parse(uri)?.next_hop()?,
        };
        Some(Self { uri: request_uri(uri), routes, next_hop, q: 1_000 })
    }

    /// The Request-URI and the Route values to send. When the first route is a strict router
    /// (no `lr`), it gets its own address as the Request-URI and finds the true one at the end of
    /// the Route (RFC 3261 section 16.6 step 6).
    #[must_use]
    pub fn on_the_wire(&self) -> (Bytes, Vec<Arc<str>>) {
        let strict =
            self.routes.first().and_then(|first| NameAddr::parse(first.as_bytes())).filter(
                |first| Uri::parse(first.uri).is_some_and(|uri| uri.params.get(b"lr").is_none()),
            );
        let Some(strict) = strict else {
            return (self.uri.clone(), self.routes.clone());
        };
        let uri = request_uri(strict.uri);
        let last = format!("<{}>", String::from_utf8_lossy(&self.uri)).into();
        let routes = self.routes.iter().skip(1).cloned().chain([last]);
        (uri, routes.collect())
    }
}

/// The bindings that a request goes to, one for each device: of several bindings of one instance
/// only the best is tried (RFC 5626 section 7). `for_messages` leaves out those that do not
/// understand MESSAGE.
#[must_use]
pub fn targets(reach: &Reach, for_messages: bool, unix_us: i64) -> Vec<Target> {
    let mut devices: Vec<&Arc<str>> = Vec::new();
    let mut targets = Vec::new();
    for contact in reach.contacts() {
        let is_usable = contact.takes_messages || !for_messages;
        if !is_usable || contact.expires_us <= unix_us {
            continue;
        }
        if let Some(instance) = &contact.instance {
            if devices.contains(&instance) {
                continue;
            }
            devices.push(instance);
        }
        targets.push(Target::contact(contact));
    }
    targets
}

/// Makes a Request-URI of a contact's URI: without `method` and headers, which have no place there
/// (RFC 3261 section 16.5 and table 1), and without bytes that would end it.
pub(crate) fn request_uri(uri: &[u8]) -> Bytes {
    match Uri::parse(uri) {
        Some(parsed) => without_method_and_headers(&parsed),
        None => escaped(uri),
    }
}

/// What cannot be parsed may hold what must not stand in a request line.
fn escaped(uri: &[u8]) -> Bytes {
    let mut safe = BytesMut::with_capacity(uri.len() + 16);
    for &byte in uri {
        if byte <= b' ' || matches!(byte, 0x7f | b'<' | b'>' | b'"') {
            safe.put_slice(format!("%{byte:02X}").as_bytes());
        } else {
            safe.put_u8(byte);
        }
    }
    safe.freeze()
}

fn without_method_and_headers(uri: &Uri<'_>) -> Bytes {
    let text = uri.as_bytes();
    // Behind the parameters there is nothing but `?` and the headers.
    let after = if uri.headers.is_empty() { 0 } else { uri.headers.len() + 1 };
    let text = text[..text.len() - after].strip_suffix(b"?").unwrap_or(&text[..text.len() - after]);
    if uri.params.get(b"method").is_none() {
        return Bytes::copy_from_slice(text);
    }
    let mut plain = BytesMut::from(&text[..text.len() - uri.params.as_bytes().len()]);
    for (name, value) in uri.params.raw().filter(|(n, _)| !n.eq_ignore_ascii_case(b"method")) {
        plain.put_u8(b';');
        plain.put_slice(name);
        if let Some(value) = value {
            plain.put_u8(b'=');
            plain.put_slice(value);
        }
    }
    plain.freeze()
}

/// A Path value as a Route value: in angle brackets, for its parameters are the URI's.
fn route(value: &Arc<str>) -> Arc<str> {
    if value.contains('<') { Arc::clone(value) } else { format!("<{value}>").into() }
}
