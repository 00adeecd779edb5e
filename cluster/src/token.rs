//! The partition token: Cassandra's Murmur3 of a composite key, and the shard it names.
//!
//! The embedded store and the CQL store use the same function of the same bytes, so that a shard
//! is a token range in the database and means the same on every node.

/// How many shards there are. Fixed for the life of a deployment: the top ten bits of a token.
pub const SHARDS: u16 = 1_024;

/// One of [`SHARDS`] parts of the mailbox space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(u16);

impl ShardId {
    /// The shard of the inbox `user@host`.
    #[must_use]
    pub fn of(user: &str, host: &str) -> Self {
        let above_zero = token(user, host).wrapping_sub(i64::MIN).cast_unsigned();
        // The top ten bits of 64 always fit.
        #[allow(clippy::cast_possible_truncation, reason = "54 bits are shifted out")]
        Self((above_zero >> 54) as u16)
    }

    /// Shard number `number`; `None` past the last.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < SHARDS { Some(Self(number)) } else { None }
    }

    /// Every shard, by rising number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// Its number, below [`SHARDS`].
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// The Murmur3 token that Cassandra and ScyllaDB give the partition key `(user, host)`.
#[must_use]
pub fn token(user: &str, host: &str) -> i64 {
    // A composite partition key is each part with a two-byte length before and a zero behind.
    let mut key = Vec::with_capacity(user.len() + host.len() + 6);
    for part in [user, host] {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        key.extend_from_slice(&length.to_be_bytes());
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    match murmur3_x64_128_first(&key) {
        // The database reserves the lowest token as "before everything".
        i64::MIN => i64::MAX,
        token => token,
    }
}

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// The first half of `MurmurHash3_x64_128` with seed 0, with Cassandra's quirk: bytes of the tail
/// are sign-extended.
fn murmur3_x64_128_first(data: &[u8]) -> i64 {
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let mut blocks = data.chunks_exact(16);
    for block in &mut blocks {
        let (low, high) = block.split_at(8);
        h1 ^= mix1(little_endian(low));
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(little_endian(high));
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let tail = blocks.remainder();
    let (low, high) = tail.split_at(tail.len().min(8));
    if !high.is_empty() {
        h2 ^= mix2(signed_little_endian(high));
    }
    if !low.is_empty() {
        h1 ^= mix1(signed_little_endian(low));
    }
    let length = data.len() as u64;
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2)).cast_signed()
}

fn mix1(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix2(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

fn signed_little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().enumerate().fold(0, |word, (at, byte)| {
        word ^ (i64::from(byte.cast_signed()) << (8 * at)).cast_unsigned()
    })
}

fn finish(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_text_has_the_known_murmur3_hash() {
        // The reference implementation's first 64 bits for seed 0.
        assert_eq!(murmur3_x64_128_first(b""), 0);
        assert_eq!(murmur3_x64_128_first(b"hello").cast_unsigned(), 0xcbd8_a7b3_41bd_9b02);
        assert_eq!(
            murmur3_x64_128_first(b"The quick brown fox jumps over the lazy dog").cast_unsigned(),
            0xe34b_bc7b_bc07_1b6c
        );
    }

    #[test]
    fn inboxes_spread_over_all_shards() {
        let mut hit = vec![false; usize::from(SHARDS)];
        for n in 0..20_000 {
            hit[usize::from(ShardId::of(&format!("u{n}"), "example.com").number())] = true;
        }
        assert!(hit.iter().all(|&h| h), "some shard never came up");
    }

    #[test]
    fn shards_are_the_top_bits_of_the_token_in_token_order() {
        let shard = |t: i64| (t.wrapping_sub(i64::MIN).cast_unsigned() >> 54) as u16;
        assert_eq!(shard(i64::MIN), 0);
        assert_eq!(shard(0), SHARDS / 2);
        assert_eq!(shard(i64::MAX), SHARDS - 1);
    }
}
