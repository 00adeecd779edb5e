//! Goal: whatever the moment at which the node is killed, no message that it took is lost, and
//! none is repeated but those in flight.
//! Method: a real `sipsilo run` under load on the embedded store, SIGKILL at random moments, a
//! restart on the same folder and ports, and a ledger that is exact.
//!
//! `KILLS=200 cargo test --test kill` kills more often; `KILL_SEED=17` repeats the moments.

#![allow(clippy::disallowed_methods, reason = "a user agent lives by the real clock")]
#![allow(unreachable_pub, reason = "the modules of a test are read by it alone")]

mod ledger;
mod people;
#[path = "../support/mod.rs"]
mod support;

use people::{SENDERS, Town, USERS};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::Server;

/// Kills, if nobody asks for more.
const KILLS: u64 = 10;
/// Events between two kills: a message accepted, or arrived.
const EVENTS: u64 = 1_200;
/// In this time everything that is left arrives at the end.
const DRAIN: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is to be a number, not {text:?}")))
}

/// Lets this much time pass.
fn pass(time: Duration) {
    let (_keep, never) = mpsc::sync_channel::<()>(0);
    assert!(never.recv_timeout(time).is_err());
}

/// Kills and restarts the node again and again while the town is busy.
fn torment(town: &Town, server: &mut Server, kills: u64) {
    let mut chance = StdRng::seed_from_u64(town.seed);
    for _ in 0..kills {
        town.ledger.let_pass(chance.random_range(1..=EVENTS));
        // Not always right after an event.
        pass(Duration::from_micros(chance.random_range(0..5_000)));
        town.ledger.kill();
        server.crash_and_restart();
    }
    town.ledger.let_pass(EVENTS);
}

/// Sends everybody home when it goes, so that a failure does not wait for them for ever.
struct EndOf<'a>(&'a Town);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[test]
fn whenever_the_node_is_killed_nothing_is_lost_and_only_what_was_in_flight_is_repeated() {
    let seed = number("KILL_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    let kills = number("KILLS").unwrap_or(KILLS);
    println!("rerun: KILL_SEED={seed} KILLS={kills} cargo test --test kill");
    let mut server = Server::with(&["delivery.retry_initial=200ms", "delivery.retry_max=1s"]);
    let town = Town::new(server.udp, seed);
    std::thread::scope(|scope| {
        let town = &town;
        let _end = EndOf(town);
        let senders: Vec<_> =
            (1..=SENDERS).map(|n| scope.spawn(move || people::write(town, n))).collect();
        (1..=USERS).for_each(|n| drop(scope.spawn(move || people::answer(town, n))));
        torment(town, &mut server, kills);
        town.is_quiet.store(true, Ordering::Relaxed);
        senders.into_iter().for_each(|s| s.join().expect("a sender ends well"));
        let deadline = Instant::now() + DRAIN;
        while !town.ledger.is_settled() && Instant::now() < deadline {
            pass(Duration::from_millis(50));
        }
        // What is repeated comes by now, if it comes.
        pass(Duration::from_secs(2));
    });
    let figures = town.ledger.figures();
    println!("{figures:?}");
    assert_eq!(figures.complaint(), None, "seed {seed}");
}
