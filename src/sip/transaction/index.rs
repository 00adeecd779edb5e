//! From key to place, in 16 bytes for each transaction.
//!
//! Half of the key stands here and all of it at the place, where the holder compares it. Should
//! two keys share the half, the younger one is found and the older one is forgotten.

use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::completed::Place;
use super::key::ServerKey;
use super::timer::Slot;

/// The index is cut into parts that grow one by one, so that nobody waits for a whole table to be
/// copied.
const PARTS: usize = 64;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// Unanswered.
    Live(Slot),
    /// Answered.
    Completed(Place),
}

impl Where {
    /// The place in one word.
    pub(super) fn pack(self) -> u64 {
        match self {
            Self::Live(slot) => u64::from(slot) | Place::SPARE_BIT,
            Self::Completed(place) => place.to_bits(),
        }
    }

    /// The place that was packed.
    pub(super) fn unpack(word: u64) -> Self {
        match Slot::try_from(word ^ Place::SPARE_BIT) {
            Ok(slot) => Self::Live(slot),
            Err(_) => Self::Completed(Place::from_bits(word)),
        }
    }
}

/// All transactions by their key.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[Part]>,
}

type Part = HashMap<u64, u64, BuildHasherDefault<AsIs>>;

impl Default for Index {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Part::default()).collect() }
    }
}

impl Index {
    /// The place of a key, packed, or where it would stand.
    pub(super) fn entry(&mut self, key: ServerKey) -> Entry<'_, u64, u64> {
        let (part, half) = split(key);
        self.parts[part].entry(half)
    }

    /// The place of a key.
    pub(super) fn get(&self, key: ServerKey) -> Option<Where> {
        let (part, half) = split(key);
        self.parts[part].get(&half).map(|&word| Where::unpack(word))
    }

    /// Sets the place of a key.
    pub(super) fn set(&mut self, key: ServerKey, place: Where) {
        let (part, half) = split(key);
        self.parts[part].insert(half, place.pack());
    }

    /// Forgets a key if it stands there, not if the entry is another's by now.
    pub(super) fn remove_if(&mut self, key: ServerKey, place: Where) {
        let (part, half) = split(key);
        if let Entry::Occupied(known) = self.parts[part].entry(half)
            && *known.get() == place.pack()
        {
            known.remove();
        }
    }
}

/// The part a key belongs to, and the half that stands in it. Both halves are hashes.
fn split(key: ServerKey) -> (usize, u64) {
    let [part, .., a, b, c, d, e, f, g, h] = key.0.to_be_bytes();
    (usize::from(part) % PARTS, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

/// Keys that are hashes are not hashed again.
#[derive(Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_packing() {
        for slot in [0, 1, Slot::MAX] {
            assert_eq!(Where::unpack(Where::Live(slot).pack()), Where::Live(slot));
        }
        for bits in [0, 1, u64::from(u32::MAX), Place::SPARE_BIT - 1] {
            let place = Where::Completed(Place::from_bits(bits));
            assert_eq!(Where::unpack(place.pack()), place);
        }
    }

    #[test]
    fn an_entry_that_is_anothers_by_now_stays() {
        let mut index = Index::default();
        let (old, young) = (ServerKey(7), ServerKey(1 << 100 | 7));
        index.set(old, Where::Live(1));
        index.set(young, Where::Live(2));
        index.remove_if(old, Where::Live(1));
        assert_eq!(index.get(young), Some(Where::Live(2)));
        index.remove_if(young, Where::Live(2));
        assert_eq!(index.get(young), None);
    }
}
