//! Timers of transactions, without a heap.
//!
//! SIP's timers have few and constant lengths (RFC 3261 section 17.1.2.2): half a second, one
//! second, two, four, thirty-two. Whoever is armed later with the same length is due later, so
//! every length gets a *lane*, a queue in order of due time, and arming, disarming and looking at
//! the next one cost a few writes each. A due time that fits no lane (a shorter timeout asked for
//! by the caller) goes to a small ordered set.
//!
//! Entries live in a slab and the lanes are linked through it: an entry that is answered leaves
//! its lane at once, so the next due time is always that of an entry that still waits, and nobody
//! is woken up for nothing.

use std::collections::BTreeSet;

/// Where an entry stands. Used again after `remove`.
pub(super) type Slot = u32;

/// No entry.
const NONE: Slot = Slot::MAX;
/// The queue of those whose due time fits no lane.
pub(super) const ODD: u8 = u8::MAX;
/// In no queue.
const UNARMED: u8 = u8::MAX - 1;

/// A slab of entries, each with at most one timer.
#[derive(Debug)]
pub(super) struct Timers<T> {
    entries: Vec<Entry<T>>,
    /// The first free entry; free entries are linked by `next`.
    free: Slot,
    len: usize,
    lanes: Vec<Lane>,
    odd: BTreeSet<(u64, Slot)>,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    first: Slot,
    last: Slot,
}

#[derive(Debug)]
struct Entry<T> {
    value: Option<T>,
    due: u64,
    lane: u8,
    previous: Slot,
    next: Slot,
}

impl<T> Timers<T> {
    /// An empty slab with lanes `0..lanes`.
    pub(super) fn new(lanes: u8) -> Self {
        assert!(lanes < UNARMED, "two lane numbers have a meaning of their own");
        Self {
            entries: Vec::new(),
            free: NONE,
            len: 0,
            lanes: vec![Lane { first: NONE, last: NONE }; usize::from(lanes)],
            odd: BTreeSet::new(),
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Keeps a value, without a timer.
    pub(super) fn insert(&mut self, value: T) -> Slot {
        self.len += 1;
        let fresh = Entry { value: Some(value), due: 0, lane: UNARMED, previous: NONE, next: NONE };
        if self.free == NONE {
            let slot = Slot::try_from(self.entries.len()).ok().filter(|&slot| slot != NONE);
            let slot = slot.expect("the tables are bounded far below four thousand million");
            self.entries.push(fresh);
            return slot;
        }
        let slot = self.free;
        self.free = self.entry(slot).next;
        *self.entry_mut(slot) = fresh;
        slot
    }

    /// The value in a slot.
    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.entries.get(slot as usize)?.value.as_ref()
    }

    /// The value in a slot.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.value.as_mut()
    }

    /// Takes the value out and disarms its timer.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        self.entries.get(slot as usize)?.value.as_ref()?;
        self.disarm(slot);
        let free = self.free;
        let entry = self.entry_mut(slot);
        entry.next = free;
        let value = entry.value.take();
        self.free = slot;
        self.len -= 1;
        value
    }

    /// Sets the one timer of an entry that is there; replaces the one it had.
    ///
    /// Within a lane the order of arming is the order of due times. A caller that arms a lane a
    /// little out of order (a late tick) has its timer moved behind the last one there: it is late
    /// by no more than the tick was.
    pub(super) fn arm(&mut self, slot: Slot, lane: u8, due: u64) {
        self.disarm(slot);
        if lane == ODD {
            self.odd.insert((due, slot));
            let entry = self.entry_mut(slot);
            entry.due = due;
            entry.lane = ODD;
            return;
        }
        let last = self.lanes[usize::from(lane)].last;
        let due = if last == NONE { due } else { due.max(self.entry(last).due) };
        let entry = self.entry_mut(slot);
        entry.due = due;
        entry.lane = lane;
        entry.previous = last;
        entry.next = NONE;
        if last == NONE {
            self.lanes[usize::from(lane)].first = slot;
        } else {
            self.entry_mut(last).next = slot;
        }
        self.lanes[usize::from(lane)].last = slot;
    }

    /// When the next timer is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.earliest().map(|(due, _)| due)
    }

    /// Takes the timer that is due first, if it is due: earliest first over all lanes. The entry
    /// stays, without a timer.
    pub(super) fn pop_due(&mut self, now_us: u64) -> Option<(Slot, u64)> {
        let (due, slot) = self.earliest().filter(|&(due, _)| due <= now_us)?;
        self.disarm(slot);
        Some((slot, due))
    }

    fn earliest(&self) -> Option<(u64, Slot)> {
        let lanes = self.lanes.iter().filter(|lane| lane.first != NONE);
        let first = lanes.map(|lane| (self.entry(lane.first).due, lane.first)).min();
        match (first, self.odd.first().copied()) {
            (Some(lane), Some(odd)) => Some(lane.min(odd)),
            (lane, odd) => lane.or(odd),
        }
    }

    fn disarm(&mut self, slot: Slot) {
        let entry = self.entry_mut(slot);
        let (lane, due, previous, next) = (entry.lane, entry.due, entry.previous, entry.next);
        entry.lane = UNARMED;
        if lane == UNARMED {
            return;
        }
        if lane == ODD {
            self.odd.remove(&(due, slot));
            return;
        }
        match previous {
            NONE => self.lanes[usize::from(lane)].first = next,
            before => self.entry_mut(before).next = next,
        }
        match next {
            NONE => self.lanes[usize::from(lane)].last = previous,
            after => self.entry_mut(after).previous = previous,
        }
    }

    fn entry(&self, slot: Slot) -> &Entry<T> {
        &self.entries[slot as usize]
    }

    fn entry_mut(&mut self, slot: Slot) -> &mut Entry<T> {
        &mut self.entries[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(timers: &mut Timers<char>, now_us: u64) -> String {
        let mut order = String::new();
        while let Some((slot, _)) = timers.pop_due(now_us) {
            order.push(timers.remove(slot).unwrap());
        }
        order
    }

    #[test]
    fn the_earliest_of_all_lanes_comes_first() {
        let mut timers = Timers::new(2);
        for (name, lane, due) in [('c', 0, 30), ('a', 1, 10), ('b', ODD, 20), ('d', 1, 40)] {
            let slot = timers.insert(name);
            timers.arm(slot, lane, due);
        }
        assert_eq!(timers.next_due(), Some(10));
        assert_eq!(drain(&mut timers, 9), "");
        assert_eq!(drain(&mut timers, 30), "abc");
        assert_eq!(timers.next_due(), Some(40));
    }

    #[test]
    fn one_that_left_wakes_nobody() {
        let mut timers = Timers::new(1);
        let slots: Vec<Slot> = "abc".chars().map(|name| timers.insert(name)).collect();
        for (slot, due) in slots.iter().zip([1, 2, 3]) {
            timers.arm(*slot, 0, due);
        }
        assert_eq!(timers.remove(slots[0]), Some('a'));
        assert_eq!(timers.next_due(), Some(2));
        assert_eq!(timers.remove(slots[2]), Some('c'));
        assert_eq!(timers.remove(slots[1]), Some('b'));
        assert_eq!((timers.next_due(), timers.len()), (None, 0));
    }

    #[test]
    fn a_slot_is_used_again_and_its_old_timer_is_gone() {
        let mut timers = Timers::new(1);
        let slot = timers.insert('a');
        timers.arm(slot, ODD, 5);
        assert_eq!(timers.remove(slot), Some('a'));
        assert_eq!(timers.remove(slot), None);
        assert_eq!(timers.insert('b'), slot);
        assert_eq!(timers.next_due(), None);
        assert_eq!(timers.get(slot), Some(&'b'));
    }

    #[test]
    fn arming_again_moves_the_timer() {
        let mut timers = Timers::new(2);
        let slot = timers.insert('a');
        timers.arm(slot, 0, 5);
        timers.arm(slot, 1, 9);
        assert_eq!(timers.pop_due(8), None);
        assert_eq!(timers.pop_due(9), Some((slot, 9)));
        assert_eq!(timers.pop_due(9), None);
    }

    #[test]
    fn a_timer_armed_out_of_order_waits_behind_the_last_one_of_its_lane() {
        let mut timers = Timers::new(1);
        for (name, due) in [('a', 10), ('b', 8)] {
            let slot = timers.insert(name);
            timers.arm(slot, 0, due);
        }
        assert_eq!(timers.next_due(), Some(10));
        assert_eq!(drain(&mut timers, 10), "ab");
    }
}
