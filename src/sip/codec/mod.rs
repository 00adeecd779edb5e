//! Bytes to messages.
//!
//! A [`Message`] is an index over the bytes that were received: one allocation, whatever the
//! message holds; values are slices. The start line and the fields every message must have are
//! read and judged at once, the rest when asked for. A message that is refused says whether and
//! how it can be answered ([`Malformed`]). Any method and any header is carried; bodies are bytes.
//!
//! A [`Framer`] cuts the messages out of a stream.

mod check;
mod framer;
mod message;
mod name;
mod scan;
mod start;

pub use framer::{Frame, Framer};
pub use message::{Field, Malformed, Message};
pub use name::Name;

use rsip::Method;

/// The method of that name; case counts (RFC 3261 section 7.1).
#[must_use]
pub fn known_method(name: &[u8]) -> Option<Method> {
    Some(match name {
        b"MESSAGE" => Method::Message,
        b"REGISTER" => Method::Register,
        b"OPTIONS" => Method::Options,
        b"SUBSCRIBE" => Method::Subscribe,
        b"NOTIFY" => Method::Notify,
        b"PUBLISH" => Method::Publish,
        b"INVITE" => Method::Invite,
        b"ACK" => Method::Ack,
        b"CANCEL" => Method::Cancel,
        b"BYE" => Method::Bye,
        b"INFO" => Method::Info,
        b"PRACK" => Method::PRack,
        b"REFER" => Method::Refer,
        b"UPDATE" => Method::Update,
        _ => return None,
    })
}
