//! The disk of a world: outlives the node, takes its time, and fails as the weather says.
//!
//! Writes go to it in the order they were asked for, like those of a group commit; a crash keeps
//! some of what was under way and loses the rest. Nobody hears of what a crash kept.
//!
//! Deletes are answered before they are durable, as the contract allows: until then the message is
//! only hidden, and a crash may bring it back.

use super::chance::Chance;
use super::letter::Left;
use super::weather::DiskFaults;
use super::witness::Witness;
use futures_util::FutureExt;
use futures_util::future::ready;
use sipsilo::store::memory::MemoryStore;
use sipsilo::store::{Cursor, Error, Occupied, Page, Put, Reply, Report, Store, Swept};
use sipsilo::vocab::{Aor, Key, Message, limits};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// What a panicking call says; whoever prints panics may leave this one out.
pub const INJECTED: &str = "a fault was injected";

/// So long a delete may be answered and not durable.
const LAZY: Duration = Duration::from_millis(20);

type Work = Box<dyn FnOnce(&Disk) + Send>;

struct State {
    chance: Chance,
    faults: DiskFaults,
    is_down: bool,
    /// Counts the lives of the node: whoever mounted the disk earlier is gone.
    mount: u32,
    /// Writes under way, in order.
    pending: BTreeMap<u64, Work>,
    next: u64,
    /// Writes are done no earlier than those before them.
    busy_until: Instant,
    newest_inc_us: i64,
    /// Deletes that a crash may still undo, in order.
    hidden: VecDeque<(Aor, Key)>,
}

/// The disk.
pub struct Disk {
    inner: MemoryStore,
    witness: Arc<Witness>,
    state: Mutex<State>,
}

/// The disk as one life of the node sees it.
pub struct Mount {
    disk: Arc<Disk>,
    number: u32,
}

enum Fate {
    Well,
    Slow,
    Busy,
    Lost,
    Happened,
}

fn unavailable<T>() -> Result<T, Error> {
    Err(Error::Unavailable("a fault was injected".into()))
}

fn done<T>(reply: Reply<T>) -> Result<T, Error> {
    reply.now_or_never().expect("the memory store answers at once")
}

impl Disk {
    pub fn new(inner: MemoryStore, witness: Arc<Witness>, chance: Chance) -> Arc<Self> {
        let state = State {
            chance,
            faults: DiskFaults::default(),
            is_down: false,
            mount: 0,
            pending: BTreeMap::new(),
            next: 0,
            busy_until: Instant::now(),
            newest_inc_us: 0,
            hidden: VecDeque::new(),
        };
        Arc::new(Self { inner, witness, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this goes wrong.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.state().faults = faults;
    }

    /// Takes the disk down, or up again.
    pub fn set_down(&self, is_down: bool) {
        self.witness.note(if is_down { "disk down" } else { "disk up" });
        self.state().is_down = is_down;
    }

    /// The node begins a life.
    pub fn mount(self: &Arc<Self>) -> Arc<dyn Store> {
        let mut state = self.state();
        state.mount += 1;
        Arc::new(Mount { disk: self.clone(), number: state.mount })
    }

    /// The node died: of the writes under way the first few, and no others, came through.
    pub fn crash(&self) {
        let mut state = self.state();
        state.mount += 1;
        let under_way = std::mem::take(&mut state.pending);
        let most = under_way.len() as u64;
        let kept = state.chance.from(0..=most);
        state.busy_until = Instant::now();
        drop(state);
        self.witness.note(&format!("crash: {kept} of {most} writes came through"));
        for (_, work) in under_way.into_iter().take(kept as usize) {
            work(self);
        }
        let mut state = self.state();
        let hidden = std::mem::take(&mut state.hidden);
        let gone = state.chance.from(0..=hidden.len() as u64) as usize;
        drop(state);
        for (index, (owner, key)) in hidden.into_iter().enumerate() {
            if index < gone {
                self.forget(&owner, key);
            } else if done(self.inner.exhume(&owner, key)) == Ok(true) {
                self.witness.came_back(owner.as_str(), key);
            }
        }
    }

    /// Hides a message that is to be deleted.
    fn hide(&self, owner: &Aor, key: Key) -> Result<(), Error> {
        done(self.inner.bury(owner, key))?;
        self.state().hidden.push_back((owner.clone(), key));
        Ok(())
    }

    fn forget(&self, owner: &Aor, key: Key) {
        done(self.inner.delete(owner, key)).expect("the memory store is up");
    }

    /// Something was made durable: so was every delete before it.
    fn sync(&self) {
        let hidden = std::mem::take(&mut self.state().hidden);
        hidden.into_iter().for_each(|(owner, key)| self.forget(&owner, key));
    }

    /// Messages in all inboxes, dead letters not counted.
    pub fn live(&self) -> u32 {
        let found = done(self.inner.occupied(None, usize::MAX)).expect("the memory store is up");
        found.0.iter().map(|o| o.messages).sum()
    }

    fn fate(&self, owner: Option<&Aor>) -> Fate {
        let mut state = self.state();
        let faults = state.faults;
        if let Some(owner) = owner
            && faults.panics > 0.0
            && state.chance.hits(faults.panics)
        {
            drop(state);
            self.witness.actor_dies(owner.as_str());
            std::panic::panic_any(INJECTED);
        }
        if state.is_down {
            return Fate::Lost;
        }
        let mut at = state.chance.share(0.0, 1.0);
        for (share, fate) in [
            (faults.busy, Fate::Busy),
            (faults.lost, Fate::Lost),
            (faults.happened, Fate::Happened),
            (faults.slow, Fate::Slow),
        ] {
            if at < share {
                return fate;
            }
            at -= share;
        }
        Fate::Well
    }

    fn pause(&self, fate: &Fate) -> Duration {
        let mut state = self.state();
        match fate {
            Fate::Slow => state.chance.ms(500..=12_000),
            Fate::Well | Fate::Lost | Fate::Happened | Fate::Busy => state.chance.ms(0..=8),
        }
    }

    /// Does `work` if it is still to be done.
    fn run(&self, number: u64) {
        let work = self.state().pending.remove(&number);
        if let Some(work) = work {
            work(self);
        }
    }
}

impl Mount {
    fn is_gone(&self) -> bool {
        self.disk.state().mount != self.number
    }

    /// A write: `act` does it, once it is its turn; the answer comes a little later.
    fn write<T: Send + 'static>(
        &self,
        owner: Option<&Aor>,
        act: impl FnOnce(&Disk) -> Result<T, Error> + Send + 'static,
        told: impl FnOnce(&Disk, &Result<T, Error>) + Send + 'static,
    ) -> Reply<T> {
        if self.is_gone() {
            return Box::pin(ready(unavailable()));
        }
        let fate = self.disk.fate(owner);
        let (pause, after) = (self.disk.pause(&fate), self.disk.pause(&Fate::Well));
        if matches!(fate, Fate::Busy) {
            return Box::pin(ready(Err(Error::Busy { waiting: 0 })));
        }
        let (result, answer) = oneshot::channel();
        let is_lost = matches!(fate, Fate::Lost);
        let work: Work = Box::new(move |disk| {
            // Nobody may be there any more to hear it.
            let _ = result.send(if is_lost { unavailable() } else { act(disk) });
        });
        let disk = self.disk.clone();
        let mut state = disk.state();
        state.busy_until = state.busy_until.max(Instant::now() + pause);
        let (at, number) = (state.busy_until, state.next);
        state.next += 1;
        state.pending.insert(number, work);
        drop(state);
        let mount = self.number;
        let (tell, told_node) = oneshot::channel();
        tokio::spawn(async move {
            sleep_until(at).await;
            disk.run(number);
            let Ok(result) = answer.await else { return };
            sleep_until(Instant::now() + after).await;
            if disk.state().mount != mount {
                return;
            }
            let result = if matches!(fate, Fate::Happened) { unavailable() } else { result };
            told(&disk, &result);
            let _ = tell.send(result);
        });
        Box::pin(async move { told_node.await.unwrap_or_else(|_| unavailable()) })
    }

    /// A read: sees what is written at some moment between question and answer.
    fn read<T: Send + 'static>(
        &self,
        owner: Option<&Aor>,
        act: impl FnOnce(&MemoryStore) -> Reply<T> + Send + 'static,
    ) -> Reply<T> {
        let fate = self.disk.fate(owner);
        let (before, after) = (self.disk.pause(&fate), self.disk.pause(&Fate::Well));
        let disk = self.disk.clone();
        match fate {
            Fate::Busy => Box::pin(ready(Err(Error::Busy { waiting: 0 }))),
            Fate::Lost | Fate::Happened => Box::pin(async move {
                sleep_until(Instant::now() + before).await;
                unavailable()
            }),
            Fate::Well | Fate::Slow => Box::pin(async move {
                sleep_until(Instant::now() + before).await;
                let result = done(act(&disk.inner));
                sleep_until(Instant::now() + after).await;
                result
            }),
        }
    }
}

impl Store for Mount {
    fn put(&self, message: Arc<Message>) -> Reply<Put> {
        let (owner, again) = (message.owner.clone(), message.clone());
        let life = self.disk.witness.asked_to_put(&message);
        let act = move |disk: &Disk| {
            disk.sync();
            let put = done(disk.inner.put(message.clone()))?;
            if put == Put::Stored {
                let held = done(disk.inner.count(&message.owner, u32::MAX))?;
                let mut state = disk.state();
                state.newest_inc_us = state.newest_inc_us.max(message.key.inc_us);
                drop(state);
                disk.witness.applied(&message, held);
            }
            Ok(put)
        };
        self.write(Some(&owner), act, move |disk, result| {
            if let Ok(put) = result {
                disk.witness.put_answered(&again, *put == Put::Stored, life);
            }
        })
    }

    fn page(&self, aor: &Aor, after: Option<Key>, messages: usize, bytes: usize) -> Reply<Page> {
        if messages > limits::PAGE_MESSAGES || bytes > limits::PAGE_BYTES {
            self.disk.witness.accuse(format!("bounds: a page of {messages} messages"));
        }
        let (owner, witness) = (aor.clone(), self.disk.witness.clone());
        let page = self.read(Some(aor), move |store| store.page(&owner, after, messages, bytes));
        let owner = aor.clone();
        Box::pin(async move {
            let page = page.await;
            match &page {
                Ok(page) => witness.read(&page.messages),
                Err(_) => witness.not_read(owner.as_str()),
            }
            page
        })
    }

    fn delete(&self, aor: &Aor, key: Key) -> Reply<()> {
        self.disk.witness.asked_to_delete(aor.as_str(), key);
        let owner = aor.clone();
        let act = move |disk: &Disk| {
            disk.witness.left(owner.as_str(), key, Left::Deleted);
            disk.hide(&owner, key)
        };
        let disk = self.disk.clone();
        let told = move |_: &Disk, _: &Result<(), Error>| {
            tokio::spawn(async move {
                sleep_until(Instant::now() + LAZY).await;
                disk.sync();
            });
        };
        self.write(Some(aor), act, told)
    }

    fn set_attempts(&self, aor: &Aor, key: Key, attempts: u16) -> Reply<()> {
        let owner = aor.clone();
        let act = move |disk: &Disk| done(disk.inner.set_attempts(&owner, key, attempts));
        self.write(Some(aor), act, |_, _| ())
    }

    fn bury(&self, aor: &Aor, key: Key) -> Reply<()> {
        self.disk.witness.asked_to_bury(aor.as_str(), key);
        let owner = aor.clone();
        let act = move |disk: &Disk| {
            disk.witness.left(owner.as_str(), key, Left::Buried);
            done(disk.inner.bury(&owner, key))
        };
        self.write(Some(aor), act, |_, _| ())
    }

    fn exhume(&self, aor: &Aor, key: Key) -> Reply<bool> {
        let owner = aor.clone();
        self.write(None, move |disk| done(disk.inner.exhume(&owner, key)), |_, _| ())
    }

    fn dead_letters(
        &self,
        aor: Option<&Aor>,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Message>, Option<Cursor>)> {
        let aor = aor.cloned();
        self.read(None, move |store| store.dead_letters(aor.as_ref(), from, limit))
    }

    fn count(&self, aor: &Aor, up_to: u32) -> Reply<u32> {
        let (owner, witness) = (aor.clone(), self.disk.witness.clone());
        let of = aor.clone();
        let count = self.read(Some(aor), move |disk| disk.count(&of, up_to));
        Box::pin(async move {
            let count = count.await;
            if count.is_err() {
                witness.not_read(owner.as_str());
            }
            count
        })
    }

    fn occupied(
        &self,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Occupied>, Option<Cursor>)> {
        self.read(None, move |store| store.occupied(from, limit))
    }

    fn sweep(&self, unix_s: i64, limit: usize) -> Reply<Swept> {
        self.disk.witness.asked_to_sweep(unix_s);
        let act = move |disk: &Disk| {
            disk.witness.swept(unix_s);
            done(disk.inner.sweep(unix_s, limit))
        };
        self.write(None, act, |_, _| ())
    }

    fn newest_inc_us(&self) -> i64 {
        self.disk.state().newest_inc_us
    }

    fn report(&self) -> Report {
        self.disk.inner.report()
    }

    fn close(&self) -> Reply<()> {
        // What was begun is done before the answer comes.
        let act = |disk: &Disk| {
            disk.sync();
            Ok(())
        };
        self.write(None, act, |_, _| ())
    }
}
