//! A small map sorted by [`Key`], made for keys that come and go in rising order.

use crate::vocab::Key;
use std::collections::VecDeque;

/// Entries by rising key. Adding behind the last and removing near either end is cheap.
#[derive(Debug)]
pub(super) struct Ordered<T>(VecDeque<(Key, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Ordered<T> {
    fn find(&self, key: &Key) -> Result<usize, usize> {
        match self.0.back() {
            Some((last, _)) if last < key => Err(self.0.len()),
            Some(_) | None => self.0.binary_search_by(|(other, _)| other.cmp(key)),
        }
    }

    /// The entry of `key`.
    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut T> {
        let at = self.find(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Sets the entry of `key`.
    pub(super) fn set(&mut self, key: Key, value: T) {
        match self.find(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => {
                if self.0.len() == self.0.capacity() {
                    // Most inboxes hold one message: no room for four.
                    self.0.reserve_exact(self.0.len().max(1));
                }
                self.0.insert(at, (key, value));
            }
        }
    }

    /// Takes the entry of `key` out.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Ok(at) = self.find(key) {
            self.0.remove(at);
        }
        if self.0.len() * 4 < self.0.capacity() && self.0.capacity() > 16 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }

    /// The entries behind `after`, or all.
    pub(super) fn behind(&self, after: Option<Key>) -> impl Iterator<Item = &(Key, T)> {
        let from = after.map_or(0, |after| self.0.partition_point(|(key, _)| *key <= after));
        self.0.range(from..)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocab::MessageId;

    fn key(inc_us: i64) -> Key {
        Key { inc_us, id: MessageId([0; 16]) }
    }

    #[test]
    fn entries_stay_sorted_whatever_the_order_they_came_in() {
        let mut map = Ordered::default();
        for inc_us in [5, 1, 9, 3, 3] {
            map.set(key(inc_us), inc_us);
        }
        map.remove(&key(5));
        let left: Vec<i64> = map.behind(Some(key(1))).map(|(_, value)| *value).collect();
        assert_eq!(left, [3, 9]);
        assert_eq!(map.get_mut(&key(9)), Some(&mut 9));
    }
}
