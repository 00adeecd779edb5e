//! A store in front of another that fails on purpose, by a seed: for tests and the simulator.

use super::{Cursor, Error, Occupied, Page, Put, Reply, Report, Store, Swept};
use crate::vocab::{Aor, Key, Message};
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

/// How often what goes wrong: probabilities between 0 and 1, for each operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// It is refused at once: [`Error::Busy`].
    pub busy: f64,
    /// It does not happen, and says so: [`Error::Unavailable`].
    pub lost: f64,
    /// It happens, and says that it did not: [`Error::Unavailable`].
    pub happened: f64,
    /// It happens, and its answer waits for the gate.
    pub slow: f64,
}

/// What a slow answer waits for.
pub type Gate = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The decorator. Reads fail like writes; `report`, `close` and `newest_inc_us` never do.
pub struct Failing<S> {
    inner: S,
    state: Mutex<(StdRng, Faults)>,
    gate: Gate,
}

impl<S> fmt::Debug for Failing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

enum Fate {
    Well,
    Busy,
    Lost,
    Happened,
    Slow,
}

impl<S: Store> Failing<S> {
    /// Puts faults in front of `inner`. The same seed and the same calls give the same faults.
    pub fn new(inner: S, seed: u64, faults: Faults, gate: Gate) -> Self {
        Self { inner, state: Mutex::new((StdRng::seed_from_u64(seed), faults)), gate }
    }

    /// Changes how often things go wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = faults;
    }

    fn fate(&self) -> Fate {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (rng, faults) = &mut *state;
        let mut at: f64 = rng.random();
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

    fn run<T: Send + 'static>(&self, act: impl FnOnce(&S) -> Reply<T>) -> Reply<T> {
        let injected = || Error::Unavailable("a fault was injected".into());
        match self.fate() {
            Fate::Well => act(&self.inner),
            Fate::Busy => Box::pin(ready(Err(Error::Busy { waiting: 0 }))),
            Fate::Lost => Box::pin(ready(Err(injected()))),
            Fate::Happened => {
                let answer = act(&self.inner);
                Box::pin(async move {
                    drop(answer.await);
                    Err(injected())
                })
            }
            Fate::Slow => {
                let (answer, gate) = (act(&self.inner), (self.gate)());
                Box::pin(async move {
                    gate.await;
                    answer.await
                })
            }
        }
    }
}

impl<S: Store> Store for Failing<S> {
    fn put(&self, message: Arc<Message>) -> Reply<Put> {
        self.run(|store| store.put(message))
    }

    fn page(&self, aor: &Aor, after: Option<Key>, messages: usize, bytes: usize) -> Reply<Page> {
        self.run(|store| store.page(aor, after, messages, bytes))
    }

    fn delete(&self, aor: &Aor, key: Key) -> Reply<()> {
        self.run(|store| store.delete(aor, key))
    }

    fn set_attempts(&self, aor: &Aor, key: Key, attempts: u16) -> Reply<()> {
        self.run(|store| store.set_attempts(aor, key, attempts))
    }

    fn bury(&self, aor: &Aor, key: Key) -> Reply<()> {
        self.run(|store| store.bury(aor, key))
    }

    fn exhume(&self, aor: &Aor, key: Key) -> Reply<bool> {
        self.run(|store| store.exhume(aor, key))
    }

    fn dead_letters(
        &self,
        aor: Option<&Aor>,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Message>, Option<Cursor>)> {
        self.run(|store| store.dead_letters(aor, from, limit))
    }

    fn count(&self, aor: &Aor, up_to: u32) -> Reply<u32> {
        self.run(|store| store.count(aor, up_to))
    }

    fn occupied(
        &self,
        from: Option<Cursor>,
        limit: usize,
    ) -> Reply<(Vec<Occupied>, Option<Cursor>)> {
        self.run(|store| store.occupied(from, limit))
    }

    fn sweep(&self, unix_s: i64, limit: usize) -> Reply<Swept> {
        self.run(|store| store.sweep(unix_s, limit))
    }

    fn newest_inc_us(&self) -> i64 {
        self.inner.newest_inc_us()
    }

    fn report(&self) -> Report {
        self.inner.report()
    }

    fn close(&self) -> Reply<()> {
        self.inner.close()
    }
}
