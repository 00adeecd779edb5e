//! People who write, and phones that come and go, each on a thread of its own. None of them gives
//! up because the node is away for a while.

use super::ledger::Ledger;
use super::support::ua::branch_of;
use super::support::{Sip, Ua};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Users who get messages.
pub const USERS: u64 = 8;
/// People who write.
pub const SENDERS: u64 = 4;
/// A request without an answer is sent again after this.
const AGAIN: Duration = Duration::from_millis(200);
/// A request without an answer for so long is a failure of the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// What everybody shares.
pub struct Town {
    pub node: SocketAddr,
    pub seed: u64,
    pub ledger: Ledger,
    /// Nobody writes any more.
    pub is_quiet: AtomicBool,
    /// Everybody goes home.
    pub is_over: AtomicBool,
    next: AtomicU64,
}

impl Town {
    pub fn new(node: SocketAddr, seed: u64) -> Self {
        Self {
            node,
            seed,
            ledger: Ledger::default(),
            is_quiet: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            next: AtomicU64::new(1),
        }
    }

    /// Nobody writes and nobody answers any more.
    pub fn end(&self) {
        self.is_quiet.store(true, Ordering::Relaxed);
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn chance(&self, of: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ of.rotate_left(32))
    }
}

/// Writes one message after the other until it gets quiet.
pub fn write(town: &Town, number: u64) {
    let mut chance = town.chance(1_000 + number);
    let mut ua = Ua::new(&format!("s{number}"), town.node);
    while !town.is_quiet.load(Ordering::Relaxed) {
        let serial = town.next.fetch_add(1, Ordering::Relaxed);
        let user = format!("u{}", chance.random_range(1..=USERS));
        town.ledger.written(serial, &user);
        let mut request = ua.message(&user, &format!("text {serial}"), "");
        let deadline = Instant::now() + PATIENCE;
        loop {
            match transact(&mut ua, &request, deadline) {
                200 | 202 => break,
                // Too much to do, or going down: the same message in a new transaction.
                500 | 503 => {
                    let branch = branch_of(&request);
                    let other = format!("z9hG4bK{:016x}", chance.random::<u64>());
                    request = request.replace(&branch, &other);
                }
                code => panic!("a MESSAGE was answered {code}"),
            }
        }
        town.ledger.accepted(serial);
    }
}

/// Sends a request again and again until there is a final answer.
fn transact(ua: &mut Ua, request: &str, deadline: Instant) -> u16 {
    let branch = branch_of(request);
    loop {
        ua.send(request);
        let is_it = |sip: &Sip| {
            sip.code() >= 200 && sip.header("Via").is_some_and(|via| branch_of(via) == branch)
        };
        if let Some(answer) = ua.wait_until(Instant::now() + AGAIN, is_it) {
            return answer.code();
        }
        assert!(Instant::now() < deadline, "no answer to\n{request}");
    }
}

/// A phone: it registers, takes what comes, and is away for a while.
pub fn answer(town: &Town, number: u64) {
    let mut chance = town.chance(2_000 + number);
    let mut ua = Ua::new(&format!("u{number}"), town.node);
    while !town.is_over.load(Ordering::Relaxed) {
        let is_quiet = town.is_quiet.load(Ordering::Relaxed);
        let expires = if is_quiet || chance.random_bool(0.7) { 3_600 } else { 0 };
        let request = ua.register_request(expires);
        let code = transact(&mut ua, &request, Instant::now() + PATIENCE);
        assert_eq!(code, 200, "a REGISTER was refused");
        let until = Instant::now() + Duration::from_millis(chance.random_range(20..600));
        while let Some(message) = ua.wait_until(until, |sip| sip.is("MESSAGE")) {
            let text = message.text();
            let serial = text.strip_prefix("text ").and_then(|n| n.parse().ok());
            town.ledger.arrived(serial.expect("the text that was sent"));
            ua.answer(&message, 200, "");
        }
    }
}
