//! The answers that are given at once.

use super::policy::{ALLOWED, SUPPORTED};
use crate::sip::build::Reply;
use crate::sip::codec::{Message, Name};
use rsip::Header;
use rsip::headers::{Accept, Allow, Supported, Unsupported, UntypedHeader};

/// The most bytes of unknown option tags that are named back in a 420.
const UNSUPPORTED_BYTES_MAX: usize = 1_024;

fn allow() -> Header {
    Header::Allow(Allow::new(ALLOWED))
}

/// A method that exists and that we do not serve (RFC 3261 section 21.4.6).
pub(super) fn method_not_allowed() -> Reply {
    Reply::new(405).with(allow())
}

/// A method nobody has heard of (RFC 3261 section 21.5.2).
pub(super) fn not_implemented() -> Reply {
    Reply::new(501).with(allow())
}

/// OPTIONS to the server itself (RFC 3261 section 11.2).
pub(super) fn capabilities() -> Reply {
    Reply::new(200)
        .with(allow())
        // Message bodies are opaque to a store: every type is welcome.
        .with(Header::Accept(Accept::new("*/*")))
        .with(Header::Supported(Supported::new(SUPPORTED.join(", "))))
}

pub(super) fn empty_body() -> Reply {
    Reply::new(400)
}

pub(super) fn bad_request() -> Reply {
    Reply::new(400)
}

/// Refuses with 420 when the list header `name` (`Require`, `Proxy-Require`) asks for an
/// extension that we do not have, and names all of those (RFC 3261 section 8.2.2.3).
pub(super) fn unknown_extensions(
    request: &Message,
    name: Name,
    known: &[&str],
) -> Result<(), Reply> {
    let mut unknown = String::new();
    for tag in request.list(name) {
        let is_known = known.iter().any(|k| k.as_bytes().eq_ignore_ascii_case(tag));
        if tag.is_empty() || is_known {
            continue;
        }
        if unknown.len() + tag.len() > UNSUPPORTED_BYTES_MAX {
            break;
        }
        if !unknown.is_empty() {
            unknown.push_str(", ");
        }
        unknown.push_str(&String::from_utf8_lossy(tag));
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Reply::new(420).with(Header::Unsupported(Unsupported::new(unknown))))
}
