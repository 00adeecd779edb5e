//! Server transactions of requests other than INVITE (RFC 3261 section 17.2.2, RFC 4320).
//!
//! | state | request again | final response | its timer |
//! |---|---|---|---|
//! | *Trying* | absorbed | *Completed* (UDP), gone (TCP) | 3.5 s: 100 is sent, *Proceeding* |
//! | *Proceeding* | 100 again | the same | 32 s after the request: gone, unanswered |
//! | *Completed* | the same bytes again | dropped | J, 32 s: gone |
//!
//! An INVITE, which this server only refuses, uses the same machine: Timer H is as long as Timer J,
//! its final response goes out again when the INVITE does, and the ACK is absorbed by the endpoint.
//!
//! The RFC gives a server transaction that nobody answers no end; ours has one, when the client's
//! Timer F must have fired (RFC 4320 section 4.2: no response comes after that).

use bytes::Bytes;
use std::collections::btree_set::BTreeSet;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Times;
use super::completed::{Completed, Head, Place};
use super::index::{Index, Where};
use super::key::ServerKey;
use super::timer::{Slot, Timers};
use crate::sip::codec::Message;
use crate::vocab::{FlowId, Path};

/// Waiting for the moment a 100 is due.
const TRYING: u8 = 0;
/// Waiting for the moment nobody wants an answer any more.
const PROCEEDING: u8 = 1;
/// Expired responses leave no earlier than they must and together, once in this time.
const SWEEP_US: u64 = 1_000_000;
/// The most of them in one go, and the pause when there are more: no request waits for a sweep.
const SWEEP_MAX: usize = 512;
const SWEEP_PAUSE_US: u64 = 1_000;

/// How much is kept at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Requests without a final response.
    pub(crate) unanswered: usize,
    /// Transactions in all.
    pub(crate) transactions: usize,
    /// Bytes of unanswered requests and of the final responses kept for replay.
    pub(crate) bytes: usize,
}

/// The server transactions of one endpoint.
#[derive(Debug)]
pub(crate) struct Servers {
    bounds: Bounds,
    /// When a 100 is due.
    trying_us: u64,
    /// How long after it nobody wants an answer any more.
    proceeding_us: u64,
    /// Timer J.
    kept_us: u64,
    index: Index,
    live: Timers<Live>,
    /// Bytes of the unanswered requests.
    live_bytes: usize,
    completed: Completed,
    flows: BTreeSet<(FlowId, Slot)>,
    /// No sweep before this moment.
    rest_until: u64,
    evicted: u64,
}

/// A transaction in *Trying* or *Proceeding*.
#[derive(Debug)]
struct Live {
    key: ServerKey,
    request: Arc<Message>,
    reply: ReplyPath,
    /// The 100, once it was sent.
    trying: Option<Bytes>,
}

/// Where responses go (RFC 3261 section 18.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyPath {
    /// The way back.
    pub(crate) path: Path,
    /// Where to connect when the connection it came by is gone.
    pub(crate) fallback: SocketAddr,
}

/// What a request turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// New: a transaction was opened for it.
    New,
    /// A retransmission; it has its answer still to come.
    Absorbed,
    /// A retransmission; this is sent once more.
    Replay(Path, Bytes),
    /// New, but there is no room.
    Full,
}

impl Servers {
    pub(crate) fn new(bounds: Bounds, times: Times) -> Self {
        Self {
            bounds,
            trying_us: times.trying(),
            proceeding_us: times.longest().saturating_sub(times.trying()),
            kept_us: times.longest(),
            index: Index::default(),
            live: Timers::new(2),
            live_bytes: 0,
            completed: Completed::default(),
            flows: BTreeSet::new(),
            rest_until: 0,
            evicted: 0,
        }
    }

    /// Requests without a final response.
    pub(crate) fn unanswered(&self) -> usize {
        self.live.len()
    }

    /// Final responses kept.
    pub(crate) fn completed(&self) -> usize {
        self.completed.len()
    }

    /// Bytes they take.
    pub(crate) fn completed_bytes(&self) -> usize {
        self.completed.bytes()
    }

    /// Final responses that were let go before their time.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Matches a request, and opens a transaction for it if it is new.
    pub(crate) fn arrive(
        &mut self,
        key: ServerKey,
        request: &Arc<Message>,
        reply: ReplyPath,
        now_us: u64,
    ) -> Arrival {
        let size = request.raw().len();
        let full =
            self.live.len() >= self.bounds.unanswered || self.live_bytes + size > self.bounds.bytes;
        let slot = match self.index.entry(key) {
            Entry::Occupied(known) => {
                let place = Where::unpack(*known.get());
                if let Some(again) = again(&self.live, &self.completed, key, place, now_us) {
                    return again;
                }
                if full {
                    return Arrival::Full;
                }
                let slot = open(&mut self.live, key, request, reply);
                *known.into_mut() = Where::Live(slot).pack();
                slot
            }
            Entry::Vacant(_) if full => return Arrival::Full,
            Entry::Vacant(vacant) => {
                let slot = open(&mut self.live, key, request, reply);
                vacant.insert(Where::Live(slot).pack());
                slot
            }
        };
        self.live_bytes += size;
        self.live.arm(slot, TRYING, now_us.saturating_add(self.trying_us));
        if let Some(flow) = reply.path.flow {
            self.flows.insert((flow, slot));
        }
        self.make_room();
        Arrival::New
    }

    /// True while the transaction is there, answered or not.
    pub(crate) fn knows(&self, key: ServerKey, now_us: u64) -> bool {
        let place = self.index.get(key);
        place.is_some_and(|at| again(&self.live, &self.completed, key, at, now_us).is_some())
    }

    /// The request of an unanswered transaction.
    pub(crate) fn request(&self, key: ServerKey) -> Option<&Arc<Message>> {
        Some(&self.live.get(self.find(key)?)?.request)
    }

    /// Ends an unanswered transaction by its final response; `None` when there is no such one.
    /// The way to send it comes back.
    pub(crate) fn finish(&mut self, key: ServerKey, response: &[u8], now_us: u64) -> Option<Path> {
        let slot = self.find(key)?;
        let path = self.take(slot)?.reply.path;
        let head = Head {
            key,
            due: now_us.saturating_add(self.kept_us),
            local: path.local,
            remote: path.remote,
        };
        let kept =
            if path.transport.is_reliable() { None } else { self.completed.push(&head, response) };
        match kept {
            Some(place) => self.index.set(key, Where::Completed(place)),
            None => self.index.remove_if(key, Where::Live(slot)),
        }
        self.expire(now_us, 2);
        self.make_room();
        Some(path)
    }

    /// A connection closed: what is still to be answered needs a new one (section 18.2.2).
    pub(crate) fn flow_closed(&mut self, flow: FlowId) {
        let on_it = self.flows.range((flow, 0)..=(flow, Slot::MAX));
        let slots: Vec<Slot> = on_it.map(|&(_, slot)| slot).collect();
        for slot in slots {
            self.flows.remove(&(flow, slot));
            if let Some(live) = self.live.get_mut(slot) {
                live.reply.path.flow = None;
                live.reply.path.remote = live.reply.fallback;
            }
        }
    }

    /// When [`Servers::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let oldest = self.completed.oldest();
        let sweep = oldest.map(|(head, _)| {
            let rounded = (head.due / SWEEP_US).saturating_add(1).saturating_mul(SWEEP_US);
            rounded.max(self.rest_until)
        });
        [self.live.next_due(), sweep].into_iter().flatten().min()
    }

    /// Runs the timers. `trying` prints the 100 of a request, and sends it by the path.
    pub(crate) fn tick(&mut self, now_us: u64, mut trying: impl FnMut(&Message, Path) -> Bytes) {
        while let Some((slot, due)) = self.live.pop_due(now_us) {
            let Some(live) = self.live.get_mut(slot) else { continue };
            if live.trying.is_none() {
                live.trying = Some(trying(&live.request, live.reply.path));
                self.live.arm(slot, PROCEEDING, due.saturating_add(self.proceeding_us));
            } else if let Some(gone) = self.take(slot) {
                self.index.remove_if(gone.key, Where::Live(slot));
            }
        }
        if now_us >= self.rest_until && self.expire(now_us, SWEEP_MAX) == SWEEP_MAX {
            self.rest_until = now_us.saturating_add(SWEEP_PAUSE_US);
        }
    }

    fn find(&self, key: ServerKey) -> Option<Slot> {
        match self.index.get(key)? {
            Where::Live(slot) => self.live.get(slot).filter(|live| live.key == key).map(|_| slot),
            Where::Completed(_) => None,
        }
    }

    fn take(&mut self, slot: Slot) -> Option<Live> {
        let live = self.live.remove(slot)?;
        self.live_bytes -= live.request.raw().len();
        if let Some(flow) = live.reply.path.flow {
            self.flows.remove(&(flow, slot));
        }
        Some(live)
    }

    /// Lets up to `max` expired responses go; says how many went.
    fn expire(&mut self, now_us: u64, max: usize) -> usize {
        let mut gone = 0;
        while gone < max
            && let Some((head, place)) = self.completed.oldest()
            && head.due <= now_us
        {
            self.drop_oldest(head.key, place);
            gone += 1;
        }
        gone
    }

    /// Past a bound, the oldest responses go early: what is lost is the answer to a retransmission
    /// that is the least likely to come.
    fn make_room(&mut self) {
        while (self.live_bytes + self.completed.bytes() > self.bounds.bytes
            || self.live.len() + self.completed.len() > self.bounds.transactions)
            && let Some((head, place)) = self.completed.oldest()
        {
            self.drop_oldest(head.key, place);
            self.evicted += 1;
        }
    }

    fn drop_oldest(&mut self, key: ServerKey, place: Place) {
        self.index.remove_if(key, Where::Completed(place));
        self.completed.pop();
    }
}

fn open(live: &mut Timers<Live>, key: ServerKey, request: &Arc<Message>, reply: ReplyPath) -> Slot {
    live.insert(Live { key, request: Arc::clone(request), reply, trying: None })
}

/// What to do about a request whose key the index knows; `None` if the place is another's, or its
/// time is over.
fn again(
    live: &Timers<Live>,
    completed: &Completed,
    key: ServerKey,
    place: Where,
    now_us: u64,
) -> Option<Arrival> {
    match place {
        Where::Live(slot) => {
            let live = live.get(slot).filter(|live| live.key == key)?;
            Some(match &live.trying {
                Some(trying) => Arrival::Replay(live.reply.path, trying.clone()),
                None => Arrival::Absorbed,
            })
        }
        Where::Completed(place) => {
            let (head, response) = completed.get(place)?;
            let path = Path {
                transport: crate::vocab::Transport::Udp,
                local: head.local,
                remote: head.remote,
                flow: None,
            };
            (head.key == key && now_us < head.due).then_some(Arrival::Replay(path, response))
        }
    }
}
