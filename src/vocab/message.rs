//! What is kept: a message and its key.

use super::aor::Aor;
use bytes::Bytes;
use std::fmt;

/// The identity of a message: a hash of Call-ID, CSeq, From-tag and Request-URI.
///
/// A retransmission, a client's own retry and a copy that came by another way have the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl MessageId {
    /// Reads the 32 hexadecimal digits that `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        for (byte, at) in id.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(id))
    }
}

/// The place of a message in its inbox. Order of keys is order of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Microseconds since 1970 at which the owner took the message in (msilo's `inc_time`);
    /// strictly rising within an inbox.
    pub inc_us: i64,
    /// The identity (msilo's `mid`).
    pub id: MessageId,
}

/// A message on its way in: everything a recipient would miss if it were not kept.
///
/// Texts are the bytes as they came, without line ends; nothing is re-spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The identity.
    pub id: MessageId,
    /// The mailbox.
    pub owner: Aor,
    /// The value of `From`, display name, parameters and tag included (msilo's `src_addr`).
    pub from: Bytes,
    /// The value of `To`, likewise (`dst_addr`).
    pub to: Bytes,
    /// The value of `Call-ID`.
    pub call_id: Bytes,
    /// The value of `Content-Type` with its parameters; empty when the request had none.
    pub content_type: Bytes,
    /// All other kept headers, as lines `Name: value\r\n` in the order they came
    /// (`extra_hdrs`): `Date`, `Expires`, `Subject`, `Priority`, `Content-*`, identities,
    /// unknown ones.
    pub headers: Bytes,
    /// The body, byte for byte.
    pub body: Bytes,
    /// When the message ends, in seconds since 1970 (`exp_time`); `None` = the sender said
    /// `Expires: 0`: now or never, nothing is stored.
    pub expires_s: Option<i64>,
    /// False for what is delivered when possible but never kept (`im-iscomposing`).
    pub storable: bool,
}

/// A message in an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place.
    pub key: Key,
    /// The mailbox.
    pub owner: Aor,
    /// As in [`Submission::from`].
    pub from: Bytes,
    /// As in [`Submission::to`].
    pub to: Bytes,
    /// As in [`Submission::call_id`].
    pub call_id: Bytes,
    /// As in [`Submission::content_type`].
    pub content_type: Bytes,
    /// As in [`Submission::headers`].
    pub headers: Bytes,
    /// As in [`Submission::body`].
    pub body: Bytes,
    /// When the message ends, in seconds since 1970.
    pub expires_s: i64,
    /// Deliveries that failed so far; counts towards the dead letter.
    pub attempts: u16,
}

impl Message {
    /// Takes custody of `submission`, which is to live until `expires_s`, at `inc_us`.
    #[must_use]
    pub fn accept(submission: Submission, inc_us: i64, expires_s: i64) -> Self {
        Self {
            key: Key { inc_us, id: submission.id },
            owner: submission.owner,
            from: submission.from,
            to: submission.to,
            call_id: submission.call_id,
            content_type: submission.content_type,
            headers: submission.headers,
            body: submission.body,
            expires_s,
            attempts: 0,
        }
    }

    /// True when the message must not be delivered any more.
    #[must_use]
    pub const fn is_expired(&self, unix_s: i64) -> bool {
        self.expires_s <= unix_s
    }

    /// The bytes this message occupies in memory and, about, in the store.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.owner.as_str().len()
            + self.from.len()
            + self.to.len()
            + self.call_id.len()
            + self.content_type.len()
            + self.headers.len()
            + self.body.len()
            + 48
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_text() {
        let id = MessageId(*b"0123456789abcdef");
        assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        assert_eq!(MessageId::parse("zz"), None);
    }

    #[test]
    fn keys_sort_by_time_of_acceptance_first() {
        let early = Key { inc_us: 1, id: MessageId([9; 16]) };
        let late = Key { inc_us: 2, id: MessageId([0; 16]) };
        assert!(early < late);
    }
}
