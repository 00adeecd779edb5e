//! A disk that fails: what is answered meanwhile, and that it heals by itself.

use crate::support::options;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sipsilo::store::conformance::message;
use sipsilo::store::embedded::{Disk, DiskFile, EmbeddedStore, RealDisk};
use sipsilo::store::{Error, Put, Store};
use sipsilo::vocab::Message;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// Fails one write or sync in so many thousand, by a seed.
#[derive(Debug)]
struct Faults {
    per_mille: AtomicU32,
    rng: Mutex<StdRng>,
}

impl Faults {
    fn new(seed: u64) -> Arc<Self> {
        let rng = Mutex::new(StdRng::seed_from_u64(seed));
        Arc::new(Self { per_mille: AtomicU32::new(0), rng })
    }

    fn set(&self, per_mille: u32) {
        self.per_mille.store(per_mille, Ordering::SeqCst);
    }

    fn strike(&self) -> io::Result<()> {
        let per_mille = self.per_mille.load(Ordering::SeqCst);
        if self.rng.lock().unwrap().random_range(0..1000) < per_mille {
            return Err(io::Error::other("a fault was injected"));
        }
        Ok(())
    }
}

/// The real disk with faults in front.
#[derive(Debug)]
struct FaultyDisk(Arc<Faults>);

#[derive(Debug)]
struct FaultyFile(Arc<dyn DiskFile>, Arc<Faults>);

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.0.strike()?;
        Ok(Arc::new(FaultyFile(RealDisk.open(path, create)?, self.0.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.strike()?;
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.strike()?;
        RealDisk.remove(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.strike()?;
        RealDisk.sync_folder(folder)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(folder)
    }
}

impl DiskFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(at, out)
    }
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.1.strike() {
            // As a disk does it: some of it is there.
            self.0.write_at(at, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.0.write_at(at, bytes)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.strike()?;
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        // As a disk does it: the bytes may have arrived all the same.
        self.0.sync()?;
        self.1.strike()
    }
}

fn is_unavailable<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Unavailable(_)))
}

#[tokio::test]
async fn a_failed_write_is_said_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::new(1);
    let mut options = options(folder.path());
    options.disk = Arc::new(FaultyDisk(faults.clone()));
    let store = EmbeddedStore::open(options).unwrap();
    let first = Arc::new(message("bob", 1, i64::MAX));
    let second = Arc::new(message("bob", 2, i64::MAX));
    assert_eq!(store.put(first.clone()).await, Ok(Put::Stored));
    faults.set(1000);
    for _ in 0..3 {
        assert!(is_unavailable(&store.put(second.clone()).await));
    }
    // A delete needs no disk at once.
    assert_eq!(store.delete(&first.owner, first.key).await, Ok(()));
    faults.set(0);
    assert_eq!(store.put(second.clone()).await, Ok(Put::Stored));
    drop(store);
    let store = EmbeddedStore::open(crate::support::options(folder.path())).unwrap();
    let page = store.page(&first.owner, None, 10, usize::MAX).await.unwrap();
    assert_eq!(page.messages, [Message::clone(&second)]);
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_on_a_disk_that_fails_now_and_then() {
    let seed = std::env::var("SILO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("SILO_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults::new(rng.random());
        let mut options = options(folder.path());
        options.segment_bytes = 64 * 1024;
        options.generation_bytes = [1, 5_000, 50_000][rng.random_range(0..3)];
        options.disk = Arc::new(FaultyDisk(faults.clone()));
        let store = EmbeddedStore::open(options.clone()).unwrap();
        faults.set(rng.random_range(1..200));
        let (mut stored, mut failed) = (BTreeSet::new(), 0);
        for n in 0..300 {
            let message = Arc::new(message("bob", n, i64::MAX));
            match store.put(message.clone()).await {
                Ok(Put::Stored) => drop(stored.insert(n)),
                Err(Error::Unavailable(_)) => failed += 1,
                other => panic!("round {round}: {other:?}"),
            }
            if n % 4 == 0 && store.delete(&message.owner, message.key).await.is_ok() {
                stored.remove(&n);
            }
        }
        faults.set(0);
        // It heals by itself: what failed is put again, what was put is known.
        for n in (0..300).filter(|n| n % 4 > 0) {
            let answer = store.put(Arc::new(message("bob", n, i64::MAX))).await;
            let wanted = if stored.insert(n) { Put::Stored } else { Put::Duplicate };
            assert_eq!(answer, Ok(wanted), "round {round}, {failed} failures, message {n}");
        }
        if rng.random() {
            store.close().await.unwrap();
        }
        drop(store);
        let store = EmbeddedStore::open(options).unwrap();
        let owner = message("bob", 0, 0).owner;
        let page = store.page(&owner, None, usize::MAX, usize::MAX).await.unwrap();
        let found: BTreeSet<u32> = page
            .messages
            .iter()
            .map(|m| u32::from_le_bytes(m.key.id.0[..4].try_into().unwrap()))
            .collect();
        let lost: Vec<_> = stored.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        let back: Vec<_> = found.difference(&stored).filter(|n| *n % 4 > 0).collect();
        assert!(back.is_empty(), "round {round}: came from nowhere {back:?}");
    }
}

/// A file system of a few megabytes, if this user may make one.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).output());
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_space_heals_it() {
    let Some(tiny) = Tiny::mount() else {
        println!("skipped: this user may not mount a small file system");
        return;
    };
    let filler = tiny.0.path().join("filler");
    std::fs::write(&filler, vec![1; 1024 * 1024]).unwrap();
    let mut options = options(&tiny.0.path().join("store"));
    options.generation_bytes = 100_000;
    let store = EmbeddedStore::open(options.clone()).unwrap();
    let large = |n| {
        let mut message = message("bob", n, i64::MAX);
        message.body = vec![b'x'; 20_000].into();
        Arc::new(message)
    };
    let mut n = 0;
    let error = loop {
        match store.put(large(n)).await {
            Ok(_) => n += 1,
            Err(error) => break error,
        }
        assert!(n < 1_000, "three megabytes hold twenty");
    };
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    let owner = &large(0).owner;
    assert_eq!(store.count(owner, 1_000).await, Ok(n), "what was stored is there meanwhile");
    std::fs::remove_file(&filler).unwrap();
    let healed = loop {
        match store.put(large(n)).await {
            Ok(put) => break put,
            Err(Error::Unavailable(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(healed, Put::Stored);
    drop(store);
    let store = EmbeddedStore::open(options).unwrap();
    let page = store.page(owner, None, 1_000, usize::MAX).await.unwrap();
    assert_eq!(u32::try_from(page.messages.len()), Ok(n + 1));
}
