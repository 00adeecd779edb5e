//! The agenda itself.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Deadlines by key, in wall-clock microseconds.
///
/// Arming a key again moves its one entry; nothing is left behind at the old place, so an agenda
/// whose keys are re-armed for ever stays as large as the number of its keys.
#[derive(Clone, Debug)]
pub struct Agenda<K> {
    by_time: BTreeSet<(i64, K)>,
    by_key: HashMap<K, i64, ahash::RandomState>,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::default() }
    }
}

impl<K: Ord + Clone + Hash> Agenda<K> {
    /// An agenda without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the moment of `key`, in place of an earlier one.
    pub fn arm(&mut self, key: K, at_us: i64) {
        if let Some(earlier) = self.by_key.insert(key.clone(), at_us) {
            if earlier == at_us {
                return;
            }
            let entry = (earlier, key);
            self.by_time.remove(&entry);
            self.by_time.insert((at_us, entry.1));
        } else {
            self.by_time.insert((at_us, key));
        }
    }

    /// Takes `key` off the agenda. Answers the moment it was armed for.
    pub fn disarm(&mut self, key: &K) -> Option<i64> {
        let at_us = self.by_key.remove(key)?;
        self.by_time.remove(&(at_us, key.clone()));
        Some(at_us)
    }

    /// Takes off what is due at `now_us`, earliest first, at most `limit` keys.
    pub fn due(&mut self, now_us: i64, limit: usize) -> Vec<K> {
        let mut due = Vec::new();
        while due.len() < limit && self.next().is_some_and(|at_us| at_us <= now_us) {
            let Some((_, key)) = self.by_time.pop_first() else { break };
            self.by_key.remove(&key);
            due.push(key);
        }
        due
    }

    /// The earliest moment on the agenda.
    #[must_use]
    pub fn next(&self) -> Option<i64> {
        self.by_time.first().map(|(at_us, _)| *at_us)
    }

    /// The moment `key` is armed for.
    #[must_use]
    pub fn armed(&self, key: &K) -> Option<i64> {
        self.by_key.get(key).copied()
    }

    /// How many keys are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// True when nothing is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_due_comes_earliest_first_and_only_once() {
        let mut agenda = Agenda::new();
        agenda.arm("late", 30);
        agenda.arm("early", 10);
        agenda.arm("middle", 20);
        assert_eq!(agenda.next(), Some(10));
        assert_eq!(agenda.due(20, 10), ["early", "middle"]);
        assert_eq!(agenda.due(20, 10), Vec::<&str>::new());
        assert_eq!(agenda.next(), Some(30));
    }

    #[test]
    fn a_key_that_is_armed_again_keeps_one_entry() {
        let mut agenda = Agenda::new();
        for at_us in 0..10_000 {
            agenda.arm("again", at_us);
        }
        assert_eq!((agenda.len(), agenda.by_time.len()), (1, 1));
        assert_eq!(agenda.due(9_998, 10), Vec::<&str>::new());
        assert_eq!(agenda.due(9_999, 10), ["again"]);
        assert!(agenda.is_empty());
    }

    #[test]
    fn a_limit_leaves_the_rest_for_the_next_call() {
        let mut agenda = Agenda::new();
        for key in 0..5 {
            agenda.arm(key, 1);
        }
        assert_eq!(agenda.due(1, 2), [0, 1]);
        assert_eq!(agenda.due(1, 9), [2, 3, 4]);
    }

    #[test]
    fn a_disarmed_key_is_never_due() {
        let mut agenda = Agenda::new();
        agenda.arm(1, 5);
        assert_eq!(agenda.disarm(&1), Some(5));
        assert_eq!(agenda.disarm(&1), None);
        assert_eq!(agenda.due(i64::MAX, 9), Vec::<i32>::new());
        assert_eq!(agenda.next(), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arm(u8, i64),
        Disarm(u8),
        Due(i64, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_u8, 0..50_i64).prop_map(|(key, at)| Step::Arm(key, at)),
            (0..20_u8).prop_map(Step::Disarm),
            (0..50_i64, 0..5_usize).prop_map(|(now, limit)| Step::Due(now, limit)),
        ]
    }

    proptest! {
        #[test]
        fn an_agenda_does_what_a_plain_list_does(steps in prop::collection::vec(step(), 0..200)) {
            let mut agenda = Agenda::new();
            let mut model = BTreeMap::<u8, i64>::new();
            for step in steps {
                match step {
                    Step::Arm(key, at) => {
                        agenda.arm(key, at);
                        model.insert(key, at);
                    }
                    Step::Disarm(key) => {
                        prop_assert_eq!(agenda.disarm(&key), model.remove(&key));
                    }
                    Step::Due(now, limit) => {
                        let mut expected: Vec<_> =
                            model.iter().filter(|(_, at)| **at <= now).map(|(k, at)| (*at, *k)).collect();
                        expected.sort_unstable();
                        expected.truncate(limit);
                        let expected: Vec<u8> = expected.into_iter().map(|(_, k)| k).collect();
                        for key in &expected {
                            model.remove(key);
                        }
                        prop_assert_eq!(agenda.due(now, limit), expected);
                    }
                }
                prop_assert_eq!(agenda.len(), model.len());
                prop_assert_eq!(agenda.by_time.len(), model.len());
                prop_assert_eq!(agenda.next(), model.values().min().copied());
                for key in 0..20 {
                    prop_assert_eq!(agenda.armed(&key), model.get(&key).copied());
                }
            }
        }
    }
}
