//! Client transactions of requests other than INVITE (RFC 3261 section 17.1.2).
//!
//! | state | Timer E (UDP) | response 1xx | final response | Timer F | transport error |
//! |---|---|---|---|---|---|
//! | *Trying* | again, after .5, 1, 2, 4, 4 … s | *Proceeding* | its outcome, gone | timeout, gone | error, gone |
//! | *Proceeding* | again, every 4 s | stays | the same | the same | the same |
//!
//! The RFC's third state, *Completed*, only takes late copies of the final response out of the
//! way for the five seconds of Timer K. Here a response that matches nothing is dropped and no
//! branch is ever used twice, so the copies vanish without a state, a timer and memory for it.

use bytes::Bytes;
use std::collections::btree_set::BTreeSet;
use std::collections::hash_map::HashMap;
use std::hash::BuildHasherDefault;
use std::net::SocketAddr;

use super::Times;
use super::index::AsIs;
use super::timer::{ODD, Slot, Timers};
use crate::vocab::{FlowId, Path};

/// The requests of one endpoint that wait for a final response.
#[derive(Debug)]
pub(crate) struct Clients {
    max: usize,
    /// The intervals of Timer E; one lane for each.
    intervals: Vec<u64>,
    /// Timer F, and the lane of those that wait for nothing else.
    longest: u64,
    longest_lane: u8,
    calls: Timers<Call>,
    by_serial: HashMap<u64, Slot, BuildHasherDefault<AsIs>>,
    by_token: HashMap<u64, Slot, ahash::RandomState>,
    flows: BTreeSet<(FlowId, Slot)>,
}

/// One request to send.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The caller's name for it.
    pub(crate) token: u64,
    /// Our own: the number in the branch.
    pub(crate) serial: u64,
    /// What the CSeq of its responses says.
    pub(crate) method: Bytes,
    /// The `sent-by` of its Via.
    pub(crate) sent_by: SocketAddr,
    /// The way it goes.
    pub(crate) path: Path,
    /// The request as printed; nothing once it was given to a transport that repeats by itself.
    pub(crate) bytes: Bytes,
    /// When the caller does not want to wait any longer.
    pub(crate) ends_at: u64,
    /// The interval of Timer E that runs now.
    step: u8,
}

/// What a timer of a request asks for.
#[derive(Debug)]
pub(crate) enum Expired {
    /// To be sent once more.
    Again {
        /// The way.
        path: Path,
        /// The request.
        bytes: Bytes,
        /// Its branch's number.
        serial: u64,
    },
    /// Nobody answered.
    Timeout {
        /// The caller's name for it.
        token: u64,
    },
}

/// What a response belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// Nothing of ours that still waits.
    Nothing,
    /// A request that goes on waiting.
    Provisional,
    /// The request of that caller's name; it is answered.
    Final(u64),
}

impl Call {
    /// A request that is about to be sent for the first time.
    pub(crate) fn new(token: u64, serial: u64, method: Bytes, path: Path, bytes: Bytes) -> Self {
        Self { token, serial, method, sent_by: path.local, path, bytes, ends_at: 0, step: 0 }
    }
}

impl Clients {
    pub(crate) fn new(max: usize, times: Times, seed: [u64; 4]) -> Self {
        let intervals: Vec<u64> = times.intervals().collect();
        let longest_lane = u8::try_from(intervals.len()).expect("Timer E has few intervals");
        let [a, b, c, d] = seed;
        Self {
            max,
            intervals,
            longest: times.longest(),
            longest_lane,
            calls: Timers::new(longest_lane + 1),
            by_serial: HashMap::default(),
            by_token: HashMap::with_hasher(ahash::RandomState::with_seeds(d, c, b, a)),
            flows: BTreeSet::new(),
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// True when there is no room for another.
    pub(crate) fn is_full(&self) -> bool {
        self.calls.len() >= self.max
    }

    /// True when a branch of ours has that number.
    pub(crate) fn has(&self, serial: u64) -> bool {
        self.by_serial.contains_key(&serial)
    }

    /// Takes in a request that was just sent; `timeout` may shorten Timer F.
    pub(crate) fn start(&mut self, mut call: Call, timeout: Option<u64>, now_us: u64) {
        let wait = timeout.map_or(self.longest, |timeout| timeout.min(self.longest));
        call.ends_at = now_us.saturating_add(wait);
        let (token, serial, path, ends_at) = (call.token, call.serial, call.path, call.ends_at);
        if path.transport.is_reliable() {
            call.bytes = Bytes::new();
        }
        let slot = self.calls.insert(call);
        self.by_serial.insert(serial, slot);
        self.by_token.insert(token, slot);
        if let Some(flow) = path.flow {
            self.flows.insert((flow, slot));
        }
        if path.transport.is_reliable() {
            let lane = if wait == self.longest { self.longest_lane } else { ODD };
            self.calls.arm(slot, lane, ends_at);
        } else {
            self.arm_step(slot, now_us);
        }
    }

    /// Matches a response by the number in its branch and by what `is_ours` compares (RFC 3261
    /// section 17.1.3: the method; 18.1.2: `sent-by`). A final one ends the transaction.
    pub(crate) fn answered(
        &mut self,
        serial: u64,
        code: u16,
        is_ours: impl FnOnce(&Call) -> bool,
    ) -> Match {
        let before_last = self.intervals.len().saturating_sub(2);
        let Some(&slot) = self.by_serial.get(&serial) else { return Match::Nothing };
        let Some(call) = self.calls.get_mut(slot).filter(|call| is_ours(call)) else {
            return Match::Nothing;
        };
        if code >= 200 {
            let token = call.token;
            self.take(slot);
            return Match::Final(token);
        }
        // When Timer E fires in *Proceeding* it is set to T2: as after the step before the last.
        call.step = call.step.max(u8::try_from(before_last).unwrap_or(u8::MAX));
        Match::Provisional
    }

    /// Ends the transaction a branch belongs to; says whose it was.
    pub(crate) fn failed(&mut self, serial: u64) -> Option<u64> {
        let slot = *self.by_serial.get(&serial)?;
        self.take(slot).map(|call| call.token)
    }

    /// Forgets a request.
    pub(crate) fn cancel(&mut self, token: u64) {
        if let Some(&slot) = self.by_token.get(&token) {
            self.take(slot);
        }
    }

    /// Ends all transactions on a connection; says whose they were.
    pub(crate) fn flow_closed(&mut self, flow: FlowId) -> Vec<u64> {
        let on_it = self.flows.range((flow, 0)..=(flow, Slot::MAX));
        let slots: Vec<Slot> = on_it.map(|&(_, slot)| slot).collect();
        slots.into_iter().filter_map(|slot| self.take(slot)).map(|call| call.token).collect()
    }

    /// When [`Clients::next_expired`] has something.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.calls.next_due()
    }

    /// Runs the next timer that is due.
    pub(crate) fn next_expired(&mut self, now_us: u64) -> Option<Expired> {
        let (slot, due) = self.calls.pop_due(now_us)?;
        let last = self.intervals.len().saturating_sub(1);
        let call = self.calls.get_mut(slot)?;
        if call.ends_at <= now_us {
            let token = call.token;
            self.take(slot);
            return Some(Expired::Timeout { token });
        }
        call.step = (usize::from(call.step) + 1).min(last).try_into().unwrap_or(u8::MAX);
        let again =
            Expired::Again { path: call.path, bytes: call.bytes.clone(), serial: call.serial };
        let interval = self.intervals.get(usize::from(call.step)).copied().unwrap_or(u64::MAX);
        // After a long sleep one copy is sent, not all that were missed.
        let from = if due.saturating_add(interval) > now_us { due } else { now_us };
        self.arm_step(slot, from);
        Some(again)
    }

    /// Arms Timer E, or Timer F where that comes first.
    fn arm_step(&mut self, slot: Slot, from: u64) {
        let Some(call) = self.calls.get(slot) else { return };
        let interval = self.intervals.get(usize::from(call.step)).copied().unwrap_or(u64::MAX);
        let due = from.saturating_add(interval);
        if due < call.ends_at {
            let lane = call.step;
            self.calls.arm(slot, lane, due);
        } else {
            let due = call.ends_at;
            self.calls.arm(slot, ODD, due);
        }
    }

    fn take(&mut self, slot: Slot) -> Option<Call> {
        let call = self.calls.remove(slot)?;
        self.by_serial.remove(&call.serial);
        if self.by_token.get(&call.token) == Some(&slot) {
            self.by_token.remove(&call.token);
        }
        if let Some(flow) = call.path.flow {
            self.flows.remove(&(flow, slot));
        }
        Some(call)
    }
}
