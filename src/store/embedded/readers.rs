//! A few threads for reads that need the base: they may wait for a disk, their callers must not.

use super::hold;
use super::shared::Shared;
use crate::store::Error;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, PoisonError};

/// Reads that may wait.
const READS_MAX: usize = 8_192;
/// How many threads read.
pub(super) const READERS: usize = 2;

type Job = Box<dyn FnOnce(&Shared) + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    stopped: bool,
}

/// The queue of the reading threads.
#[derive(Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    filled: Condvar,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

impl Readers {
    /// Lets one of the threads do `job`.
    pub(super) fn push(&self, job: impl FnOnce(&Shared) + Send + 'static) -> Result<(), Error> {
        let mut state = hold(&self.state);
        if state.stopped {
            return Err(super::queue::closed());
        }
        let waiting = state.jobs.len();
        if waiting >= READS_MAX {
            return Err(Error::Busy { waiting });
        }
        state.jobs.push_back(Box::new(job));
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Ends the threads when what waits is done.
    pub(super) fn stop(&self) {
        hold(&self.state).stopped = true;
        self.filled.notify_all();
    }

    /// One of the threads.
    pub(super) fn run(&self, shared: &Shared) {
        loop {
            let state = hold(&self.state);
            let mut state = self
                .filled
                .wait_while(state, |state| state.jobs.is_empty() && !state.stopped)
                .unwrap_or_else(PoisonError::into_inner);
            let Some(job) = state.jobs.pop_front() else { return };
            drop(state);
            job(shared);
        }
    }
}
