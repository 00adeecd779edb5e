//! The state of the network: who is where, what is under way, and what chance does to it.

use super::{Conditions, Traffic};
use crate::vocab::{FlowId, Packet, Path, SendTag, Transport};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// What may wait at one end; more is lost, as in a full socket.
const MAILBOX_MAX: usize = 65_536;
/// The least a datagram that is to be overtaken is held up.
const HOLD_UP: Duration = Duration::from_millis(20);
/// The ports connections are opened from.
const FIRST_EPHEMERAL: u16 = 49_152;

/// Names one end: a worker of a node, or a scripted user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MailboxId(u64);

/// Something that arrives at an end.
#[derive(Debug)]
pub(super) enum Arrival {
    Packet(Packet),
    Closed(FlowId),
    Failed(SendTag),
}

#[derive(Debug)]
struct Mailbox {
    worker: u16,
    /// By time of arrival, then in order of sending.
    due: BTreeMap<(Instant, u64), Arrival>,
    waker: Option<Waker>,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
struct Side {
    mailbox: MailboxId,
    path: Path,
    peer: FlowId,
    /// Nothing on this connection arrives at this end before this moment.
    not_before: Instant,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) conditions: Conditions,
    pub(super) traffic: Traffic,
    chance: Chance,
    serial: u64,
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    places: BTreeMap<(Transport, SocketAddr), MailboxId>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    sides: BTreeMap<FlowId, Side>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            conditions: Conditions::default(),
            traffic: Traffic::default(),
            chance: Chance(seed),
            serial: 0,
            cuts: BTreeSet::new(),
            places: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            sides: BTreeMap::new(),
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn cut(&mut self, one: IpAddr, other: IpAddr) {
        self.cuts.insert((one.min(other), one.max(other)));
    }

    pub(super) fn heal(&mut self, one: IpAddr, other: IpAddr) {
        self.cuts.remove(&(one.min(other), one.max(other)));
    }

    pub(super) fn heal_all(&mut self) {
        self.cuts.clear();
    }

    fn is_cut(&self, path: &Path) -> bool {
        let (one, other) = (path.local.ip(), path.remote.ip());
        self.cuts.contains(&(one.min(other), one.max(other)))
    }

    /// A new end on these addresses.
    pub(super) fn enter(
        &mut self,
        worker: u16,
        addresses: &[(Transport, SocketAddr)],
    ) -> MailboxId {
        let id = MailboxId(self.next_serial());
        self.mailboxes.insert(id, Mailbox { worker, due: BTreeMap::new(), waker: None });
        for place in addresses {
            let before = self.places.insert(*place, id);
            assert!(before.is_none(), "{}:{} belongs to somebody", place.0, place.1);
        }
        id
    }

    /// The end is gone: its addresses are free, its connections broken, its queue lost.
    pub(super) fn leave(&mut self, id: MailboxId) {
        self.places.retain(|_, owner| *owner != id);
        self.mailboxes.remove(&id);
        let flows: Vec<FlowId> =
            self.sides.iter().filter(|(_, side)| side.mailbox == id).map(|(f, _)| *f).collect();
        for flow in flows {
            self.close(flow);
        }
    }

    /// New connections to this end are refused.
    pub(super) fn stop_accepting(&mut self, id: MailboxId) {
        self.places.retain(|(transport, _), owner| *owner != id || !transport.is_reliable());
    }

    /// What arrived at an end by `now`; else when the next thing will.
    pub(super) fn take(
        &mut self,
        id: MailboxId,
        now: Instant,
        waker: &Waker,
    ) -> Result<Arrival, Option<Instant>> {
        let mailbox = self.mailboxes.get_mut(&id).ok_or(None)?;
        match mailbox.due.first_entry() {
            Some(first) if first.key().0 <= now => Ok(first.remove()),
            first => {
                let at = first.map(|entry| entry.key().0);
                mailbox.waker = Some(waker.clone());
                Err(at)
            }
        }
    }

    fn put(&mut self, id: MailboxId, at: Instant, arrival: Arrival) {
        let serial = self.next_serial();
        let is_packet = matches!(arrival, Arrival::Packet(_));
        let Some(mailbox) = self.mailboxes.get_mut(&id) else {
            self.traffic.lost += u64::from(is_packet);
            return;
        };
        if is_packet && mailbox.due.len() >= MAILBOX_MAX {
            self.traffic.lost += 1;
            return;
        }
        self.traffic.delivered += u64::from(is_packet);
        mailbox.due.insert((at, serial), arrival);
        if let Some(waker) = mailbox.waker.take() {
            waker.wake();
        }
    }

    /// Sends from `from`. The source of a datagram, and of a connection that is opened for it, is
    /// `path.local`; a connection of a node leaves from a port of its own.
    pub(super) fn send(
        &mut self,
        from: MailboxId,
        path: Path,
        bytes: Bytes,
        tag: Option<SendTag>,
        own_port: bool,
    ) {
        self.traffic.sent += 1;
        match path.transport {
            Transport::Udp => self.send_datagram(path, bytes),
            Transport::Tcp => {
                let flow = path.flow.or_else(|| self.flow_to(from, path.remote));
                let flow = flow.or_else(|| self.connect(from, path, own_port));
                if !flow.is_some_and(|flow| self.send_on(flow, bytes)) {
                    self.traffic.lost += 1;
                    if let Some(tag) = tag {
                        self.put(from, Instant::now(), Arrival::Failed(tag));
                    }
                }
            }
        }
    }

    /// Every datagram takes the same number of draws, so that one that is lost does not change
    /// what becomes of the next.
    fn send_datagram(&mut self, path: Path, bytes: Bytes) {
        let lost = self.chance.hits(self.conditions.loss);
        let doubled = self.chance.hits(self.conditions.duplicate);
        let held_up = self.chance.hits(self.conditions.reorder);
        let delays = [self.draw_delay(), self.draw_delay()];
        let target = self.places.get(&(Transport::Udp, path.remote)).copied();
        let Some(target) = target.filter(|_| !lost && !self.is_cut(&path)) else {
            self.traffic.lost += 1;
            return;
        };
        let path = Path { local: path.remote, remote: path.local, ..path };
        let hold_up =
            if held_up { HOLD_UP.max(*self.conditions.delay.end() * 2) } else { Duration::ZERO };
        let copies = if doubled { 2 } else { 1 };
        for delay in &delays[..copies] {
            let at = Instant::now() + *delay + hold_up;
            self.put(target, at, Arrival::Packet(Packet { bytes: bytes.clone(), path }));
        }
    }

    fn draw_delay(&mut self) -> Duration {
        let (shortest, longest) = (*self.conditions.delay.start(), *self.conditions.delay.end());
        shortest + longest.saturating_sub(shortest).mul_f64(self.chance.unit())
    }

    fn flow_to(&self, from: MailboxId, remote: SocketAddr) -> Option<FlowId> {
        let mut sides = self.sides.iter().rev();
        sides.find(|(_, side)| side.mailbox == from && side.path.remote == remote).map(|(f, _)| *f)
    }

    /// Opens a connection; the flow of the opener's side.
    fn connect(&mut self, from: MailboxId, path: Path, own_port: bool) -> Option<FlowId> {
        let target = *self.places.get(&(Transport::Tcp, path.remote))?;
        if self.is_cut(&path) {
            return None;
        }
        let serial = self.next_serial();
        let mut local = path.local;
        if own_port {
            let range = u64::from(u16::MAX - FIRST_EPHEMERAL);
            let offset = u16::try_from(serial % range).unwrap_or_default();
            local.set_port(FIRST_EPHEMERAL + offset);
        }
        let ours = FlowId::new(self.mailboxes.get(&from)?.worker, serial);
        let serial = self.next_serial();
        let theirs = FlowId::new(self.mailboxes.get(&target)?.worker, serial);
        let transport = Transport::Tcp;
        let now = Instant::now();
        for (mailbox, flow, peer, local, remote) in
            [(from, ours, theirs, local, path.remote), (target, theirs, ours, path.remote, local)]
        {
            let path = Path { transport, local, remote, flow: Some(flow) };
            self.sides.insert(flow, Side { mailbox, path, peer, not_before: now });
        }
        Some(ours)
    }

    /// Sends over an open connection; false when there is none, or none any more.
    fn send_on(&mut self, flow: FlowId, bytes: Bytes) -> bool {
        let Some(side) = self.sides.get(&flow).copied() else { return false };
        if self.is_cut(&side.path) {
            self.close(flow);
            return false;
        }
        let at = Instant::now() + self.draw_delay();
        let Some(peer) = self.sides.get_mut(&side.peer) else { return false };
        peer.not_before = peer.not_before.max(at);
        let (at, mailbox, path) = (peer.not_before, peer.mailbox, peer.path);
        self.put(mailbox, at, Arrival::Packet(Packet { bytes, path }));
        true
    }

    /// Ends a connection: at once at this end, behind what is under way at the other.
    pub(super) fn close(&mut self, flow: FlowId) {
        let Some(side) = self.sides.remove(&flow) else { return };
        self.put(side.mailbox, Instant::now(), Arrival::Closed(flow));
        if let Some(peer) = self.sides.remove(&side.peer) {
            let at = peer.not_before.max(Instant::now());
            self.put(peer.mailbox, at, Arrival::Closed(side.peer));
        }
    }
}

/// Sebastiano Vigna's SplitMix64: small, and the same everywhere for ever.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not, 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn hits(&mut self, share: f64) -> bool {
        self.unit() < share
    }
}
