//! A message as bytes: the one encoding, in the log and in the tables.
//!
//! ```text
//!  0  version (1)        1  zero              2  attempts u16        4  check u32
//!  8  inc_us i64        16  mid [16]         32  expires_s i64
//! 40  seven lengths u32: owner, from, to, call_id, content_type, headers, body
//! 68  the seven texts
//! ```
//!
//! Integers are little-endian. The check covers everything from byte 8 on.

use crate::vocab::{Aor, Key, Message, MessageId};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

const VERSION: u8 = 1;
const TEXTS: usize = 7;
const LENGTHS_AT: usize = 40;
const HEAD: usize = LENGTHS_AT + TEXTS * 4;

/// An encoded message. Cloning is a reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record(Bytes);

impl Record {
    /// Encodes `message` into an allocation of its own.
    pub(super) fn encode(message: &Message) -> Self {
        let texts: [&[u8]; TEXTS] = [
            message.owner.as_str().as_bytes(),
            &message.from,
            &message.to,
            &message.call_id,
            &message.content_type,
            &message.headers,
            &message.body,
        ];
        let total: usize = texts.iter().map(|text| text.len()).sum();
        let mut out = Vec::with_capacity(HEAD + total);
        out.extend_from_slice(&[VERSION, 0]);
        out.extend_from_slice(&message.attempts.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&message.key.inc_us.to_le_bytes());
        out.extend_from_slice(&message.key.id.0);
        out.extend_from_slice(&message.expires_s.to_le_bytes());
        for text in texts {
            let len = u32::try_from(text.len()).expect("no text of a SIP message reaches 4 GiB");
            out.extend_from_slice(&len.to_le_bytes());
        }
        for text in texts {
            out.extend_from_slice(text);
        }
        let check = check(&out);
        out[4..8].copy_from_slice(&check.to_le_bytes());
        Self(out.into())
    }

    /// Copies and checks what [`Record::encode`] wrote; `None` when it is damaged.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEAD
            || bytes[0] != VERSION
            || array(bytes, 4) != check(bytes).to_le_bytes()
        {
            return None;
        }
        let total: usize = (0..TEXTS).map(|index| text_len(bytes, index)).sum();
        if total != bytes.len() - HEAD {
            return None;
        }
        let owner = &bytes[HEAD..HEAD + text_len(bytes, 0)];
        std::str::from_utf8(owner).ok().filter(|owner| owner.contains('@'))?;
        Some(Self(Bytes::copy_from_slice(bytes)))
    }

    /// Reads the record at the front of `bytes`; `None` at the end, or when it is damaged.
    pub(super) fn read_first(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        let total: usize = (0..TEXTS).map(|index| text_len(head, index)).sum();
        bytes.get(..HEAD + total).and_then(Self::read)
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The place of the message.
    pub(super) fn key(&self) -> Key {
        Key { inc_us: i64::from_le_bytes(array(&self.0, 8)), id: MessageId(array(&self.0, 16)) }
    }

    /// When the message ends.
    pub(super) fn expires_s(&self) -> i64 {
        i64::from_le_bytes(array(&self.0, 32))
    }

    /// Failed deliveries when it was put.
    pub(super) fn attempts(&self) -> u16 {
        u16::from_le_bytes(array(&self.0, 2))
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> Aor {
        let text = std::str::from_utf8(&self.0[HEAD..HEAD + text_len(&self.0, 0)]).ok();
        text.and_then(Aor::from_canonical)
            .expect("an encoded or checked record starts with an address of record")
    }

    /// The message, sharing these bytes.
    pub(super) fn message(&self, owner: &Aor, attempts: u16) -> Message {
        let mut at = HEAD + text_len(&self.0, 0);
        let mut index = 0;
        let mut next = || {
            index += 1;
            let from = at;
            at += text_len(&self.0, index);
            self.0.slice(from..at)
        };
        Message {
            key: self.key(),
            owner: owner.clone(),
            from: next(),
            to: next(),
            call_id: next(),
            content_type: next(),
            headers: next(),
            body: next(),
            expires_s: self.expires_s(),
            attempts,
        }
    }
}

/// `N` bytes from `at` on.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn text_len(bytes: &[u8], index: usize) -> usize {
    u32::from_le_bytes(array(bytes, LENGTHS_AT + index * 4)) as usize
}

/// The low half of the hash of everything behind the check.
fn check(bytes: &[u8]) -> u32 {
    let [a, b, c, d, ..] = xxh3_64(&bytes[8..]).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            key: Key { inc_us: -5, id: MessageId([7; 16]) },
            owner: Aor::from_parts("bob", "example.com"),
            from: Bytes::from_static(b"<sip:a@example.com>;tag=1"),
            to: Bytes::new(),
            call_id: Bytes::from_static(b"c1"),
            content_type: Bytes::from_static(b"text/plain"),
            headers: Bytes::from_static(b"Subject: x\r\n"),
            body: Bytes::from_static(b"\0\xff hello"),
            expires_s: 99,
            attempts: 3,
        }
    }

    #[test]
    fn a_message_comes_back_as_it_went() {
        let record = Record::read(Record::encode(&message()).bytes()).unwrap();
        assert_eq!(record.message(&record.owner(), record.attempts()), message());
    }

    #[test]
    fn any_flipped_bit_of_the_content_is_noticed() {
        let good = Record::encode(&message());
        for at in (8..good.len()).chain([0]) {
            let mut bad = good.bytes().to_vec();
            bad[at] ^= 4;
            assert_eq!(Record::read(&bad), None, "byte {at}");
        }
        assert_eq!(Record::read(&good.bytes()[..good.len() - 1]), None);
    }
}
