//! The embedded store does what the memory store does, over restarts and checkpoints, for long
//! random runs. `SILO_TEST_SEED` runs one again.

use crate::support::{TestClock, options};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sipsilo::store::Store;
use sipsilo::store::conformance::message;
use sipsilo::store::embedded::EmbeddedStore;
use sipsilo::store::memory::MemoryStore;
use sipsilo::vocab::{Aor, Key, Message};
use std::collections::BTreeSet;
use std::sync::Arc;

const USERS: u32 = 6;
const STEPS: u32 = 1_500;

fn user(n: u32) -> String {
    format!("user{}", n % USERS)
}

fn owner(n: u32) -> Aor {
    Aor::from_parts(&user(n), "example.com")
}

fn key(n: u32) -> Key {
    message("x", n, 0).key
}

async fn same(step: u32, model: &MemoryStore, store: &EmbeddedStore) {
    for n in 0..USERS {
        let aor = owner(n);
        let wanted = model.page(&aor, None, 10_000, usize::MAX).await.unwrap().messages;
        let mut found: Vec<Message> = Vec::new();
        loop {
            let after = found.last().map(|message| message.key);
            let page = store.page(&aor, after, 7, usize::MAX).await.unwrap();
            found.extend(page.messages);
            if page.is_last {
                break;
            }
        }
        assert_eq!(found, wanted, "the inbox of {aor} after step {step}");
        assert_eq!(store.count(&aor, 9_999).await, model.count(&aor, 9_999).await, "step {step}");
        let dead = store.dead_letters(Some(&aor), None, 9_999).await.unwrap().0;
        let wanted = model.dead_letters(Some(&aor), None, 9_999).await.unwrap().0;
        assert_eq!(dead, wanted, "the dead letters of {aor} after step {step}");
    }
    let names = |inboxes: Vec<sipsilo::store::Occupied>| -> BTreeSet<(Aor, u32)> {
        inboxes.into_iter().map(|inbox| (inbox.aor, inbox.messages)).collect()
    };
    let found = names(store.occupied(None, 1_000).await.unwrap().0);
    assert_eq!(found, names(model.occupied(None, 1_000).await.unwrap().0), "step {step}");
}

async fn step(rng: &mut StdRng, newest: &mut u32, model: &MemoryStore, store: &EmbeddedStore) {
    let any = rng.random_range(0..=*newest);
    let (aor, at) = (owner(any), key(any));
    match rng.random_range(0..100) {
        0..45 => {
            *newest += 1;
            let expires_s = i64::from(rng.random_range(0..2 * STEPS));
            let message = Arc::new(message(&user(*newest), *newest, expires_s));
            assert_eq!(store.put(message.clone()).await, model.put(message).await);
        }
        45..50 => {
            let mut again = message(&user(any), any, 9);
            again.key.inc_us += rng.random_range(0..2);
            let again = Arc::new(again);
            assert_eq!(store.put(again.clone()).await, model.put(again).await, "{any} again");
        }
        50..75 => {
            assert_eq!(store.delete(&aor, at).await, model.delete(&aor, at).await);
        }
        75..82 => {
            let attempts = rng.random_range(0..9);
            store.set_attempts(&aor, at, attempts).await.unwrap();
            model.set_attempts(&aor, at, attempts).await.unwrap();
        }
        82..90 => {
            store.bury(&aor, at).await.unwrap();
            model.bury(&aor, at).await.unwrap();
        }
        90..97 => {
            assert_eq!(store.exhume(&aor, at).await, model.exhume(&aor, at).await, "{any}");
        }
        _ => {
            let unix_s = i64::from(rng.random_range(0..STEPS / 2));
            let sum = |swept: sipsilo::store::Swept| -> BTreeSet<(Aor, u32)> {
                let mut removed = std::collections::BTreeMap::new();
                for (aor, count) in swept.removed {
                    *removed.entry(aor).or_insert(0) += count;
                }
                removed.into_iter().collect()
            };
            let found = sum(store.sweep(unix_s, usize::MAX).await.unwrap());
            assert_eq!(found, sum(model.sweep(unix_s, usize::MAX).await.unwrap()));
        }
    }
}

#[tokio::test]
async fn a_long_random_life_is_the_same_in_memory_and_on_disk() {
    let seed = std::env::var("SILO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    println!("SILO_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::default());
    let open = |rng: &mut StdRng| {
        let mut options = options(folder.path());
        options.clock = clock.clone();
        options.segment_bytes = 64 * 1024;
        options.generation_bytes = [1, 3_000, 100_000][rng.random_range(0..3)];
        EmbeddedStore::open(options).unwrap()
    };
    let model = MemoryStore::new(clock.clone());
    let mut store = open(&mut rng);
    let mut newest = 0;
    for at in 0..STEPS {
        step(&mut rng, &mut newest, &model, &store).await;
        if rng.random_range(0..40) == 0 {
            same(at, &model, &store).await;
        }
        if rng.random_range(0..150) == 0 {
            if rng.random() {
                store.close().await.unwrap();
            }
            drop(store);
            store = open(&mut rng);
            same(at, &model, &store).await;
        }
    }
    same(STEPS, &model, &store).await;
}
