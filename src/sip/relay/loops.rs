//! Loop detection (RFC 5393 section 4.2): a request that comes round unchanged is refused, one
//! that comes round with another Request-URI is a spiral and goes on.
//!
//! The mark is a parameter of our own Via, apart from the branch, which belongs to the
//! transaction. It is a keyed hash of what decides where we send a request, and of what makes the
//! request itself; other servers' marks, even of the same make, are not ours because their key
//! is another.

use crate::sip::codec::{Message, Name};
use crate::sip::headers::Via;
use bytes::Bytes;
use memchr::memmem::Finder;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

/// The parameter's name, also as it stands in a Via.
const PARAMETER: &[u8] = b"sipsilo-loop";

/// The parameters for the Via of a request that is passed on: `;sipsilo-loop=HEX`.
#[must_use]
pub fn via_params(request: &Message, key: u64) -> Bytes {
    format!(";sipsilo-loop={:016x}", mark(request, key)).into()
}

/// True when `request` has been here before, as it is now.
#[must_use]
pub fn is_loop(request: &Message, key: u64) -> bool {
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PARAMETER));
    // Most requests have not passed any sipsilo, and need no hash.
    let mut marks = request
        .list(Name::Via)
        .filter(|value| FINDER.find(value).is_some())
        .filter_map(|value| Via::parse(value)?.params.value(PARAMETER))
        .peekable();
    if marks.peek().is_none() {
        return false;
    }
    let ours = format!("{:016x}", mark(request, key));
    marks.any(|mark| mark == ours.as_bytes())
}

/// RFC 5393 section 4.2.1: all that routing reads (Request-URI, Route), never the method, and
/// what tells one request from another so that a collision does not last.
fn mark(request: &Message, key: u64) -> u64 {
    let random = ahash::RandomState::with_seeds(key, 0x5349_5053, 0x494c_4f4c, 0x4f4f_5053);
    let mut hasher = random.build_hasher();
    let mut part = |bytes: &[u8]| {
        hasher.write_usize(bytes.len());
        hasher.write(bytes);
    };
    part(request.request_uri());
    request.list(Name::Route).for_each(&mut part);
    part(request.call_id());
    part(request.from_tag().unwrap_or_default());
    part(request.to_tag().unwrap_or_default());
    part(&request.cseq().0.to_be_bytes());
    hasher.finish()
}
