//! Final responses by what they mean for a stored message.

use crate::sip::codec::Name;
use crate::sip::endpoint::ClientResult;
use crate::sip::headers::text;
use crate::vocab::Outcome;
use std::time::Duration;

/// The longest `Retry-After` that is believed: a phone must not keep its own mail away for ever.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Sorts the end of one delivery.
///
/// A code that is not listed means what its class means (RFC 3261 section 8.1.3.2), and of 3xx to
/// 5xx that is: not delivered, and trying for ever would not help.
#[must_use]
pub fn outcome(result: &ClientResult) -> Outcome {
    let response = match result {
        ClientResult::Final(response) => response,
        ClientResult::Timeout | ClientResult::TransportError => {
            return Outcome::Unreachable { retry_after: None, code: None };
        }
    };
    match response.code() {
        200..=299 => Outcome::Delivered,
        // "The request was delivered but refused" (RFC 3428 section 7).
        600.. => Outcome::Refused,
        code @ (404 | 408 | 410 | 416 | 430 | 480 | 484 | 486 | 500 | 503 | 504) => {
            let retry_after = response.field(Name::RetryAfter).and_then(retry_after);
            Outcome::Unreachable { retry_after, code: Some(code) }
        }
        code @ (405 | 413 | 415 | 488 | 493 | 501 | 513) => Outcome::Unfit { code },
        code => Outcome::Rejected { code },
    }
}

/// Reads `18000;duration=3600` or `120 (in a meeting)` (RFC 3261 section 20.33), bounded.
fn retry_after(value: &[u8]) -> Option<Duration> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    let (digits, rest) = value.split_at(end);
    if digits.is_empty() || !matches!(text::trim_start(rest).first(), None | Some(b';' | b'(')) {
        return None;
    }
    let seconds = text::number(digits).unwrap_or(u64::MAX);
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}
