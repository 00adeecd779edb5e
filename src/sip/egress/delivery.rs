//! The MESSAGE by which a stored message goes to a contact.

use super::date;
use crate::sip::build::Outgoing;
use crate::sip::codec::Name;
use crate::sip::headers::{NameAddr, text};
use crate::sip::ingress::Policy;
use crate::sip::ingress::kept::is_kept;
use crate::sip::relay::Target;
use crate::vocab::{Contact, Message, NextHop};
use bytes::{BufMut, Bytes, BytesMut};

/// What tells one attempt from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The tag of From: random, fresh for each attempt; a token.
    pub from_tag: String,
    /// The number in CSeq: rises with each attempt, as [`Ids::attempt`] has it.
    pub cseq: u32,
}

impl Ids {
    /// The ids of the attempt that follows the failed ones of `message`.
    #[must_use]
    pub fn attempt(message: &Message, tag: u64) -> Self {
        Self { from_tag: format!("{tag:016x}"), cseq: u32::from(message.attempts) + 1 }
    }
}

/// Makes the request that delivers `message` to `contact`.
///
/// A new request by ourselves for the original sender: Request-URI, Route and flow are the
/// contact's; To and From are as the sender wrote them, From with a fresh tag; body and kept headers
/// are untouched; `Date` is the time of receipt unless the sender gave one (RFC 3428 section 7).
///
/// The Call-ID belongs to the message, not to the attempt: a phone that has shown it and whose
/// 200 was lost knows it again, for phones drop a MESSAGE whose Call-ID they have seen. For the
/// same reason no two messages share one.
#[must_use]
pub fn delivery(message: &Message, contact: &Contact, ids: &Ids, policy: &Policy) -> Outgoing {
    let (uri, routes) = Target::contact(contact).on_the_wire();
    let mut lines = Lines(BytesMut::with_capacity(message.size_bytes() + 512));
    for route in &routes {
        lines.put("Route", route.as_bytes());
    }
    lines.put("Max-Forwards", b"70");
    lines.put("From", &tagged(&message.from, &ids.from_tag));
    lines.put("To", &without_tag(&message.to));
    lines.put("Call-ID", call_id(message, policy).as_bytes());
    lines.put("CSeq", format!("{} MESSAGE", ids.cseq).as_bytes());
    if !message.content_type.is_empty() {
        lines.put("Content-Type", &message.content_type);
    }
    let mut has_date = false;
    for (name, value) in kept_lines(message) {
        let known = Name::of(name);
        // What is not kept today may be there in what another version stored.
        let is_shown = match known {
            Name::PAssertedIdentity | Name::PPreferredIdentity => {
                is_trusted(contact, policy) || !asks_for_privacy(message)
            }
            _ => is_kept(known, name, true),
        };
        if !is_shown {
            continue;
        }
        has_date |= known == Name::Date;
        lines.put_bytes(name, value);
    }
    if !has_date {
        let receipt = message.key.inc_us.div_euclid(1_000_000);
        lines.put("Date", date::format(receipt).as_bytes());
    }
    Outgoing {
        method: Bytes::from_static(b"MESSAGE"),
        uri,
        lines: lines.0.freeze(),
        body: message.body.clone(),
        via_params: Bytes::new(),
    }
}

fn call_id(message: &Message, policy: &Policy) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(33 + policy.host.len());
    for byte in message.key.id.0 {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text.push('@');
    text.push_str(&policy.host);
    text
}

/// The kept headers one by one. A line without a colon or a proper name is none.
fn kept_lines(message: &Message) -> impl Iterator<Item = (&[u8], &[u8])> {
    // A line ends at CRLF only: a bare LF inside of a value begins no header.
    let mut rest = &message.headers[..];
    let lines = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut ends = memchr::memchr_iter(b'\r', rest);
        let end = ends.find(|&at| rest.get(at + 1) == Some(&b'\n')).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 2..).unwrap_or_default();
        Some(line)
    });
    lines.filter_map(|line| {
        let (name, value) = text::split_once(line, b':')?;
        let name = text::trim_end(name);
        text::is_token(name).then(|| (name, text::trim(value)))
    })
}

/// `Privacy: id`: the sender's identity is for trusted servers only (RFC 3325 section 7).
fn asks_for_privacy(message: &Message) -> bool {
    kept_lines(message).filter(|(name, _)| Name::of(name) == Name::Privacy).any(|(_, value)| {
        let mut values = value.split(|&byte| byte == b';' || byte == b',');
        values.any(|value| text::trim(value).eq_ignore_ascii_case(b"id"))
    })
}

fn is_trusted(contact: &Contact, policy: &Policy) -> bool {
    match &contact.next_hop {
        NextHop::Path(path) => policy.is_trusted(path.remote.ip()),
        NextHop::Name { .. } => false,
    }
}

/// A From or To value without its `tag`, else as it came. What cannot be read is nobody.
fn without_tag(value: &[u8]) -> Vec<u8> {
    let value = text::trim(value);
    let Some(address) = NameAddr::parse(value) else {
        return b"<sip:anonymous@anonymous.invalid>".to_vec();
    };
    let params = address.params.as_bytes();
    let mut plain = value[..value.len() - params.len()].to_vec();
    for (name, value) in address.params.raw() {
        if name.eq_ignore_ascii_case(b"tag") {
            continue;
        }
        plain.push(b';');
        plain.extend_from_slice(name);
        if let Some(value) = value {
            plain.push(b'=');
            plain.extend_from_slice(value);
        }
    }
    plain
}

fn tagged(value: &[u8], tag: &str) -> Vec<u8> {
    let mut tagged = without_tag(value);
    tagged.extend_from_slice(b";tag=");
    tagged.extend_from_slice(tag.as_bytes());
    tagged
}

/// A header block in the making.
struct Lines(BytesMut);

impl Lines {
    fn put(&mut self, name: &str, value: &[u8]) {
        self.put_bytes(name.as_bytes(), value);
    }

    /// Whatever a value holds, it stays one line: CR, LF and NUL become spaces.
    fn put_bytes(&mut self, name: &[u8], value: &[u8]) {
        self.0.put_slice(name);
        self.0.put_slice(b": ");
        let start = self.0.len();
        self.0.put_slice(value);
        for byte in &mut self.0[start..] {
            if matches!(byte, b'\r' | b'\n' | 0) {
                *byte = b' ';
            }
        }
        self.0.put_slice(b"\r\n");
    }
}
