//! The checkpoint thread: moves old generations from the log into the base, and gives the
//! segments they were in back.
//!
//! Of the closed generations the newest stays in the log until the next one is closed, so every
//! message has the length of a generation at least to be delivered and deleted without ever
//! touching the base.

use super::base::failed_file;
use super::bodies::{self, Keeper};
use super::counters::Counters;
use super::flush::{self, Desk, Facts, Written};
use super::hold;
use super::recent::Print;
use super::shared::Shared;
use super::wal;
use crate::store::Error;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the thread waits after a failure before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How often, and how long each time, the thread waits for readers of an older snapshot.
const SETTLE_LOOKS: usize = 100;
const SETTLE_LOOK: Duration = Duration::from_millis(5);

/// A closed part of the log.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    /// Its last segment.
    pub(super) last_segment: u64,
    pub(super) prints: Vec<Print>,
    pub(super) newest_inc_us: i64,
}

#[derive(Debug, Default)]
struct State {
    closed: VecDeque<Generation>,
    drain: bool,
    stop: bool,
    failing: Option<Error>,
}

/// What the writer and the checkpoint thread say to each other.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    state: Mutex<State>,
    changed: Condvar,
}

impl Checkpoints {
    /// Hands a closed generation over.
    pub(super) fn close(&self, generation: Generation) {
        hold(&self.state).closed.push_back(generation);
        self.changed.notify_all();
    }

    /// How many closed generations are not in the base yet.
    pub(super) fn waiting(&self) -> usize {
        hold(&self.state).closed.len()
    }

    /// Lets the thread look for work again.
    pub(super) fn nudge(&self) {
        self.changed.notify_all();
    }

    /// Ends the thread after what it is just doing.
    pub(super) fn stop(&self) {
        hold(&self.state).stop = true;
        self.changed.notify_all();
    }

    /// Why the last checkpoint failed, until one succeeds.
    pub(super) fn failing(&self) -> Option<Error> {
        hold(&self.state).failing.clone()
    }

    /// Waits until something was moved or failed, at most `patience`.
    pub(super) fn wait(&self, patience: Duration) {
        let state = hold(&self.state);
        let ended = self.changed.wait_timeout(state, patience);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    /// Moves every closed generation into the base.
    ///
    /// # Errors
    /// Why that failed; everything is still in the log then.
    pub(super) fn drain(&self) -> Result<(), Error> {
        let mut state = hold(&self.state);
        state.drain = true;
        state.failing = None;
        self.changed.notify_all();
        while !state.closed.is_empty() {
            if let Some(error) = &state.failing {
                return Err(error.clone());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

/// A transaction of which it is not known whether it happened.
struct Doubt {
    serial: u64,
    generation: u64,
    written: Vec<Written>,
}

/// The thread.
pub(super) fn run(shared: &Shared, mut serial: u64, mut keeper: Keeper) {
    let mut doubt = None;
    loop {
        if shared.spares.is_empty()
            && let Err(error) = shared.spares.prepare()
        {
            tracing::warn!(%error, "no spare log file can be prepared");
        }
        let Some((facts, generation)) = wait_for_work(shared, &mut serial) else { return };
        let result = attempt(shared, &facts, generation, &mut keeper, &mut doubt);
        let mut state = hold(&shared.checkpoints.state);
        match result {
            Ok(()) => {
                state.closed.retain(|closed| closed.number > generation);
                state.failing = None;
                drop(state);
                recycle(shared, facts.floor, keeper.current());
                shared.checkpoints.changed.notify_all();
            }
            Err(error) => {
                tracing::error!(%error, "a checkpoint failed; the messages stay in the log");
                Counters::add(&shared.counters.checkpoint_failures, 1);
                state.failing = Some(error);
                shared.checkpoints.changed.notify_all();
                if !state.stop {
                    let waited = shared.checkpoints.changed.wait_timeout(state, RETRY_AFTER);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }
}

/// Waits until generations are to be moved; `None` when the thread is to end.
fn wait_for_work(shared: &Shared, serial: &mut u64) -> Option<(Facts, u64)> {
    let mut state = hold(&shared.checkpoints.state);
    loop {
        if state.stop {
            return None;
        }
        if let Some(through) = due(shared, &state) {
            *serial += 1;
            return Some(facts(shared, &state, *serial, through));
        }
        if shared.spares.is_empty() {
            drop(state);
            // Without space this fails at once; then the writer tells its callers so.
            let prepared = shared.spares.prepare();
            state = hold(&shared.checkpoints.state);
            // What was asked for meanwhile has woken nobody.
            if prepared.is_ok() || state.stop || due(shared, &state).is_some() {
                continue;
            }
        }
        state = sleep(shared, state);
    }
}

fn sleep<'a>(shared: &'a Shared, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    shared.checkpoints.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
}

/// The index of the last closed generation that is to be moved now.
fn due(shared: &Shared, state: &State) -> Option<usize> {
    let is_pressed = shared.table.young_bytes() >= shared.memtable_bytes / 3 * 2;
    let kept = usize::from(!state.drain && !is_pressed);
    state.closed.len().checked_sub(1 + kept)
}

fn facts(shared: &Shared, state: &State, serial: u64, through: usize) -> (Facts, u64) {
    let moved: Vec<&Generation> = state.closed.iter().take(through + 1).collect();
    let facts = Facts {
        serial,
        floor: moved.last().map_or(0, |generation| generation.last_segment),
        newest_inc_us: moved.iter().map(|g| g.newest_inc_us).max().unwrap_or(i64::MIN),
        now_us: shared.clock.now().unix_us,
        prints: moved.iter().flat_map(|generation| generation.prints.iter().copied()).collect(),
    };
    (facts, moved.last().map_or(0, |generation| generation.number))
}

fn attempt(
    shared: &Shared,
    facts: &Facts,
    generation: u64,
    keeper: &mut Keeper,
    doubt: &mut Option<Doubt>,
) -> Result<(), Error> {
    let began = shared.clock.now().mono_us;
    let database = shared.base.database()?;
    if let Some(last) = doubt.take_if(|_| true) {
        match flush::last_serial(&database) {
            Ok(serial) if serial == last.serial => settle(shared, &last.written, last.generation),
            Ok(_) => {}
            Err(error) => {
                *doubt = Some(last);
                drop(database);
                shared.base.give_up();
                return Err(error);
            }
        }
    }
    let due = flush::collect(&shared.table, generation);
    let mut desk = Desk {
        table: &shared.table,
        bodies: &shared.bodies,
        keeper,
        segment_bytes: shared.spares.segment_bytes,
        counters: &shared.counters,
    };
    let (written, result) = flush::write(&database, &mut desk, due, facts);
    drop(database);
    if let Err(error) = result.and_then(|()| shared.base.refresh()) {
        *doubt = Some(Doubt { serial: facts.serial, generation, written });
        shared.base.give_up();
        return Err(error);
    }
    let messages: usize = written.iter().map(|written| written.young.len()).sum();
    settle(shared, &written, generation);
    Counters::add(&shared.counters.checkpoints, 1);
    Counters::add(&shared.counters.checkpoint_messages, messages as u64);
    let took = shared.clock.now().mono_us.saturating_sub(began);
    Counters::add(&shared.counters.checkpoint_us, took);
    Ok(())
}

fn settle(shared: &Shared, written: &[Written], generation: u64) {
    for written in written {
        shared.table.settle(written);
    }
    shared.flushed.fetch_max(generation, Ordering::SeqCst);
}

/// Gives back the files nothing points at any more, once nobody reads what an older snapshot
/// points at. If somebody does for long, the next checkpoint does it.
fn recycle(shared: &Shared, floor: u64, kept: u64) {
    for _ in 0..SETTLE_LOOKS {
        if shared.base.is_settled() {
            if let Err(error) = give_back(shared, floor, kept) {
                tracing::warn!(%error, "old files cannot be given back");
            }
            return;
        }
        shared.checkpoints.wait(SETTLE_LOOK);
    }
}

fn give_back(shared: &Shared, floor: u64, kept: u64) -> Result<(), Error> {
    let used = flush::files(&*shared.base.database()?)?;
    let paths = shared.disk.list(&shared.folder);
    for path in paths.map_err(|error| failed_file(&shared.folder, &error))? {
        if let Some(id) = wal::id_of(&path).filter(|id| *id <= floor && !used.contains(id)) {
            shared.bodies.forget(id);
            shared.spares.recycle(&path);
        }
        if let Some(id) = bodies::id_of(&path).filter(|id| *id != kept && !used.contains(id)) {
            shared.bodies.forget(id);
            shared.disk.remove(&path).map_err(|error| failed_file(&path, &error))?;
        }
    }
    Ok(())
}
