//! Which inboxes of a shard hold messages.
//!
//! Exact once the store has been enumerated, so that a REGISTER of a user without mail reads
//! nothing; until then the answer for an unknown inbox is *maybe*, never *no*.

use crate::store::Occupied;
use crate::vocab::Aor;
use ahash::AHashMap;

/// What is known of one inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// So many messages.
    Some(u32),
    /// None.
    Empty,
    /// Nobody knows: ask the store.
    Maybe,
}

/// The set of a shard. Written by the shard and, on the same thread, by its AoR actors.
#[derive(Debug, Default)]
pub struct HeldSet {
    known: AHashMap<Aor, Held>,
    is_complete: bool,
}

impl HeldSet {
    /// What is known of the inbox of `aor`.
    #[must_use]
    pub fn get(&self, aor: &Aor) -> Held {
        match self.known.get(aor) {
            Some(held) => *held,
            None if self.is_complete => Held::Empty,
            None => Held::Maybe,
        }
    }

    /// An AoR actor says what its inbox holds; `None` = it does not know any more.
    pub fn set(&mut self, aor: &Aor, messages: Option<u32>) {
        match messages {
            // Before the enumeration is over, an absent entry would mean *maybe*.
            Some(0) if self.is_complete => {
                self.known.remove(aor);
            }
            Some(0) => {
                self.known.insert(aor.clone(), Held::Empty);
            }
            Some(n) => {
                self.known.insert(aor.clone(), Held::Some(n));
            }
            None => {
                self.known.insert(aor.clone(), Held::Maybe);
            }
        }
    }

    /// The store's enumeration came to this inbox. What an actor said meanwhile stands.
    pub fn enumerate(&mut self, found: &Occupied) {
        if !self.is_complete && !self.known.contains_key(&found.aor) {
            self.known.insert(found.aor.clone(), Held::Some(found.messages));
        }
    }

    /// The enumeration is over: what is not in the set is empty.
    pub fn complete(&mut self) {
        self.is_complete = true;
        self.known.retain(|_, held| *held != Held::Empty);
    }

    /// True when absence means *empty*.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// How many inboxes are known to hold something, or may.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.values().filter(|held| **held != Held::Empty).count()
    }

    /// True when no inbox is known to hold anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> Aor {
        Aor::from_parts("bob", "example.com")
    }

    #[test]
    fn an_inbox_not_yet_enumerated_may_hold_mail() {
        let mut set = HeldSet::default();
        assert_eq!(set.get(&bob()), Held::Maybe);
        set.complete();
        assert_eq!(set.get(&bob()), Held::Empty);
    }

    #[test]
    fn what_an_actor_said_during_the_enumeration_stands() {
        let mut set = HeldSet::default();
        set.set(&bob(), Some(0));
        set.enumerate(&Occupied { aor: bob(), messages: 3 });
        assert_eq!(set.get(&bob()), Held::Empty);
        set.complete();
        assert_eq!(set.get(&bob()), Held::Empty);
    }

    #[test]
    fn an_inbox_whose_actor_died_may_hold_mail() {
        let mut set = HeldSet::default();
        set.complete();
        set.set(&bob(), None);
        assert_eq!(set.get(&bob()), Held::Maybe);
    }
}
