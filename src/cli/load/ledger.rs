//! What became of each message.

use ahash::AHashSet;

/// What the server answered a MESSAGE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing final.
    #[default]
    Unknown,
    /// 202: in the server's custody.
    Stored,
    /// 200 and other 2xx: a user agent took it.
    Relayed,
    /// An error.
    Refused,
}

/// One message.
#[derive(Clone, Copy, Default)]
struct Entry {
    verdict: Verdict,
    user: u32,
    arrivals: u8,
}

/// The account of all messages of a run; they are numbered from 0.
#[derive(Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    /// Transactions seen: a retransmission is no second delivery.
    seen: AHashSet<u64>,
    /// The number of the last message each user got that was stored in order.
    last: Vec<u32>,
    pub(super) delivered: u64,
    pub(super) retransmissions: u64,
    pub(super) repeated: u64,
    pub(super) out_of_order: u64,
    pub(super) strangers: u64,
}

impl Ledger {
    pub(super) fn new(users: u32) -> Self {
        Self { last: vec![0; users as usize], ..Self::default() }
    }

    /// Message number `n` goes to `user`.
    pub(super) fn sent(&mut self, n: u32, user: u32, verdict: Verdict) {
        let n = n as usize;
        if self.entries.len() <= n {
            self.entries.resize(n + 1, Entry::default());
        }
        self.entries[n].user = user;
        self.entries[n].verdict = verdict;
    }

    /// The server answered message `n`.
    pub(super) fn answered(&mut self, n: u32, verdict: Verdict) {
        if let Some(entry) = self.entries.get_mut(n as usize) {
            entry.verdict = verdict;
        }
    }

    /// A MESSAGE arrived that names `user` and number `n`; true for the first arrival of this
    /// message.
    pub(super) fn arrived(&mut self, transaction: u64, name: Option<(u32, u32)>) -> bool {
        if !self.seen.insert(transaction) {
            self.retransmissions += 1;
            return false;
        }
        let Some((user, n)) = name else {
            self.strangers += 1;
            return false;
        };
        let Some(entry) = self.entries.get_mut(n as usize).filter(|entry| entry.user == user)
        else {
            self.strangers += 1;
            return false;
        };
        entry.arrivals = entry.arrivals.saturating_add(1);
        if entry.arrivals > 1 {
            self.repeated += 1;
            return false;
        }
        self.delivered += 1;
        if entry.verdict == Verdict::Stored {
            let last = &mut self.last[user as usize];
            if n + 1 < *last {
                self.out_of_order += 1;
            }
            *last = n + 1;
        }
        true
    }

    /// Messages in custody that nobody got, or that the server said a user agent took and none
    /// did.
    pub(super) fn missing(&self) -> u64 {
        let is_missing = |entry: &&Entry| {
            entry.arrivals == 0 && matches!(entry.verdict, Verdict::Stored | Verdict::Relayed)
        };
        self.entries.iter().filter(is_missing).count() as u64
    }

    /// How many messages were answered so.
    pub(super) fn count(&self, verdict: Verdict) -> u64 {
        self.entries.iter().filter(|entry| entry.verdict == verdict).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_came_twice_in_two_transactions_is_repeated() {
        let mut ledger = Ledger::new(1);
        ledger.sent(0, 0, Verdict::Stored);
        assert!(ledger.arrived(1, Some((0, 0))));
        assert!(!ledger.arrived(1, Some((0, 0))));
        assert!(!ledger.arrived(2, Some((0, 0))));
        assert_eq!((ledger.delivered, ledger.retransmissions, ledger.repeated), (1, 1, 1));
    }

    #[test]
    fn what_was_accepted_and_never_came_is_missing() {
        let mut ledger = Ledger::new(2);
        ledger.sent(0, 0, Verdict::Unknown);
        ledger.sent(1, 1, Verdict::Unknown);
        ledger.answered(1, Verdict::Stored);
        assert_eq!(ledger.missing(), 1);
    }

    #[test]
    fn a_message_that_overtakes_is_out_of_order() {
        let mut ledger = Ledger::new(1);
        for n in 0..2 {
            ledger.sent(n, 0, Verdict::Stored);
        }
        ledger.arrived(1, Some((0, 1)));
        ledger.arrived(2, Some((0, 0)));
        assert_eq!(ledger.out_of_order, 1);
    }
}
