//! The bounded queue in front of the writer.

use super::frame::Verb;
use super::hold;
use super::record::Record;
use crate::store::{Error, Put, Swept};
use crate::vocab::{Aor, Key};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Operations that may wait for the writer.
pub(super) const QUEUE_OPS: usize = 16_384;
/// Bytes of messages that may wait for the writer.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// Operations the writer takes at once.
const BATCH_OPS: usize = 1_024;
/// Bytes of messages the writer takes at once; one operation may exceed it.
const BATCH_BYTES: usize = 512 * 1024;

/// Answers one operation.
pub(super) type Sender<T> = oneshot::Sender<Result<T, Error>>;

/// Something for the writer to do.
#[derive(Debug)]
pub(super) enum Op {
    Put { aor: Aor, record: Record, reply: Sender<Put> },
    Change { aor: Aor, key: Key, verb: Verb, reply: Sender<bool> },
    Sweep { victims: Vec<(Aor, Key)>, more: bool, reply: Sender<Swept> },
    Close { reply: Sender<()> },
}

impl Op {
    fn bytes(&self) -> usize {
        match self {
            Self::Put { record, .. } => record.len(),
            Self::Sweep { victims, .. } => victims.len() * 64,
            Self::Change { .. } | Self::Close { .. } => 64,
        }
    }

    /// Answers that it did not happen.
    pub(super) fn fail(self, error: Error) {
        // Who asked may have gone away; then nobody needs the answer.
        match self {
            Self::Put { reply, .. } => drop(reply.send(Err(error))),
            Self::Change { reply, .. } => drop(reply.send(Err(error))),
            Self::Sweep { reply, .. } => drop(reply.send(Err(error))),
            Self::Close { reply } => drop(reply.send(Err(error))),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    ops: VecDeque<Op>,
    bytes: usize,
    /// The writer sleeps until this many operations wait; 0 = it does not sleep.
    wake_at: usize,
    closed: bool,
}

/// Operations in the order they came.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

/// Why [`Queue::take`] came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// With operations.
    Ops,
    /// Without, because the time was up.
    Nothing,
    /// Nothing waits and nothing will come.
    Closed,
}

impl Queue {
    /// Lets `op` wait for the writer; hands it back, with the answer to give, when it may not.
    pub(super) fn push(&self, op: Op) -> Result<(), (Op, Error)> {
        let mut state = hold(&self.state);
        if state.closed {
            return Err((op, closed()));
        }
        let is_close = matches!(op, Op::Close { .. });
        let is_full = state.ops.len() >= QUEUE_OPS || state.bytes >= QUEUE_BYTES;
        if is_full && !is_close {
            let waiting = state.ops.len();
            return Err((op, Error::Busy { waiting }));
        }
        state.closed = is_close;
        state.bytes += op.bytes();
        state.ops.push_back(op);
        if state.wake_at > 0 && (state.ops.len() >= state.wake_at || is_close) {
            state.wake_at = 0;
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Refuses every further operation; those that wait are still done.
    pub(super) fn close(&self) {
        let mut state = hold(&self.state);
        state.closed = true;
        state.wake_at = 0;
        self.filled.notify_one();
    }

    /// Refuses every further operation, and those that wait.
    pub(super) fn abandon(&self) {
        let mut state = hold(&self.state);
        state.closed = true;
        let waiting = std::mem::take(&mut state.ops);
        drop(state);
        for op in waiting {
            op.fail(closed());
        }
    }

    /// Lets up to `pause` pass, less when `enough` operations wait. Answers how many wait then.
    pub(super) fn gather(&self, pause: Duration, enough: usize) -> usize {
        let mut state = hold(&self.state);
        if state.closed || state.ops.len() >= enough {
            return state.ops.len();
        }
        state.wake_at = enough;
        let (mut state, _) = self
            .filled
            .wait_timeout_while(state, pause, |state| state.wake_at > 0)
            .unwrap_or_else(PoisonError::into_inner);
        state.wake_at = 0;
        state.ops.len()
    }

    /// Moves what waits, up to a batch, into `out`. Waits for something at most `patience`
    /// (`None` = for ever).
    pub(super) fn take(&self, out: &mut Vec<Op>, patience: Option<Duration>) -> Taken {
        let mut state = hold(&self.state);
        if state.ops.is_empty() && !state.closed {
            state.wake_at = 1;
            state = match patience {
                None => self
                    .filled
                    .wait_while(state, |state| state.wake_at > 0)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    self.filled
                        .wait_timeout_while(state, patience, |state| state.wake_at > 0)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
            state.wake_at = 0;
        }
        let mut bytes = 0;
        while out.len() < BATCH_OPS && bytes < BATCH_BYTES {
            let Some(op) = state.ops.pop_front() else { break };
            bytes += op.bytes();
            out.push(op);
        }
        state.bytes -= bytes;
        match (out.is_empty(), state.closed) {
            (false, _) => Taken::Ops,
            (true, false) => Taken::Nothing,
            (true, true) => Taken::Closed,
        }
    }
}

/// The answer of a store that was closed.
pub(super) fn closed() -> Error {
    Error::Unavailable("the store was closed".into())
}
