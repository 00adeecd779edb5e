//! The ledger: what was accepted, what arrived, and when the node was killed.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A delivery that a phone answered so shortly before a kill may have been in flight: its answer
/// on the way, or its removal not yet durable. The store takes 20 ms at most, the machine that runs
/// the test may take longer; see [`Figures::oldest_repeat`] for what it really was.
const IN_FLIGHT: Duration = Duration::from_millis(300);
/// Accepted and not arrived: with more than that people stop writing for a while.
const BACKLOG: usize = 1_500;

/// One message.
#[derive(Default)]
struct Entry {
    user: String,
    is_accepted: bool,
    /// When a phone answered 200, retransmissions not counted.
    arrivals: Vec<Instant>,
}

#[derive(Default)]
struct Book {
    entries: BTreeMap<u64, Entry>,
    accepted: usize,
    arrived: usize,
    events: u64,
    /// When each kill was ordered.
    kills: Vec<Instant>,
}

impl Book {
    /// When a message arrived, and when the node was killed around that.
    fn story(&self, serial: u64) -> String {
        let entry = &self.entries[&serial];
        let from = entry.arrivals[0];
        let ms = |at: &Instant| match at.checked_duration_since(from) {
            Some(after) => format!("{:+.1} ms", after.as_secs_f64() * 1e3),
            None => format!("{:+.1} ms", -from.duration_since(*at).as_secs_f64() * 1e3),
        };
        let arrivals: Vec<String> = entry.arrivals.iter().map(ms).collect();
        let last = entry.arrivals[entry.arrivals.len() - 1];
        let kills = self.kills.iter().filter(|k| **k + 2 * IN_FLIGHT > from && **k < last);
        let kills: Vec<String> = kills.map(ms).collect();
        format!("{serial} for {} arrived {arrivals:?}, kills {kills:?}", entry.user)
    }
}

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub kills: usize,
    pub accepted: usize,
    /// Accepted and never delivered.
    pub lost: Vec<u64>,
    /// Delivered again, in flight at a kill.
    pub repeated: usize,
    /// Delivered again without a kill in between, or though it was over long before.
    pub doubled: Vec<String>,
    /// The most messages of one user that one kill repeated.
    pub most_repeats: usize,
    /// How long before the kill the oldest of what was repeated had been answered.
    pub oldest_repeat: Duration,
}

/// Shared by everybody.
#[derive(Default)]
pub struct Ledger {
    book: Mutex<Book>,
    more: Condvar,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn event(&self, mut book: MutexGuard<'_, Book>) {
        book.events += 1;
        self.more.notify_all();
    }

    /// A message is about to be sent. Waits while too many are under way.
    pub fn written(&self, serial: u64, user: &str) {
        let full = |book: &mut Book| book.accepted > book.arrived + BACKLOG;
        let (mut book, _) = self
            .more
            .wait_timeout_while(self.book(), Duration::from_secs(1), full)
            .unwrap_or_else(PoisonError::into_inner);
        let user = user.to_owned();
        book.entries.insert(serial, Entry { user, ..Entry::default() });
    }

    /// Its sender has a final answer: from here on it is the node's.
    pub fn accepted(&self, serial: u64) {
        let mut book = self.book();
        book.accepted += 1;
        book.entries.get_mut(&serial).expect("written before").is_accepted = true;
        self.event(book);
    }

    /// A phone is about to answer 200 to a request it has not seen before.
    pub fn arrived(&self, serial: u64) {
        let mut book = self.book();
        let entry = book.entries.get_mut(&serial).expect("nobody else writes");
        entry.arrivals.push(Instant::now());
        let is_first = entry.arrivals.len() == 1;
        book.arrived += usize::from(is_first);
        self.event(book);
    }

    /// Waits for so many events; gives up after a while.
    pub fn let_pass(&self, events: u64) {
        let book = self.book();
        let until = book.events + events;
        let too_few = |book: &mut Book| book.events < until;
        drop(self.more.wait_timeout_while(book, Duration::from_secs(5), too_few));
    }

    /// The node is about to be killed.
    pub fn kill(&self) {
        self.book().kills.push(Instant::now());
    }

    /// True when everything accepted has arrived.
    pub fn is_settled(&self) -> bool {
        self.book().entries.values().all(|e| !e.is_accepted || !e.arrivals.is_empty())
    }

    /// Sums up.
    pub fn figures(&self) -> Figures {
        let book = self.book();
        let mut figures =
            Figures { kills: book.kills.len(), accepted: book.accepted, ..Figures::default() };
        let mut repeats: BTreeMap<(usize, &str), usize> = BTreeMap::new();
        for (serial, entry) in &book.entries {
            if entry.is_accepted && entry.arrivals.is_empty() {
                figures.lost.push(*serial);
            }
            for pair in entry.arrivals.windows(2) {
                let (first, again) = (pair[0], pair[1]);
                let age = |kill: &Instant| kill.saturating_duration_since(first);
                let excuse = book.kills.iter().position(|k| *k < again && first < *k + IN_FLIGHT);
                match excuse.map(|kill| (kill, age(&book.kills[kill]))) {
                    Some((kill, age)) if age < IN_FLIGHT => {
                        figures.repeated += 1;
                        figures.oldest_repeat = figures.oldest_repeat.max(age);
                        *repeats.entry((kill, &entry.user)).or_default() += 1;
                    }
                    Some(_) | None => figures.doubled.push(book.story(*serial)),
                }
            }
        }
        figures.most_repeats = repeats.values().copied().max().unwrap_or(0);
        figures
    }
}

impl Figures {
    /// What is wrong with them, if anything.
    pub fn complaint(&self) -> Option<String> {
        let is_fine = self.lost.is_empty() && self.doubled.is_empty();
        (!is_fine).then(|| format!("{self:#?}"))
    }
}
