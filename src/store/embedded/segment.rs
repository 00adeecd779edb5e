//! The format of one file of the log.
//!
//! A segment is a head of 64 bytes and then batches, each written by one write and one sync:
//!
//! ```text
//! head:   magic+version [8], id u64, seed u64, prev_id u64, prev_len u64, first_seq u64, check u64
//! batch:  check u64, seq u64, len u32, zero u32, frames [len]
//! ```
//!
//! Batches start at multiples of eight. The seed is random for each life of the file and goes into the checks of its batches: what an
//! earlier life left behind, or what a sender hid in a body, is never taken for a batch.
//! A head says how long its predecessor is, so a damaged batch in an older segment is told apart
//! from the torn end of the newest.

use super::record::array;
use std::ops::Range;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bytes in front of the first batch.
pub(super) const HEAD: usize = 64;
/// Bytes in front of the frames of a batch.
pub(super) const BATCH_HEAD: usize = 24;
const MAGIC: [u8; 8] = *b"SILOWAL1";

/// What stands at the front of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Rises from segment to segment.
    pub(super) id: u64,
    /// Goes into every check.
    pub(super) seed: u64,
    /// The segment before it that holds something, or 0.
    pub(super) prev_id: u64,
    /// How far that one is to be read.
    pub(super) prev_len: u64,
    /// The number of the first batch.
    pub(super) first_seq: u64,
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[..8].copy_from_slice(&MAGIC);
        let fields = [self.id, self.seed, self.prev_id, self.prev_len, self.first_seq];
        for (field, at) in fields.into_iter().zip((8..).step_by(8)) {
            out[at..at + 8].copy_from_slice(&field.to_le_bytes());
        }
        let check = xxh3_64(&out[..48]);
        out[48..56].copy_from_slice(&check.to_le_bytes());
        out
    }

    /// `None` for a file that was never begun, or whose head is damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEAD || bytes[..8] != MAGIC || number(bytes, 48) != xxh3_64(&bytes[..48]) {
            return None;
        }
        Some(Self {
            id: number(bytes, 8),
            seed: number(bytes, 16),
            prev_id: number(bytes, 24),
            prev_len: number(bytes, 32),
            first_seq: number(bytes, 40),
        })
    }
}

/// Where the batch behind one that ends at `end` starts.
pub(super) const fn aligned(end: usize) -> usize {
    end.next_multiple_of(8)
}

/// Fills the head of a batch whose frames stand behind it.
pub(super) fn seal(batch: &mut [u8], seed: u64, seq: u64) {
    let len = u32::try_from(batch.len() - BATCH_HEAD).expect("a batch is at most a segment long");
    batch[8..16].copy_from_slice(&seq.to_le_bytes());
    batch[16..20].copy_from_slice(&len.to_le_bytes());
    batch[20..24].fill(0);
    let check = xxh3_64_with_seed(&batch[8..], seed);
    batch[..8].copy_from_slice(&check.to_le_bytes());
}

/// The frames of batch `seq` if it stands, whole, at `at`.
pub(super) fn batch_at(bytes: &[u8], at: usize, seed: u64, seq: u64) -> Option<Range<usize>> {
    let head = bytes.get(at..at + BATCH_HEAD)?;
    if number(head, 8) != seq {
        return None;
    }
    let end = at + BATCH_HEAD + u32::from_le_bytes(array(head, 16)) as usize;
    let checked = bytes.get(at + 8..end)?;
    (number(head, 0) == xxh3_64_with_seed(checked, seed)).then_some(at + BATCH_HEAD..end)
}

/// True when a whole batch newer than `seq` stands behind `from`: what is damaged before it was
/// durable once. (A batch is written only after the one before it is durable.)
pub(super) fn newer_batch_behind(bytes: &[u8], from: usize, seed: u64, seq: u64) -> bool {
    // No segment holds more batches than this, so other numbers need no look at the check.
    let numbers = seq + 1..seq + bytes.len() as u64;
    (aligned(from)..bytes.len().saturating_sub(BATCH_HEAD)).step_by(8).any(|at| {
        let found = number(bytes, at + 8);
        numbers.contains(&found) && batch_at(bytes, at, seed, found).is_some()
    })
}

/// Where the frames of each batch of a segment stand.
pub(super) fn payloads(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let Some(head) = Head::decode(bytes) else { return found };
    let (mut at, mut seq) = (HEAD, head.first_seq);
    while let Some(range) = batch_at(bytes, at, head.seed, seq) {
        at = aligned(range.end);
        seq += 1;
        found.push(range);
    }
    found
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        let mut second_at = 0;
        for (seq, frames) in [(7, b"first".as_slice()), (8, b"second")] {
            second_at = bytes.len();
            let mut batch = vec![0; BATCH_HEAD];
            batch.extend_from_slice(frames);
            seal(&mut batch, 42, seq);
            bytes.extend_from_slice(&batch);
            bytes.resize(aligned(bytes.len()), 0);
        }
        bytes.extend_from_slice(&[0; 100]);
        (bytes, second_at)
    }

    #[test]
    fn a_head_comes_back_and_a_flipped_bit_is_noticed() {
        let head = Head { id: 4, seed: 9, prev_id: 3, prev_len: 1000, first_seq: 77 };
        let mut bytes = head.encode();
        assert_eq!(Head::decode(&bytes), Some(head));
        bytes[20] ^= 1;
        assert_eq!(Head::decode(&bytes), None);
    }

    #[test]
    fn a_batch_of_an_earlier_life_is_not_read() {
        let (bytes, _) = segment();
        assert!(batch_at(&bytes, 0, 42, 7).is_some());
        assert_eq!(batch_at(&bytes, 0, 43, 7), None);
        assert_eq!(batch_at(&bytes, 0, 42, 8), None);
    }

    #[test]
    fn damage_before_a_whole_batch_is_told_apart_from_a_torn_end() {
        let (mut bytes, second_at) = segment();
        bytes[BATCH_HEAD] ^= 1;
        assert_eq!(batch_at(&bytes, 0, 42, 7), None);
        assert!(newer_batch_behind(&bytes, 0, 42, 7));
        bytes[second_at + BATCH_HEAD] ^= 1;
        assert!(!newer_batch_behind(&bytes, 0, 42, 7));
    }
}
