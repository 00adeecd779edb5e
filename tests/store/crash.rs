//! A process that puts and deletes is killed at a random moment; what it had been told must be
//! true afterwards. `SILO_TEST_SEED` runs one series again (as far as the scheduler lets it).

use crate::support::options;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sipsilo::store::conformance::message;
use sipsilo::store::embedded::EmbeddedStore;
use sipsilo::store::{Put, Store};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const ROUNDS: u32 = 30;
const USERS: u32 = 20;
const FOLDER: &str = "SILO_TEST_CRASH_FOLDER";
const FIRST: &str = "SILO_TEST_CRASH_FIRST";
const GENERATION: &str = "SILO_TEST_CRASH_GENERATION";

fn user(n: u32) -> String {
    format!("user{}", n % USERS)
}

fn open(folder: &Path, generation_bytes: u64) -> EmbeddedStore {
    let mut options = options(folder);
    options.generation_bytes = generation_bytes;
    EmbeddedStore::open(options).unwrap()
}

/// The process to be killed: this test again, with a folder. It says on its standard output what
/// it asks and what it was told, one line each: `P n` = n is stored, `D n` = n is to be deleted.
#[test]
fn a_process_that_puts_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse().unwrap();
    let (first, generation): (u64, u64) = (number(FIRST), number(GENERATION));
    let store = Arc::new(open(Path::new(&folder), generation));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let out = Arc::new(std::sync::Mutex::new(std::io::stdout()));
    let say = move |text: String| {
        let mut out = out.lock().unwrap();
        // One write: a line is whole or absent.
        out.write_all(format!("\n{text}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    };
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for lane in 0..16 {
            let (store, say) = (store.clone(), say.clone());
            tasks.push(async move {
                let mut n = u32::try_from(first).unwrap() + lane;
                loop {
                    let message = message(&user(n), n, i64::MAX);
                    if store.put(Arc::new(message.clone())).await == Ok(Put::Stored) {
                        say(format!("P {n}"));
                    }
                    if n.is_multiple_of(3) {
                        say(format!("D {n}"));
                        store.delete(&message.owner, message.key).await.unwrap();
                    }
                    n += 16;
                }
            });
        }
        futures_util::future::join_all(tasks).await
    });
}

/// Kills the child after it has said `lines` lines. Answers what it put and what it deleted.
fn kill_after(folder: &Path, first: u32, generation: u64, lines: usize) -> [BTreeSet<u32>; 2] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::a_process_that_puts_until_it_is_killed", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .env(GENERATION, generation.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let [mut put, mut deleted] = [BTreeSet::new(), BTreeSet::new()];
    let mut note = |line: String| match line.split_once(' ') {
        Some(("P", n)) => drop(put.insert(n.parse::<u32>().unwrap())),
        Some(("D", n)) => drop(deleted.insert(n.parse::<u32>().unwrap())),
        _ => {}
    };
    for line in said.by_ref().take(lines) {
        note(line.unwrap());
    }
    child.kill().unwrap();
    for line in said {
        note(line.unwrap());
    }
    child.wait().unwrap();
    [put, deleted]
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let seed = std::env::var("SILO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("SILO_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let [mut put, mut deleted] = [BTreeSet::new(), BTreeSet::new()];
    for round in 0..ROUNDS {
        let generation = [1, 20_000, 1_000_000][rng.random_range(0..3)];
        let lines = rng.random_range(1..400);
        let [more, gone] = kill_after(folder.path(), round * 100_000, generation, lines);
        put.extend(more);
        deleted.extend(gone);
        let store = open(folder.path(), generation);
        let mut found = BTreeSet::new();
        for n in 0..USERS {
            let owner = message(&user(n), n, 0).owner;
            let page = store.page(&owner, None, usize::MAX, usize::MAX).await.unwrap();
            let numbers = page.messages.iter().map(|message| {
                let n = u32::from_le_bytes(message.key.id.0[..4].try_into().unwrap());
                assert_eq!(*message, self::message(&user(n), n, i64::MAX));
                n
            });
            let before = found.len();
            found.extend(numbers);
            let count = u32::try_from(found.len() - before).unwrap();
            assert_eq!(store.count(&owner, u32::MAX).await, Ok(count));
        }
        let lost: Vec<&u32> = put.difference(&deleted).filter(|n| !found.contains(n)).collect();
        assert!(lost.is_empty(), "round {round}: stored and lost: {lost:?}");
        // What came back after a delete is deleted again, and then it stays away.
        for n in deleted.intersection(&found) {
            let message = message(&user(*n), *n, i64::MAX);
            store.delete(&message.owner, message.key).await.unwrap();
        }
        if rng.random() {
            store.close().await.unwrap();
        }
    }
    assert!(put.len() > 100, "only {} messages were stored", put.len());
}
