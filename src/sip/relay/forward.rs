//! The header block of a request that is passed on (RFC 3261 section 16.6).

use super::fork::Sender;
use crate::sip::build::{Edit, forward_lines};
use crate::sip::codec::{Message, Name};
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;

/// What a request without `Max-Forwards` is given (RFC 3261 section 16.6 step 3).
const MAX_FORWARDS: u8 = 70;

/// All fields in their order, unknown ones included, except that `Max-Forwards` is one less,
/// `Route` is what the target asks for, and identities that an untrusted sender asserted are left
/// out (RFC 3325 section 5).
pub(super) fn lines(request: &Message, routes: &[Arc<str>], sender: Sender) -> Bytes {
    let without: &[Name] = match sender {
        Sender::Trusted => &[Name::Route],
        Sender::Untrusted => &[Name::Route, Name::PAssertedIdentity, Name::PPreferredIdentity],
    };
    let with: SmallVec<[(&str, &str); 4]> = routes.iter().map(|r| ("Route", &**r)).collect();
    let hops = request.max_forwards().map_or(MAX_FORWARDS, |hops| hops.saturating_sub(1));
    let edit = Edit { max_forwards: Some(hops), without, with: &with, ..Edit::default() };
    forward_lines(request, &edit)
}
