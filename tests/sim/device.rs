//! Phones: they come and go, are moody, silent or late, and answer a retransmission as they
//! answered the first copy.

use super::chance::Chance;
use super::text::Sip;
use super::witness::{Witness, branch_of};
use sipsilo::net::memory::Endpoint;
use sipsilo::vocab::{Packet, Path, Transport};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const GIVES_UP: Duration = Duration::from_secs(32);
/// A well-behaved phone refreshes so often.
const REFRESH: Duration = Duration::from_secs(300);

/// The answers of a moody phone.
const MOODS: [u16; 13] = [480, 486, 503, 500, 404, 408, 603, 606, 403, 415, 488, 400, 420];

/// A REGISTER that waits for its answer.
struct Registering {
    bytes: String,
    branch: String,
    pause: Duration,
    again: Instant,
    deadline: Instant,
}

/// A phone.
pub struct Device {
    user: String,
    name: String,
    endpoint: Endpoint,
    node: SocketAddr,
    transport: Transport,
    chance: Chance,
    witness: Arc<Witness>,
    moody: f64,
    cseq: u32,
    /// Nothing is heard nor said before.
    dark_until: Instant,
    next_act: Instant,
    registering: Option<Registering>,
    /// The answers given; `None` = none was, nor will be.
    answers: HashMap<String, Option<String>>,
    later: BTreeMap<(Instant, u64), (Path, Sip, u16)>,
    last_path: Option<Path>,
    behaves: bool,
}

impl Device {
    /// The address of a user's phone.
    pub fn address(user: u64, number: u64) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, user as u8], 5_060 + number as u16))
    }

    pub fn new(
        (user, number): (u64, u64),
        endpoint: Endpoint,
        (node, transport): (SocketAddr, Transport),
        moody: f64,
        mut chance: Chance,
        witness: Arc<Witness>,
    ) -> Self {
        let now = Instant::now();
        let next_act = now + chance.ms(0..=20_000);
        Self {
            user: format!("u{user}"),
            name: format!("phone {user}/{number}"),
            endpoint,
            node,
            transport,
            chance,
            witness,
            moody,
            cseq: 0,
            dark_until: now,
            next_act,
            registering: None,
            answers: HashMap::new(),
            later: BTreeMap::new(),
            last_path: None,
            behaves: false,
        }
    }

    /// Lives until the world ends. From the moment `good` is told it behaves.
    pub async fn live(mut self, mut good: oneshot::Receiver<()>) {
        loop {
            let next = self.next_moment();
            tokio::select! {
                biased;
                _ = &mut good, if !self.behaves => self.behave(),
                packet = self.endpoint.receive() => self.receive(&packet),
                () = sleep_until(next) => self.tick(),
            }
        }
    }

    fn behave(&mut self) {
        self.behaves = true;
        self.dark_until = Instant::now();
        self.next_act = Instant::now();
        self.registering = None;
    }

    fn next_moment(&self) -> Instant {
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        let again = self.registering.as_ref().map(|r| r.again.min(r.deadline));
        [Some(self.next_act), later, again].into_iter().flatten().min().unwrap_or(self.next_act)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            let (path, sip, code) = entry.remove();
            self.answer(path, &sip, code);
        }
        if let Some(mut registering) = self.registering.take()
            && registering.deadline > now
        {
            if registering.again <= now {
                if self.transport == Transport::Udp {
                    self.send(&registering.bytes);
                }
                registering.pause = (registering.pause * 2).min(T2);
                registering.again = now + registering.pause;
            }
            self.registering = Some(registering);
        }
        if self.next_act <= now {
            self.act(now);
        }
    }

    /// Does something of its own accord.
    fn act(&mut self, now: Instant) {
        if self.behaves {
            self.next_act = now + REFRESH;
            return self.register(3_600);
        }
        self.next_act = now + self.chance.ms(500..=40_000);
        if self.dark_until > now {
            return;
        }
        match self.chance.from(0..=9) {
            0..=5 => {
                let expires = *self.chance.pick(&[5, 20, 60, 600, 3_600]);
                self.register(expires);
            }
            6 | 7 => self.register(0),
            8 if self.moody > 0.0 => {
                self.witness.note(&format!("{} goes dark", self.name));
                self.dark_until = now + self.chance.ms(1_000..=60_000);
            }
            _ => {
                if let Some(flow) = self.last_path.take().and_then(|path| path.flow) {
                    self.witness.note(&format!("{} closes its connection", self.name));
                    self.endpoint.close(flow);
                }
            }
        }
    }

    fn send(&self, bytes: &str) {
        self.endpoint.send(self.transport, self.node, bytes.to_owned().into_bytes());
    }

    fn register(&mut self, expires: u32) {
        self.witness.note(&format!("{} registers for {expires} s", self.name));
        self.cseq += 1;
        let branch = format!("z9hG4bK{:016x}", self.chance.number());
        let (user, address, via) = (&self.user, self.endpoint.address(), self.transport.in_via());
        let transport = self.transport.in_uri();
        let bytes = format!(
            "REGISTER sip:example.com SIP/2.0\r\n\
             Via: SIP/2.0/{via} {address};rport;branch={branch}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{user}@example.com>;tag=r{cseq}\r\nTo: <sip:{user}@example.com>\r\n\
             Call-ID: r{port}{user}@sim\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{user}@{address};transport={transport}>;expires={expires}\r\n\
             Content-Length: 0\r\n\r\n",
            cseq = self.cseq,
            port = address.port(),
        );
        self.send(&bytes);
        let now = Instant::now();
        let (again, deadline) = (now + T1, now + GIVES_UP);
        self.registering = Some(Registering { bytes, branch, pause: T1, again, deadline });
    }

    fn receive(&mut self, packet: &Packet) {
        let sip = Sip::read(&packet.bytes);
        self.last_path = Some(packet.path);
        if sip.code() >= 200 {
            let branch = branch_of(&sip);
            self.registering.take_if(|r| r.branch == branch);
            return;
        }
        if self.dark_until > Instant::now() || !sip.is("MESSAGE") {
            return;
        }
        match self.answers.get(&branch_of(&sip)) {
            Some(Some(answer)) => {
                self.endpoint.send_on(packet.path, answer.clone().into_bytes());
            }
            Some(None) => {}
            None => self.consider(packet.path, sip),
        }
    }

    /// A message that was not there before.
    fn consider(&mut self, path: Path, sip: Sip) {
        if self.behaves || !self.chance.hits(self.moody) {
            return self.answer(path, &sip, 200);
        }
        self.answers.insert(branch_of(&sip), None);
        match self.chance.from(0..=9) {
            0 | 1 => {}
            2 | 3 => {
                let at = Instant::now() + self.chance.ms(10..=40_000);
                let number = self.chance.number();
                self.later.insert((at, number), (path, sip, 200));
            }
            _ => {
                let code = *self.chance.pick(&MOODS);
                self.answer(path, &sip, code);
            }
        }
    }

    fn answer(&mut self, path: Path, sip: &Sip, code: u16) {
        self.witness.answered(sip, &self.name, code);
        let extra = if matches!(code, 480 | 503) && self.chance.hits(0.3) {
            format!("Retry-After: {}\r\n", self.chance.from(1..=120))
        } else {
            String::new()
        };
        let bytes = sip.answer(code, "So", &extra);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.answers.insert(branch_of(sip), Some(text));
        self.endpoint.send_on(path, bytes);
    }
}
