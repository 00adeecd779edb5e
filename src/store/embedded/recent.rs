//! The identities put lately: what makes *once* hold for messages that are gone already.
//!
//! A set for each slice of time, dropped whole when its youngest entry is older than the window
//! and everything put in it has reached the base (from then on the base itself knows what is
//! still there).

use crate::store::DEDUP_WINDOW;
use crate::vocab::clock::micros;
use crate::vocab::{Aor, MessageId};
use std::collections::{HashSet, VecDeque};
use xxhash_rust::xxh3::xxh3_128;

/// The most identities remembered of messages that are gone: over 60,000 puts a second for the
/// whole window, and at most some 160 MiB.
pub(super) const RECENT_MAX: usize = 4_000_000;
/// The window is cut into this many sets.
const SLICES: u64 = 4;

/// Owner and identity in 128 bits. The identity is itself a 128-bit hash; the owner's hash keeps
/// equal identities of different owners apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Print(pub(super) u128);

impl Print {
    pub(super) fn of(owner: &Aor, id: MessageId) -> Self {
        Self(xxh3_128(owner.as_str().as_bytes()) ^ u128::from_le_bytes(id.0))
    }
}

#[derive(Debug)]
struct Slice {
    prints: HashSet<Print, ahash::RandomState>,
    opened_us: i64,
    newest_us: i64,
    /// The newest generation something in it belongs to.
    generation: u64,
}

/// The window.
#[derive(Debug, Default)]
pub(super) struct Recent {
    slices: VecDeque<Slice>,
    held: usize,
    /// The newest generation something forgotten belongs to.
    dropped: u64,
}

impl Recent {
    pub(super) fn contains(&self, print: Print) -> bool {
        self.slices.iter().rev().any(|slice| slice.prints.contains(&print))
    }

    /// Remembers `print`, put at `now_us` into `generation`.
    pub(super) fn insert(&mut self, print: Print, now_us: i64, generation: u64) {
        let slice_us = window_us() / SLICES.cast_signed();
        let is_open = self.slices.back().is_some_and(|slice| {
            // A clock set back closes the slice too: its age cannot be told any more.
            (0..slice_us).contains(&(now_us - slice.opened_us))
        });
        if !is_open {
            let prints = HashSet::default();
            let (opened_us, newest_us) = (now_us, now_us);
            self.slices.push_back(Slice { prints, opened_us, newest_us, generation });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.newest_us = slice.newest_us.max(now_us);
            slice.generation = slice.generation.max(generation);
            self.held += usize::from(slice.prints.insert(print));
        }
    }

    /// Forgets a put that did not happen after all.
    pub(super) fn remove(&mut self, print: Print) {
        for slice in &mut self.slices {
            self.held -= usize::from(slice.prints.remove(&print));
        }
    }

    /// Drops what is out of the window, when generations up to `flushed` are in the base.
    pub(super) fn expire(&mut self, now_us: i64, flushed: u64) {
        while let Some(oldest) = self.slices.front() {
            let age_us = now_us - oldest.newest_us;
            // An age below zero: the clock was set back. Then the bound alone ends it.
            let is_old = age_us > window_us() || self.held > RECENT_MAX;
            if !is_old || oldest.generation > flushed {
                return;
            }
            self.held -= oldest.prints.len();
            self.dropped = self.dropped.max(oldest.generation);
            self.slices.pop_front();
        }
    }

    /// From this generation on, everything put is remembered here.
    pub(super) const fn complete_from(&self) -> u64 {
        self.dropped + 1
    }
}

/// The window in microseconds.
pub(super) fn window_us() -> i64 {
    i64::try_from(micros(DEDUP_WINDOW)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_print_is_remembered_for_the_window_and_not_for_ever() {
        let mut recent = Recent::default();
        recent.insert(Print(1), 0, 1);
        recent.insert(Print(2), 30 * SECOND, 2);
        recent.expire(64 * SECOND, 9);
        assert!(recent.contains(Print(1)));
        recent.expire(65 * SECOND, 9);
        assert!(!recent.contains(Print(1)) && recent.contains(Print(2)));
        assert_eq!(recent.complete_from(), 2);
    }

    #[test]
    fn what_the_base_does_not_know_yet_is_never_forgotten() {
        let mut recent = Recent::default();
        recent.insert(Print(1), 0, 5);
        recent.expire(1_000 * SECOND, 4);
        assert!(recent.contains(Print(1)));
        recent.expire(1_000 * SECOND, 5);
        assert!(!recent.contains(Print(1)));
    }

    #[test]
    fn equal_identities_of_two_owners_are_two_messages() {
        let id = MessageId([1; 16]);
        let print = |user| Print::of(&Aor::from_parts(user, "example.com"), id);
        assert_ne!(print("a"), print("b"));
    }
}
