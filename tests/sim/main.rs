//! Goal: the laws of docs/ARCHITECTURE.md hold whatever happens.
//! Method: the whole node, unchanged, in worlds made from seeds: network, disk, clock and people
//! are simulated, time is paused, and a witness who trusts nobody watches every border.
//!
//! `SIM_SEED=17 cargo test --test sim` runs one world and prints what happened in it;
//! `SIM_SEEDS=2000 cargo test --test sim` runs more of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]
#![allow(clippy::cast_possible_truncation, reason = "a world is small: its numbers fit")]
#![allow(unreachable_pub, reason = "the modules of a test are read by it alone")]

mod chance;
mod clock;
mod device;
mod disk;
mod letter;
mod sender;
#[path = "../support/text.rs"]
#[allow(dead_code, reason = "other test binaries use the rest")]
mod text;
mod verdict;
mod weather;
mod wire;
mod witness;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use world::Outcome;

/// Worlds that run without being asked for more.
const SEEDS: u64 = 200;
/// Lines of a chronicle that are printed when a law was broken.
const LINES: usize = 400;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is to be a number, not {text:?}")))
}

/// Panics that were injected are not worth a line.
fn silence_injected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&disk::INJECTED) {
                print(info);
            }
        }));
    });
}

/// Runs these seeds, one world at a time on each core; those whose laws were broken, in order.
fn broken_worlds(seeds: &[u64]) -> Vec<(u64, Outcome)> {
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = world::run(*seed);
                    if !outcome.broken.is_empty() {
                        broken.lock().expect("no holder panics").push((*seed, outcome));
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().expect("no holder panics");
    broken.sort_by_key(|(seed, _)| *seed);
    broken
}

#[test]
fn the_laws_hold_in_every_world() {
    silence_injected_panics();
    if let Some(seed) = number("SIM_SEED") {
        let outcome = world::run(seed);
        println!("{}", outcome.chronicle.join("\n"));
        assert!(outcome.broken.is_empty(), "seed {seed}: {:#?}", outcome.broken);
        return;
    }
    let fresh: u64 = rand::random::<u32>().into();
    println!("fresh seed {fresh}; rerun: SIM_SEED={fresh} cargo test --test sim");
    let mut seeds: Vec<u64> = (0..number("SIM_SEEDS").unwrap_or(SEEDS)).collect();
    seeds.push(fresh);
    let broken = broken_worlds(&seeds);
    let Some((_, first)) = broken.first() else { return };
    let from = first.chronicle.len().saturating_sub(LINES);
    println!("{}\n", first.chronicle[from..].join("\n"));
    for (seed, outcome) in &broken {
        println!("seed {seed}: {}", outcome.broken.join("\n    "));
        println!("    rerun: SIM_SEED={seed} cargo test --test sim");
    }
    panic!("laws were broken in {} of {} worlds", broken.len(), seeds.len());
}

#[test]
fn the_same_seed_is_the_same_world() {
    silence_injected_panics();
    for seed in [3, 5, 8, 13, 21, 34] {
        let (one, other) = (world::run(seed).chronicle, world::run(seed).chronicle);
        let differs = one.iter().zip(&other).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed} went two ways");
        assert_eq!(one.len(), other.len(), "seed {seed} went two ways");
    }
}
