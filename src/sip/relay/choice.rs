//! Which response goes back, and what it looks like then (RFC 3261 section 16.7).

use crate::sip::build::{Reply, print_response, relay_response};
use crate::sip::codec::{Message, Name};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// Chooses the best of the final responses other than 2xx: a 6xx, else one of the lowest class,
/// the first that came of those that are equally good. `None` when there is nothing that may be
/// passed back: a 408 may not (RFC 4320 section 4.2).
pub(super) fn best(request: &Message, answers: &[Arc<Message>]) -> Option<(u16, Bytes)> {
    let best = answers.iter().filter(|a| a.code() != 408).min_by_key(|a| rank(a.code()))?;
    Some(match best.code() {
        503 => (500, overloaded_elsewhere(request, best)),
        code @ (401 | 407) => (code, with_all_challenges(best, answers)),
        code => (code, relay_response(best)),
    })
}

/// Lower is better.
fn rank(code: u16) -> (u16, u8) {
    let class = code / 100;
    // Step 6: prefer what tells the sender how to try again.
    let within = match code {
        401 | 407 => 0,
        415 | 420 | 484 => 1,
        _ => 2,
    };
    (if class >= 6 { 0 } else { class }, within)
}

/// Step 6: that one server cannot serve now does not mean that we cannot; nor is its
/// `Retry-After` ours.
fn overloaded_elsewhere(request: &Message, response: &Message) -> Bytes {
    let to_tag = String::from_utf8_lossy(response.to_tag().unwrap_or_default());
    print_response(request, &Reply::new(500), &to_tag)
}

/// Step 7: the challenges of all branches, so that the sender can answer them at once.
fn with_all_challenges(best: &Arc<Message>, answers: &[Arc<Message>]) -> Bytes {
    let response = relay_response(best);
    let mut challenges = BytesMut::new();
    let others = answers.iter().filter(|a| matches!(a.code(), 401 | 407) && !Arc::ptr_eq(a, best));
    for field in others.flat_map(|answer| answer.all_fields()) {
        if matches!(field.name, Name::WwwAuthenticate | Name::ProxyAuthenticate) {
            challenges.put_slice(field.name_text);
            challenges.put_slice(b": ");
            challenges.put_slice(field.value);
            challenges.put_slice(b"\r\n");
        }
    }
    // They go in front of the header block's end, which the first empty line is.
    let end = memchr::memmem::find(&response, b"\r\n\r\n").map_or(response.len(), |at| at + 2);
    let mut bytes = BytesMut::with_capacity(response.len() + challenges.len());
    bytes.put_slice(&response[..end]);
    bytes.put_slice(&challenges);
    bytes.put_slice(&response[end..]);
    bytes.freeze()
}
