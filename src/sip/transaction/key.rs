//! What tells one transaction from another (RFC 3261 section 17.2.3), and names nobody can guess.
//!
//! A server transaction is known by 128 bits: two hashes of the same text, under keys that have
//! nothing in common. With a million transactions at hand two of them meet by chance once in 10^26
//! requests. Nobody can steer a meeting either: the hashes never leave the process (the To-tag
//! made from a key goes through a third one), and whoever knows the text of another's request well
//! enough to aim at its key can simply send that text, which *is* the same transaction by the
//! RFC's own rule. What is left to an attacker is to flood one bucket of the index, and for that
//! he would have to know the keys.

use ahash::RandomState;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::fmt;

use crate::sip::codec::{Message, Name};

/// What every branch made by RFC 3261 begins with (section 8.1.1.7).
pub(crate) const COOKIE: &[u8] = b"z9hG4bK";

/// Names a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey(pub u128);

/// The secret keys of an endpoint's hashes.
#[derive(Debug)]
pub(crate) struct Keys {
    one: RandomState,
    two: RandomState,
    tags: RandomState,
}

/// The part of a key that a request and its CANCEL have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stem(u128);

impl Keys {
    pub(crate) fn new(seed: [u64; 4]) -> Self {
        let state = |label| {
            let [a, b, c, d] = derive(seed, label, 0);
            RandomState::with_seeds(a, b, c, d)
        };
        Self { one: state(b"key one"), two: state(b"key two"), tags: state(b"to-tags") }
    }

    /// What a request is matched by, but for its method.
    ///
    /// With the magic cookie: branch and `sent-by`. Call-ID and CSeq number are in it too: in a
    /// retransmission they are the same by definition, and a client that uses one branch for two
    /// messages must not see the second one answered like the first and lost. Without the cookie
    /// (RFC 2543), or with nothing behind it: Request-URI, tags, Call-ID, CSeq and top Via.
    pub(crate) fn stem(&self, request: &Message) -> Stem {
        let via = request.top_via();
        let mut text = Text::default();
        match via.branch.and_then(after_cookie) {
            Some(unique) => {
                text.put(b"3261");
                text.put_lower(unique);
                text.put_lower(via.host);
                text.put(&via.port.map_or([0; 3], |port| {
                    let [high, low] = port.to_be_bytes();
                    [1, high, low]
                }));
            }
            None => {
                text.put(b"2543");
                text.put(request.request_uri());
                text.put(request.to_tag().unwrap_or_default());
                text.put(request.from_tag().unwrap_or_default());
                text.put(request.list(Name::Via).next().unwrap_or_default());
            }
        }
        text.put(request.call_id());
        text.put(&request.cseq().0.to_be_bytes());
        Stem(self.hash(&text.0))
    }

    /// The key of the request of that method.
    pub(crate) fn key(&self, stem: Stem, method: &[u8]) -> ServerKey {
        ServerKey(stem.0 ^ self.hash(method))
    }

    /// The To-tag of all responses to one request (RFC 3261 section 8.2.6.2).
    pub(crate) fn tag(&self, key: ServerKey) -> Hex {
        Hex::of(self.tags.hash_one(key.0))
    }

    /// The To-tag of an answer to bytes that have no key: the same for every copy of them.
    pub(crate) fn stateless_tag(&self, raw: &[u8]) -> Hex {
        Hex::of(self.tags.hash_one(raw))
    }

    fn hash(&self, text: &[u8]) -> u128 {
        u128::from(self.one.hash_one(text)) << 64 | u128::from(self.two.hash_one(text))
    }
}

/// The unique part of a branch that has the magic cookie.
pub(crate) fn after_cookie(branch: &[u8]) -> Option<&[u8]> {
    let (cookie, unique) = branch.split_at_checked(COOKIE.len())?;
    (cookie.eq_ignore_ascii_case(COOKIE) && !unique.is_empty()).then_some(unique)
}

/// Text under a hash; every part goes in with its length, so that no two lists of parts look the
/// same.
#[derive(Default)]
struct Text(SmallVec<[u8; 256]>);

impl Text {
    #[inline]
    fn put(&mut self, part: &[u8]) {
        self.0.reserve(part.len() + 8);
        self.0.extend_from_slice(&part.len().to_le_bytes());
        self.0.extend_from_slice(part);
    }

    #[inline]
    fn put_lower(&mut self, part: &[u8]) {
        self.put(part);
        let start = self.0.len() - part.len();
        self.0[start..].make_ascii_lowercase();
    }
}

/// Sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hex([u8; 16]);

impl Hex {
    pub(crate) fn of(number: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 16];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Numbers for the branches of our own requests: SHA-256 in counter mode, so that a peer who
/// collects the branches it is sent cannot tell the next one and answer for somebody else.
#[derive(Debug)]
pub(crate) struct Serials {
    seed: [u64; 4],
    blocks: u64,
    ready: SmallVec<[u64; 4]>,
}

impl Serials {
    pub(crate) fn new(seed: [u64; 4]) -> Self {
        Self { seed, blocks: 0, ready: SmallVec::new() }
    }

    pub(crate) fn next(&mut self) -> u64 {
        loop {
            if let Some(serial) = self.ready.pop() {
                return serial;
            }
            self.blocks += 1;
            self.ready = derive(self.seed, b"serials", self.blocks).into();
        }
    }
}

fn derive(seed: [u64; 4], label: &[u8; 7], count: u64) -> [u64; 4] {
    let mut hash = Sha256::new_with_prefix(label);
    for word in seed {
        hash.update(word.to_le_bytes());
    }
    hash.update(count.to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn request(host: &str, branch: &str) -> Message {
        let text = format!(
            "MESSAGE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch={branch}\r\n\
             From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\n\
             CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse_datagram(Bytes::from(text)).unwrap()
    }

    fn key(seed: u64, host: &str, branch: &str) -> ServerKey {
        let keys = Keys::new([seed, 0, 0, 0]);
        keys.key(keys.stem(&request(host, branch)), b"MESSAGE")
    }

    /// T5
    #[test]
    fn the_parts_of_a_key_do_not_run_into_each_other() {
        assert_ne!(key(1, "ab", "z9hG4bKc"), key(1, "b", "z9hG4bKca"));
        assert_ne!(key(1, "a", "z9hG4bKbc"), key(1, "bc", "z9hG4bKa"));
        assert_eq!(key(1, "ab", "z9hG4bKc"), key(1, "ab", "z9hG4bKc"));
    }

    #[test]
    fn keys_cannot_be_told_without_the_seed() {
        let [one, two] = [1, 2].map(|seed| key(seed, "a", "z9hG4bKb").0);
        assert_ne!(one >> 64, two >> 64);
        assert_ne!(one & u128::from(u64::MAX), two & u128::from(u64::MAX));
        assert_ne!(one >> 64, one & u128::from(u64::MAX), "the halves are keyed apart");
    }

    #[test]
    fn the_to_tag_does_not_show_the_key() {
        let keys = Keys::new([1, 0, 0, 0]);
        let key = key(1, "a", "z9hG4bKb");
        let tag = keys.tag(key).to_string();
        assert_eq!(tag, keys.tag(key).to_string());
        assert!(!format!("{:032x}", key.0).contains(&tag));
    }

    #[test]
    fn a_cookie_alone_is_no_branch() {
        assert_eq!(after_cookie(b"z9hG4bK"), None);
        assert_eq!(after_cookie(b"z9hG4b"), None);
        assert_eq!(after_cookie(b"Z9HG4BKx"), Some(&b"x"[..]));
    }

    #[test]
    fn a_number_has_sixteen_digits() {
        assert_eq!(Hex::of(0x0123_4567_89ab_cdef).as_str(), "0123456789abcdef");
        assert_eq!(Hex::of(1).as_str(), "0000000000000001");
    }

    #[test]
    fn serials_do_not_repeat_and_depend_on_the_seed() {
        let mut serials = Serials::new([1; 4]);
        let mut seen: Vec<u64> = (0..1_000).map(|_| serials.next()).collect();
        seen.push(Serials::new([2; 4]).next());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1_001);
        assert_eq!(Serials::new([1; 4]).next(), Serials::new([1; 4]).next());
    }
}
