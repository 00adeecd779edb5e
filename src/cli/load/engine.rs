//! The user agents' transactions: sending at a pace, RFC 3261 timers, answering MESSAGEs.

use super::{Options, script};
use crate::net::{self, Event, Events, ListenSpec, Wire};
use crate::node::SystemClock;
use crate::vocab::{Clock, Packet, Path, Transport};
use anyhow::Context;
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

const T1_US: u64 = 500_000;
const TIMER_F_US: u64 = 64 * T1_US;
/// The pause between two rounds of sending; requests due within one leave together.
const ROUND: Duration = Duration::from_micros(500);
/// Without any progress for so long, a run is over.
const STALLED_US: u64 = 40_000_000;
/// Requests begun in one round at most, so that answers are read in between.
const BURST: u64 = 256;

/// How fast requests are begun.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So many each second.
    Rate(f64),
    /// As many as leave so many in flight.
    Window(usize),
}

/// Who sends what.
pub(super) trait Scenario {
    /// Begins a request as transaction `n`; `None` = nothing to send just now.
    fn begin(&mut self, n: u32) -> Option<Vec<u8>>;
    /// The request of transaction `n` again.
    fn again(&self, n: u32) -> Vec<u8>;
    /// Transaction `n` has its final response; `None` = none came in time.
    fn answered(&mut self, n: u32, code: Option<u16>);
    /// A MESSAGE came.
    fn arrived(&mut self, transaction: u64, name: Option<(u32, u32)>);
    /// Things still awaited after the last response.
    fn open(&self) -> u64;
}

struct Transaction {
    begun_us: u64,
    sends: u8,
    is_over: bool,
}

/// Counts of a run.
#[derive(Default)]
pub(super) struct Stats {
    pub(super) begun: u64,
    pub(super) retransmissions: u64,
    pub(super) timeouts: u64,
    pub(super) finals: BTreeMap<u16, u64>,
    /// Response times, in microseconds.
    pub(super) times_us: Vec<u32>,
    pub(super) seconds: f64,
    pub(super) lost_on_purpose: u64,
    pub(super) nonsense: u64,
}

impl Stats {
    pub(super) fn count(&self, code: u16) -> u64 {
        self.finals.get(&code).copied().unwrap_or(0)
    }
}

/// The sockets and transactions of all user agents.
pub(super) struct Engine {
    wire: Box<dyn Wire>,
    events: Events,
    clock: SystemClock,
    path: Path,
    run: u32,
    transactions: Vec<Transaction>,
    /// Transactions of earlier phases: their numbers are not used again.
    base: u32,
    active: usize,
    /// One queue for each pause between sends, so each is in order by itself.
    timers: BTreeMap<u64, VecDeque<(u64, u32)>>,
    chance: u64,
    loss: f64,
    malformed: f64,
    pub(super) stats: Stats,
}

impl Engine {
    pub(super) fn open(options: &Options) -> anyhow::Result<Self> {
        let ip: IpAddr = local_ip(options.target)?;
        let spec = ListenSpec { transport: Transport::Udp, address: SocketAddr::new(ip, 0) };
        let sockets = net::bind(&[spec], 1, &net::Settings::default())?
            .pop()
            .context("no sockets were opened")?;
        let (wire, events) = sockets.start().context("cannot use the sockets")?;
        let local = wire.listeners().first().context("no socket is open")?.1;
        let clock = SystemClock::start();
        let run = u32::try_from(clock.now().unix_us.rem_euclid(0x7fff_ffff)).unwrap_or(1);
        Ok(Self {
            wire,
            events,
            clock,
            path: Path { transport: Transport::Udp, local, remote: options.target, flow: None },
            run,
            transactions: Vec::new(),
            base: 0,
            active: 0,
            timers: BTreeMap::new(),
            chance: options.seed,
            loss: options.loss / 100.0,
            malformed: options.malformed / 100.0,
            stats: Stats::default(),
        })
    }

    pub(super) fn contact(&self) -> SocketAddr {
        self.path.local
    }

    pub(super) fn run_id(&self) -> u32 {
        self.run
    }

    /// A new phase of `count` requests, with counts of its own.
    pub(super) async fn run(&mut self, scenario: &mut dyn Scenario, count: u32, pace: Pace) {
        self.stats = Stats::default();
        self.run_on(scenario, count, pace).await;
    }

    /// `count` more requests; then waits for what is still open.
    pub(super) async fn run_on(&mut self, scenario: &mut dyn Scenario, count: u32, pace: Pace) {
        self.base += u32::try_from(self.transactions.len()).unwrap_or(u32::MAX);
        self.transactions.clear();
        let begun_us = self.clock.now().mono_us;
        let mut progress = (begun_us, self.progress(scenario));
        loop {
            let now_us = self.clock.now().mono_us;
            self.begin_due(scenario, count, pace, begun_us, now_us);
            self.expire(scenario, now_us);
            self.wire.flush();
            let so_far = self.progress(scenario);
            if so_far != progress.1 {
                progress = (now_us, so_far);
            }
            let all_begun = self.transactions.len() >= count as usize;
            let over = all_begun && self.active == 0 && scenario.open() == 0;
            if over || now_us - progress.0 > STALLED_US {
                break;
            }
            self.take(scenario, matches!(pace, Pace::Window(_))).await;
        }
        self.stats.seconds += (self.clock.now().mono_us - begun_us) as f64 / 1e6;
    }

    fn progress(&self, scenario: &dyn Scenario) -> (usize, usize, u64) {
        (self.transactions.len(), self.active, scenario.open())
    }

    fn begin_due(
        &mut self,
        scenario: &mut dyn Scenario,
        count: u32,
        pace: Pace,
        begun_us: u64,
        now_us: u64,
    ) {
        let begun = self.transactions.len() as u64;
        let left = u64::from(count).saturating_sub(begun);
        let due = match pace {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
            Pace::Rate(rate) => {
                (((now_us - begun_us) as f64 * rate / 1e6) as u64).saturating_sub(begun)
            }
            Pace::Window(window) => {
                let open = self.active as u64 + scenario.open();
                (window as u64).saturating_sub(open)
            }
        };
        for _ in 0..due.min(left).min(BURST) {
            let n = u32::try_from(self.transactions.len()).unwrap_or(u32::MAX);
            let Some(bytes) = scenario.begin(self.base + n) else { return };
            self.transactions.push(Transaction { begun_us: now_us, sends: 1, is_over: false });
            self.timers.entry(T1_US).or_default().push_back((now_us + T1_US, n));
            self.active += 1;
            self.stats.begun += 1;
            self.send(bytes);
            if self.draw() < self.malformed {
                self.stats.nonsense += 1;
                let junk = self.junk();
                self.send(junk);
            }
        }
    }

    fn junk(&mut self) -> Vec<u8> {
        let length = 1 + self.draw_bits() % 600;
        let mut bytes: Vec<u8> = (0..length).map(|_| self.draw_bits().to_le_bytes()[0]).collect();
        if self.draw() < 0.5 {
            let start = b"MESSAGE sip:u@x SIP/2.0\r\nVia: ";
            let n = start.len().min(bytes.len());
            bytes[..n].copy_from_slice(&start[..n]);
        }
        bytes
    }

    fn send(&mut self, bytes: Vec<u8>) {
        if self.draw() < self.loss {
            self.stats.lost_on_purpose += 1;
            return;
        }
        self.wire.send(self.path, Bytes::from(bytes), None);
    }

    /// Retransmits (timer E) and gives up (timer F).
    fn expire(&mut self, scenario: &mut dyn Scenario, now_us: u64) {
        let pauses: Vec<u64> = self.timers.keys().copied().collect();
        for pause in pauses {
            while let Some(queue) = self.timers.get_mut(&pause) {
                let Some(&(at, n)) = queue.front() else { break };
                let transaction = &mut self.transactions[n as usize];
                if !transaction.is_over && at > now_us {
                    break;
                }
                queue.pop_front();
                if transaction.is_over {
                    continue;
                }
                if now_us >= transaction.begun_us + TIMER_F_US {
                    transaction.is_over = true;
                    self.active -= 1;
                    self.stats.timeouts += 1;
                    scenario.answered(self.base + n, None);
                    continue;
                }
                transaction.sends += 1;
                let next = (T1_US << u32::from(transaction.sends - 1).min(3)).min(8 * T1_US);
                self.timers.entry(next).or_default().push_back((now_us + next, n));
                self.stats.retransmissions += 1;
                let bytes = scenario.again(self.base + n);
                self.send(bytes);
            }
        }
    }

    /// Takes in what has come, and waits a little if nothing has.
    async fn take(&mut self, scenario: &mut dyn Scenario, eager: bool) {
        let until = Instant::now() + ROUND;
        let mut first = true;
        loop {
            let wait = if first { until } else { Instant::now() };
            let Ok(Some(event)) = tokio::time::timeout_at(wait, self.events.next()).await else {
                return;
            };
            first = false;
            if let Event::Packets(packets) = event {
                for packet in packets {
                    self.receive(scenario, &packet);
                }
            }
            self.wire.flush();
            if eager {
                return;
            }
        }
    }

    fn receive(&mut self, scenario: &mut dyn Scenario, packet: &Packet) {
        if self.loss > 0.0 && self.draw() < self.loss {
            self.stats.lost_on_purpose += 1;
            return;
        }
        if let Some((code, n)) = script::response(&packet.bytes, self.run) {
            if code >= 200 {
                self.answered(scenario, n, code);
            }
        } else if let Some((answer, key)) = script::accept(&packet.bytes) {
            scenario.arrived(key, script::named(&packet.bytes, self.run));
            if self.draw() >= self.loss {
                self.wire.send(packet.path, Bytes::from(answer), None);
            }
        }
    }

    fn answered(&mut self, scenario: &mut dyn Scenario, n: u32, code: u16) {
        let Some(at) = n.checked_sub(self.base) else { return };
        let Some(transaction) = self.transactions.get_mut(at as usize) else { return };
        if std::mem::replace(&mut transaction.is_over, true) {
            return;
        }
        self.active -= 1;
        let took = self.clock.now().mono_us - transaction.begun_us;
        self.stats.times_us.push(u32::try_from(took).unwrap_or(u32::MAX));
        *self.stats.finals.entry(code).or_default() += 1;
        scenario.answered(n, Some(code));
    }

    /// A number from 0 to 1; the seed decides which.
    fn draw(&mut self) -> f64 {
        (self.draw_bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn draw_bits(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z
    }
}

/// The address from which the target is reached.
fn local_ip(target: SocketAddr) -> anyhow::Result<IpAddr> {
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = std::net::UdpSocket::bind(any).context("cannot open a socket")?;
    socket.connect(target).with_context(|| format!("there is no way to {target}"))?;
    Ok(socket.local_addr().context("the socket has no address")?.ip())
}
