//! What a restart must not change. Each check runs after a close and after a drop without one.

use crate::support::{TestClock, options};
use sipsilo::store::conformance::message;
use sipsilo::store::embedded::{EmbeddedStore, Options};
use sipsilo::store::{Put, Store};
use sipsilo::vocab::{Aor, Message};
use std::sync::Arc;
use tempfile::TempDir;

/// An embedded store that can be opened again.
struct Home {
    folder: TempDir,
    clock: Arc<TestClock>,
    generation_bytes: u64,
}

/// How a run of the store ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Close,
    Drop,
}

/// Every way to end and every way to be cut.
async fn each_way<F: AsyncFn(Home, Ending)>(check: F) {
    for ending in [Ending::Close, Ending::Drop] {
        for generation_bytes in [1, 64 * 1024 * 1024] {
            let folder = tempfile::tempdir().unwrap();
            let home = Home { folder, clock: Arc::default(), generation_bytes };
            check(home, ending).await;
        }
    }
}

impl Home {
    fn options(&self) -> Options {
        let mut options = options(self.folder.path());
        options.clock = self.clock.clone();
        options.generation_bytes = self.generation_bytes;
        options
    }

    fn open(&self) -> EmbeddedStore {
        EmbeddedStore::open(self.options()).unwrap()
    }

    async fn again(&self, store: EmbeddedStore, ending: Ending) -> EmbeddedStore {
        if ending == Ending::Close {
            store.close().await.unwrap();
        }
        drop(store);
        self.open()
    }
}

fn lasting(user: &str, n: u32) -> Message {
    message(user, n, i64::MAX)
}

async fn put(store: &EmbeddedStore, message: &Message) -> Put {
    store.put(Arc::new(message.clone())).await.unwrap()
}

async fn all(store: &EmbeddedStore, owner: &Aor) -> Vec<Message> {
    store.page(owner, None, usize::MAX, usize::MAX).await.unwrap().messages
}

#[tokio::test]
async fn everything_answered_is_there_after_a_restart() {
    each_way(async |home, ending| {
        let store = home.open();
        let messages: Vec<Message> = (0..50).map(|n| lasting("bob", n)).collect();
        for message in &messages {
            assert_eq!(put(&store, message).await, Put::Stored);
        }
        let owner = &messages[0].owner;
        store.delete(owner, messages[3].key).await.unwrap();
        store.set_attempts(owner, messages[4].key, 2).await.unwrap();
        store.bury(owner, messages[5].key).await.unwrap();
        let before = all(&store, owner).await;
        assert_eq!(before.len(), 48);
        let store = home.again(store, ending).await;
        assert_eq!(all(&store, owner).await, before, "{ending:?}");
        assert_eq!(store.count(owner, 1000).await, Ok(48));
        assert_eq!(store.newest_inc_us(), messages[49].key.inc_us);
        let (letters, _) = store.dead_letters(None, None, 10).await.unwrap();
        assert_eq!(letters, [messages[5].clone()]);
        // Once more: what was replayed is replayed no differently.
        let store = home.again(store, ending).await;
        assert_eq!(all(&store, owner).await, before, "{ending:?}");
    })
    .await;
}

#[tokio::test]
async fn a_message_is_recognised_after_a_restart_even_if_it_was_deleted() {
    each_way(async |home, ending| {
        let store = home.open();
        let (gone, there) = (lasting("bob", 1), lasting("bob", 2));
        put(&store, &gone).await;
        put(&store, &there).await;
        store.delete(&gone.owner, gone.key).await.unwrap();
        let store = home.again(store, ending).await;
        assert_eq!(put(&store, &gone).await, Put::Duplicate, "{ending:?}");
        assert_eq!(put(&store, &there).await, Put::Duplicate, "{ending:?}");
        assert_eq!(all(&store, &gone.owner).await, [there]);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_still_there_is_recognised_after_any_time() {
    each_way(async |home, ending| {
        let mut store = home.open();
        // Few and many rows take different ways.
        for (user, messages) in [("few", 3), ("many", 60)] {
            for n in 0..messages {
                put(&store, &lasting(user, n)).await;
            }
        }
        for round in 0..3 {
            home.clock.advance_s(100);
            put(&store, &lasting("other", round)).await;
            for (user, n) in [("few", 1), ("many", 40), ("many", 41)] {
                let mut again = lasting(user, n);
                again.key.inc_us += 1_000_000;
                assert_eq!(put(&store, &again).await, Put::Duplicate, "{user} {round} {ending:?}");
            }
            assert_eq!(put(&store, &lasting("many", 100 + round)).await, Put::Stored);
            store = home.again(store, ending).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_identity_may_come_back_when_its_message_is_long_gone() {
    each_way(async |home, _| {
        let store = home.open();
        let first = lasting("bob", 1);
        put(&store, &first).await;
        store.delete(&first.owner, first.key).await.unwrap();
        assert_eq!(put(&store, &first).await, Put::Duplicate);
        // Forgetting needs a checkpoint and time; each put of another message gives it both.
        let mut n = 10;
        while put(&store, &first).await == Put::Duplicate {
            home.clock.advance_s(100);
            put(&store, &lasting("carol", n)).await;
            n += 1;
            // Kept in memory by a generation that is never cut.
            if home.generation_bytes > 1 {
                return;
            }
        }
        assert_eq!(all(&store, &first.owner).await, [first]);
    })
    .await;
}

#[tokio::test]
async fn what_expires_is_swept_after_a_restart() {
    each_way(async |home, ending| {
        let store = home.open();
        for n in 0..20 {
            put(&store, &message("bob", n, 100 + i64::from(n))).await;
        }
        let store = home.again(store, ending).await;
        assert_eq!(store.sweep(99, 100).await.unwrap().removed, []);
        let swept = store.sweep(109, 100).await.unwrap();
        assert_eq!(swept.removed.iter().map(|(_, n)| n).sum::<u32>(), 10);
        let owner = lasting("bob", 0).owner;
        assert_eq!(store.count(&owner, 100).await, Ok(10));
        let store = home.again(store, ending).await;
        assert_eq!(all(&store, &owner).await.len(), 10, "{ending:?}");
        let swept = store.sweep(1_000, 100).await.unwrap();
        assert_eq!(swept.removed.iter().map(|(_, n)| n).sum::<u32>(), 10);
        assert_eq!(store.occupied(None, 10).await.unwrap().0, []);
    })
    .await;
}

#[tokio::test]
async fn files_go_when_their_messages_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home { folder, clock: Arc::default(), generation_bytes: 1 };
    let store = home.open();
    for n in 0..400 {
        let mut message = lasting("bob", n);
        message.body = vec![b'x'; 20_000].into();
        put(&store, &message).await;
        if n % 8 > 0 {
            store.delete(&message.owner, message.key).await.unwrap();
        }
    }
    store.close().await.unwrap();
    drop(store);
    let size = || -> u64 {
        let files = std::fs::read_dir(home.folder.path()).unwrap();
        files
            .map(|file| file.unwrap())
            .filter(|file| !file.file_name().to_string_lossy().starts_with("spare-"))
            .map(|file| file.metadata().unwrap().len())
            .sum()
    };
    // 50 of 400 messages are left: a megabyte of eight.
    assert!(size() < 6 * 1024 * 1024, "{} bytes for one megabyte", size());
    let store = home.open();
    let owner = lasting("bob", 0).owner;
    let left = all(&store, &owner).await;
    assert_eq!(left.len(), 50);
    for message in left {
        store.delete(&owner, message.key).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    drop(home.open());
    assert!(size() < 1024 * 1024, "{} bytes for nothing", size());
}
