//! When to look for expired bindings.

use crate::vocab::Aor;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Users by the moment at which one of their bindings may end.
///
/// A user is entered once, at the end of the binding that ends first. Refreshing that binding
/// leaves the entry alone: it comes up too early, finds nothing expired, and is entered again at
/// the new end. So the common REGISTER, a refresh, costs nothing here. Entries that no longer
/// count are left to come up too, unless they outnumber the users: then [`Agenda::prune`] is due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(i64, Aor)>>,
}

impl Agenda {
    /// Dead entries that are never worth a sweep.
    const SLACK: usize = 64;

    /// Enters `aor` at `at_us`.
    pub(super) fn arm(&mut self, at_us: i64, aor: Aor) {
        self.heap.push(Reverse((at_us, aor)));
    }

    /// The first moment at which a binding may end; none ends before.
    pub(super) fn next(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse((at_us, _))| *at_us)
    }

    /// Takes out the first entry that is due at `now_us`.
    pub(super) fn take_due(&mut self, now_us: i64) -> Option<(i64, Aor)> {
        if self.next()? > now_us {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// True when most entries are dead: clients can make one with each REGISTER.
    pub(super) fn is_overgrown(&self, users: usize) -> bool {
        self.heap.len() > 2 * users + Self::SLACK
    }

    /// Keeps only the entries that still count.
    pub(super) fn prune(&mut self, mut counts: impl FnMut(i64, &Aor) -> bool) {
        self.heap.retain(|Reverse((at_us, aor))| counts(*at_us, aor));
    }

    /// Bytes of the heap.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        self.heap.capacity() * size_of::<Reverse<(i64, Aor)>>()
    }

    /// Entries, dead ones included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_up_in_order_of_time_and_not_before() {
        let mut agenda = Agenda::default();
        let aor = |user| Aor::from_parts(user, "example.com");
        agenda.arm(30, aor("carol"));
        agenda.arm(10, aor("alice"));
        agenda.arm(20, aor("bob"));
        assert_eq!(agenda.next(), Some(10));
        assert_eq!(agenda.take_due(9), None);
        assert_eq!(agenda.take_due(20), Some((10, aor("alice"))));
        assert_eq!(agenda.take_due(20), Some((20, aor("bob"))));
        assert_eq!(agenda.take_due(20), None);
    }
}
