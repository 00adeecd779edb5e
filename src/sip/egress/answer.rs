//! The inbox's answers as responses.

use crate::sip::build::Reply;
use crate::sip::ingress::{DiscardAnswer, Policy};
use crate::vocab::Answer;
use rsip::Header;
use rsip::headers::{RetryAfter, UntypedHeader, Warning};

/// What the sender of a MESSAGE is told.
///
/// A 2xx has no body and no Contact (RFC 3428 section 7). What concerns one user is a 480, for a
/// 503 makes proxies give up the whole server; and only a real outage says `Retry-After`, which
/// would silence a proxy for all users (RFC 7339 section 5.10.2).
#[must_use]
pub fn answer(answer: &Answer, policy: &Policy) -> Reply {
    match answer {
        Answer::Stored | Answer::Duplicate => Reply::new(202),
        Answer::Relayed => Reply::new(200),
        Answer::Declined => Reply::new(603),
        Answer::Discarded => Reply::new(match policy.discarded {
            DiscardAnswer::Accepted => 202,
            DiscardAnswer::Ok => 200,
        }),
        Answer::NotKept => Reply::new(480),
        Answer::MailboxFull => Reply::new(480).with(warning(policy, "mailbox full")),
        Answer::Expired => Reply::new(480).with(warning(policy, "message already expired")),
        Answer::StoreDown => {
            let seconds = policy.outage_retry_after.as_secs().to_string();
            Reply::new(503).with(Header::RetryAfter(RetryAfter::new(seconds)))
        }
        Answer::Overloaded => Reply::new(503),
    }
}

/// Miscellaneous warning 399 (RFC 3261 section 20.43).
fn warning(policy: &Policy, text: &str) -> Header {
    Header::Warning(Warning::new(format!("399 {} \"{text}\"", policy.host)))
}
