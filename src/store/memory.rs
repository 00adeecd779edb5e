//! A store that keeps every promise but durability: for tests, simulations and trials.

use super::{Cursor, DEDUP_WINDOW, Error, Occupied, Page, Put, Reply, Report, Store, Swept};
use crate::vocab::clock::micros;
use crate::vocab::{Aor, Clock, Key, Message, MessageId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::future::ready;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The store. Every answer is there at once, so nothing ever waits in it.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inboxes: BTreeMap<Aor, BTreeMap<Key, Kept>>,
    /// When each message was put that is there, or was put lately.
    identities: HashMap<(Aor, MessageId), i64>,
    /// What was put when, to forget it.
    recent: VecDeque<(i64, Aor, Key)>,
    puts: u64,
    duplicates: u64,
    deletes: u64,
    is_closed: bool,
}

#[derive(Clone)]
struct Kept {
    message: Arc<Message>,
    attempts: u16,
    is_dead: bool,
}

impl Kept {
    fn message(&self) -> Message {
        Message { attempts: self.attempts, ..Message::clone(&self.message) }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl MemoryStore {
    /// An empty store. The clock tells when a put has left [`DEDUP_WINDOW`].
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut State) -> T) -> Reply<T> {
        let mut state = self.lock();
        let answer = if state.is_closed {
            Err(Error::Unavailable("the store was closed".into()))
        } else {
            Ok(act(&mut state))
        };
        Box::pin(ready(answer))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, message: Arc<Message>, now_us: i64) -> Put {
        self.forget(now_us);
        let name = (message.owner.clone(), message.key.id);
        if self.identities.contains_key(&name) {
            self.duplicates += 1;
            return Put::Duplicate;
        }
        self.puts += 1;
        self.identities.insert(name, now_us);
        self.recent.push_back((now_us, message.owner.clone(), message.key));
        let kept = Kept { attempts: message.attempts, is_dead: false, message };
        let inbox = self.inboxes.entry(kept.message.owner.clone()).or_default();
        inbox.insert(kept.message.key, kept);
        Put::Stored
    }

    /// Forgets identities that are out of the window and whose messages are gone.
    fn forget(&mut self, now_us: i64) {
        let window_us = i64::try_from(micros(DEDUP_WINDOW)).unwrap_or(i64::MAX);
        while self.recent.front().is_some_and(|(put_us, ..)| now_us - put_us > window_us) {
            let Some((_, aor, key)) = self.recent.pop_front() else { return };
            if !self.has(&aor, key) {
                self.identities.remove(&(aor, key.id));
            }
        }
    }

    fn has(&self, aor: &Aor, key: Key) -> bool {
        self.inboxes.get(aor).is_some_and(|inbox| inbox.contains_key(&key))
    }

    fn delete(&mut self, aor: &Aor, key: Key) -> Option<Kept> {
        let inbox = self.inboxes.get_mut(aor)?;
        let gone = inbox.remove(&key)?;
        if inbox.is_empty() {
            self.inboxes.remove(aor);
        }
        self.deletes += 1;
        // Its identity stays as long as `recent` has it.
        let name = (aor.clone(), key.id);
        let oldest_us = self.recent.front().map_or(i64::MAX, |(put_us, ..)| *put_us);
        if self.identities.get(&name).is_some_and(|put_us| *put_us < oldest_us) {
            self.identities.remove(&name);
        }
        Some(gone)
    }

    fn live(&mut self, aor: &Aor, key: Key) -> Option<&mut Kept> {
        self.inboxes.get_mut(aor)?.get_mut(&key).filter(|kept| !kept.is_dead)
    }

    fn exhume(&mut self, aor: &Aor, key: Key) -> bool {
        let kept = self.inboxes.get_mut(aor).and_then(|inbox| inbox.get_mut(&key));
        let Some(kept) = kept.filter(|kept| kept.is_dead) else { return false };
        kept.is_dead = false;
        kept.attempts = 0;
        true
    }

    fn page(&self, aor: &Aor, after: Option<Key>, messages: usize, bytes: usize) -> Page {
        let mut page = Page { messages: Vec::new(), is_last: true };
        let Some(inbox) = self.inboxes.get(aor) else { return page };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut held = 0;
        for kept in inbox.range((from, Bound::Unbounded)).map(|(_, kept)| kept) {
            if kept.is_dead {
                continue;
            }
            held += kept.message.size_bytes();
            if page.messages.len() == messages || (held > bytes && !page.messages.is_empty()) {
                page.is_last = false;
                break;
            }
            page.messages.push(kept.message());
        }
        page
    }

    fn dead_letters(
        &self,
        only: Option<&Aor>,
        from: Option<&(Aor, Key)>,
        limit: usize,
    ) -> (Vec<Message>, Option<Cursor>) {
        let mut found: Vec<Message> = Vec::new();
        for (aor, inbox) in &self.inboxes {
            if only.is_some_and(|only| only != aor) {
                continue;
            }
            for (key, kept) in inbox.iter().filter(|(_, kept)| kept.is_dead) {
                if from.is_some_and(|(last, after)| (aor, key) <= (last, after)) {
                    continue;
                }
                if found.len() >= limit {
                    let cursor = found.last().map(|last| cursor(&last.owner, Some(last.key)));
                    return (found, cursor);
                }
                found.push(kept.message());
            }
        }
        (found, None)
    }

    fn count(&self, aor: &Aor) -> u32 {
        self.inboxes.get(aor).map_or(0, live_in)
    }

    fn occupied(&self, from: Option<Aor>, limit: usize) -> (Vec<Occupied>, Option<Cursor>) {
        let mut found: Vec<Occupied> = Vec::new();
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        for (aor, inbox) in self.inboxes.range((from, Bound::Unbounded)) {
            let messages = live_in(inbox);
            if messages == 0 {
                continue;
            }
            if found.len() >= limit {
                return (found, Some(cursor(aor, None)));
            }
            found.push(Occupied { aor: aor.clone(), messages });
        }
        (found, None)
    }

    fn sweep(&mut self, unix_s: i64, limit: usize) -> Swept {
        let expired = self.inboxes.iter().flat_map(|(aor, inbox)| {
            let expired = inbox.iter().filter(|(_, kept)| kept.message.is_expired(unix_s));
            expired.map(|(key, _)| (aor.clone(), *key))
        });
        let mut victims: Vec<(Aor, Key)> = expired.take(limit.saturating_add(1)).collect();
        let more = victims.len() > limit;
        victims.truncate(limit);
        let mut removed: BTreeMap<Aor, u32> = BTreeMap::new();
        for (aor, key) in victims {
            if self.delete(&aor, key).is_some_and(|kept| !kept.is_dead) {
                *removed.entry(aor).or_default() += 1;
            }
        }
        Swept { removed: removed.into_iter().collect(), more }
    }
}

fn live_in(inbox: &BTreeMap<Key, Kept>) -> u32 {
    let live = inbox.values().filter(|kept| !kept.is_dead).count();
    u32::try_from(live).unwrap_or(u32::MAX)
}

/// `inc_us`, `mid`, name.
fn cursor(aor: &Aor, key: Option<Key>) -> Cursor {
    let key = key.unwrap_or(Key { inc_us: 0, id: MessageId([0; 16]) });
    let mut out = key.inc_us.to_le_bytes().to_vec();
    out.extend_from_slice(&key.id.0);
    out.extend_from_slice(aor.as_str().as_bytes());
    Cursor(out)
}

/// Reads what [`cursor`] wrote; what makes no sense starts from the beginning.
fn place(cursor: Option<Cursor>) -> Option<(Aor, Key)> {
    let bytes = cursor?.0;
    let inc_us = i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let id = MessageId(bytes.get(8..24)?.try_into().ok()?);
    let aor = Aor::from_canonical(std::str::from_utf8(&bytes[24..]).ok()?)?;
    Some((aor, Key { inc_us, id }))
}

impl Store for MemoryStore {
    fn put(&self, message: Arc<Message>) -> Reply<Put> {
        let now_us = self.clock.now().unix_us;
        self.with(|state| state.put(message, now_us))
    }

    fn page(&self, aor: &Aor, after: Option<Key>, messages: usize, bytes: usize) -> Reply<Page> {
        self.with(|state| state.page(aor, after, messages, bytes))
    }

    fn delete(&self, aor: &Aor, key: Key) -> Reply<()> {
        self.with(|state| drop(state.delete(aor, key)))
    }

    fn set_attempts(&self, aor: &Aor, key: Key, attempts: u16) -> Reply<()> {
        self.with(|state| {
            if let Some(kept) = state.live(aor, key) {
                kept.attempts = attempts;
            }
        })
    }

    fn bury(&self, aor: &Aor, key: Key) -> Reply<()> {
        self.with(|state| {
            if let Some(kept) = state.live(aor, key) {
                kept.is_dead = true;
            }
        })
    }

    fn exhume(&self, aor: &Aor, key: Key) -> Reply<bool> {
        self.with(|state| state.exhume(aor, key))
    }

    fn dead_letters(
        &self,
        aor: Option<&Aor>,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Message>, Option<Cursor>)> {
        self.with(|state| state.dead_letters(aor, place(from).as_ref(), limit))
    }

    fn count(&self, aor: &Aor, up_to: u32) -> Reply<u32> {
        self.with(|state| state.count(aor).min(up_to))
    }

    fn occupied(
        &self,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Occupied>, Option<Cursor>)> {
        self.with(|state| state.occupied(place(from).map(|(aor, _)| aor), limit))
    }

    fn sweep(&self, unix_s: i64, limit: usize) -> Reply<Swept> {
        self.with(|state| state.sweep(unix_s, limit))
    }

    fn newest_inc_us(&self) -> i64 {
        0
    }

    fn report(&self) -> Report {
        let state = self.lock();
        let counters = vec![
            ("puts", state.puts),
            ("duplicates", state.duplicates),
            ("deletes", state.deletes),
        ];
        Report { counters }
    }

    fn close(&self) -> Reply<()> {
        self.with(|state| state.is_closed = true)
    }
}
