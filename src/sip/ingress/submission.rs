//! A MESSAGE for one of our users, as the inbox takes it.

use super::kept::is_kept;
use super::{Policy, refuse};
use crate::sip::build::Reply;
use crate::sip::codec::{Message, Name};
use crate::sip::egress::{self, date};
use crate::sip::headers::text;
use crate::vocab::{Answer, Aor, MessageId, Now, Submission};
use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};

/// Separates our hashes from everybody else's, and this way of making them from a later one.
const IDENTITY_DOMAIN: &[u8] = b"sipsilo message identity 1";

/// Content that says "I am typing": of use now or never (RFC 3994).
const IS_COMPOSING: &[u8] = b"application/im-iscomposing+xml";

/// How long the sender lets the message live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// `Expires: 0`: now or never.
    NowOrNever,
    /// Until this second since 1970.
    Until(i64),
    /// It was over before it came.
    Over,
}

/// Makes the submission, or the refusal.
///
/// A request without `Content-Type` is taken as it is, body or not, and delivered without one:
/// RFC 3261 section 20.15 asks senders for the header, and inventing it would be a guess about
/// bytes we promised not to touch.
pub(super) fn submission(
    request: &Message,
    owner: Aor,
    from_trusted: bool,
    policy: &Policy,
    now: Now,
) -> Result<Box<Submission>, Reply> {
    let body = request.body();
    if body.is_empty() && !policy.empty_body {
        return Err(refuse::empty_body());
    }
    let expires_s = match life(request, policy, now) {
        Life::NowOrNever => None,
        Life::Until(end) => Some(end),
        Life::Over => return Err(egress::answer(&Answer::Expired, policy)),
    };
    let content_type = bytes_of(request, Name::ContentType);
    Ok(Box::new(Submission {
        id: identity(request, &owner),
        owner,
        from: bytes_of(request, Name::From),
        to: bytes_of(request, Name::To),
        call_id: bytes_of(request, Name::CallId),
        storable: !is_type(&content_type, IS_COMPOSING),
        content_type,
        headers: kept_headers(request, from_trusted),
        body,
        expires_s,
    }))
}

fn bytes_of(request: &Message, name: Name) -> Bytes {
    request.field_bytes(name).unwrap_or_default()
}

/// True when a `Content-Type` value names `media_type`, whatever its parameters.
fn is_type(content_type: &[u8], media_type: &[u8]) -> bool {
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    text::trim(&content_type[..end]).eq_ignore_ascii_case(media_type)
}

/// The identity by which a message is stored once, however often and by whatever way it comes.
///
/// Of the Request-URI its canonical address counts, which is the owner: a proxy that tries again
/// another way may change scheme, port and parameters, and the mailbox is the same. Every part
/// has its length in front, so that no two lists of parts look alike.
fn identity(request: &Message, owner: &Aor) -> MessageId {
    let (number, method) = request.cseq();
    let number = number.to_be_bytes();
    let from_tag = request.from_tag().unwrap_or_default();
    let mut hash = Sha256::new();
    for part in
        [IDENTITY_DOMAIN, request.call_id(), &number, method, from_tag, owner.as_str().as_bytes()]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    MessageId(id)
}

/// Reads `Expires` and `Date` (RFC 3428 section 7). Never longer than `expire_time` from now.
///
/// A sender's clock that runs ahead does not make a message live longer: it cannot have been sent
/// after it came. An `Expires` that is no number is as if absent: a message that is kept a little
/// long does less harm than one that is refused or lost. One beyond 2^32-1 is merely long.
fn life(request: &Message, policy: &Policy, now: Now) -> Life {
    let receipt = now.unix_s();
    let longest = i64::try_from(policy.expire_time.as_secs()).unwrap_or(i64::MAX);
    let latest = receipt.saturating_add(longest);
    let Some(expires) = request.field(Name::Expires).and_then(seconds) else {
        return Life::Until(latest);
    };
    if expires == 0 {
        return Life::NowOrNever;
    }
    let sent = request.field(Name::Date).and_then(date::parse).unwrap_or(receipt).min(receipt);
    let end = sent.saturating_add(expires).min(latest);
    if end <= receipt { Life::Over } else { Life::Until(end) }
}

/// Delta-seconds of any length, saturating.
fn seconds(value: &[u8]) -> Option<i64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| text::number(value).and_then(|n| i64::try_from(n).ok()).unwrap_or(i64::MAX))
}

/// The header block that is kept: one allocation, fields in their order, names as they came.
fn kept_headers(request: &Message, from_trusted: bool) -> Bytes {
    let kept = || request.all_fields().filter(|f| is_kept(f.name, f.name_text, from_trusted));
    let size = kept().map(|f| f.name_text.len() + f.value.len() + 4).sum();
    let mut lines = BytesMut::with_capacity(size);
    for field in kept() {
        lines.put_slice(field.name_text);
        lines.put_slice(b": ");
        lines.put_slice(field.value);
        lines.put_slice(b"\r\n");
    }
    lines.freeze()
}
