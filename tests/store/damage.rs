//! Damaged files, other processes, folders that cannot be used: what open says.

use crate::support::options;
use sipsilo::store::conformance::message;
use sipsilo::store::embedded::{EmbeddedStore, OpenError};
use sipsilo::store::{Put, Store};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Puts messages `numbers`, each in a batch of its own, and ends without a close.
async fn fill(folder: &Path, numbers: std::ops::Range<u32>) {
    let store = EmbeddedStore::open(options(folder)).unwrap();
    for n in numbers {
        let answer = store.put(Arc::new(message("bob", n, i64::MAX))).await;
        assert_eq!(answer, Ok(Put::Stored));
    }
}

async fn held(folder: &Path) -> usize {
    let store = EmbeddedStore::open(options(folder)).unwrap();
    let owner = message("bob", 0, 0).owner;
    store.page(&owner, None, usize::MAX, usize::MAX).await.unwrap().messages.len()
}

/// The files of the log, oldest first.
fn log_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("wal-"))
        .collect();
    files.sort();
    files
}

/// The byte at which the body of message `n` stands in a file.
fn body_at(path: &Path, n: u32) -> usize {
    let body = message("bob", n, 0).body;
    let bytes = fs::read(path).unwrap();
    bytes.windows(body.len()).position(|window| window == body).unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn refused(folder: &Path) -> String {
    EmbeddedStore::open(options(folder)).unwrap_err().to_string()
}

#[tokio::test]
async fn a_torn_last_batch_is_forgotten_and_the_rest_is_there() {
    for cut in [1, 30, 200] {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), 0..10).await;
        let file = log_files(folder.path()).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let end = body_at(&file, 9) + 10;
        bytes[end - cut..].fill(0);
        fs::write(&file, bytes).unwrap();
        assert_eq!(held(folder.path()).await, 9, "cut {cut} bytes before the end");
        // And it goes on from there.
        fill(folder.path(), 20..25).await;
        assert_eq!(held(folder.path()).await, 14);
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_last_batch_costs_that_batch_only() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 0..10).await;
    let file = log_files(folder.path()).pop().unwrap();
    flip(&file, body_at(&file, 9));
    assert_eq!(held(folder.path()).await, 9);
}

#[tokio::test]
async fn a_flipped_bit_before_the_last_batch_is_never_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 0..10).await;
    let file = log_files(folder.path()).pop().unwrap();
    flip(&file, body_at(&file, 4));
    let text = refused(folder.path());
    assert!(text.contains(file.to_str().unwrap()) && text.contains("backup"), "{text}");
}

#[tokio::test]
async fn a_flipped_bit_in_the_head_of_the_newest_file_is_never_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 0..10).await;
    let file = log_files(folder.path()).pop().unwrap();
    flip(&file, 20);
    let text = refused(folder.path());
    assert!(text.contains(file.to_str().unwrap()) && text.contains("head"), "{text}");
}

#[tokio::test]
async fn damage_in_an_older_file_is_never_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    for from in [0, 10, 20] {
        fill(folder.path(), from..from + 10).await;
    }
    let files = log_files(folder.path());
    assert_eq!(files.len(), 3);
    let whole = fs::read(&files[1]).unwrap();
    // Even in its last batch: its successor says how long it is.
    for damage in [body_at(&files[1], 12), body_at(&files[1], 19), 12] {
        flip(&files[1], damage);
        let text = refused(folder.path());
        assert!(text.contains(files[1].to_str().unwrap()), "{text}");
        fs::write(&files[1], &whole).unwrap();
    }
    fs::remove_file(&files[1]).unwrap();
    let text = refused(folder.path());
    assert!(text.contains(files[1].to_str().unwrap()) && text.contains("missing"), "{text}");
    fs::write(&files[1], &whole).unwrap();
    assert_eq!(held(folder.path()).await, 30);
}

#[tokio::test]
async fn a_body_that_hides_a_batch_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 0..3).await;
    let file = log_files(folder.path()).pop().unwrap();
    // A sender who knew the bytes of a batch of this very file, sent to be torn.
    let start = 64;
    let hidden = fs::read(&file).unwrap()[start..start + 400].to_vec();
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    let mut carrier = message("bob", 7, i64::MAX);
    carrier.body = hidden.repeat(20).into();
    store.put(Arc::new(carrier)).await.unwrap();
    drop(store);
    let file = log_files(folder.path()).pop().unwrap();
    flip(&file, 100);
    assert_eq!(held(folder.path()).await, 3);
}

#[tokio::test]
async fn a_damaged_base_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 0..10).await;
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    store.close().await.unwrap();
    drop(store);
    let base = folder.path().join("base.redb");
    fs::write(&base, vec![0xa5; 100_000]).unwrap();
    let text = refused(folder.path());
    assert!(text.contains(base.to_str().unwrap()) && text.contains("backup"), "{text}");
}

#[tokio::test]
async fn a_missing_file_of_bodies_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 0..10).await;
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    store.close().await.unwrap();
    drop(store);
    let kept = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .unwrap();
    let bytes = fs::read(&kept).unwrap();
    fs::remove_file(&kept).unwrap();
    let text = refused(folder.path());
    assert!(text.contains(kept.to_str().unwrap()) && text.contains("missing"), "{text}");
    // A flipped bit in it is noticed when the message is read, and only then.
    fs::write(&kept, bytes).unwrap();
    flip(&kept, body_at(&kept, 5));
    let store = EmbeddedStore::open(options(folder.path())).unwrap();
    let owner = message("bob", 0, 0).owner;
    let error = store.page(&owner, None, 100, usize::MAX).await.unwrap_err();
    assert!(matches!(error, sipsilo::store::Error::Corrupt(_)), "{error}");
    assert_eq!(store.page(&owner, None, 5, usize::MAX).await.unwrap().messages.len(), 5);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(EmbeddedStore::open(options(folder.path())).unwrap());
    let base = folder.path().join("base.redb");
    {
        let database = redb::Database::open(&base).unwrap();
        let txn = database.begin_write().unwrap();
        let meta = redb::TableDefinition::<&str, u64>::new("meta");
        txn.open_table(meta).unwrap().insert("format", 77).unwrap();
        txn.commit().unwrap();
    }
    let error = EmbeddedStore::open(options(folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::Newer { format: 77, .. }), "{error}");
}

#[test]
fn a_second_process_is_kept_out_and_told_which_one_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let _first = EmbeddedStore::open(options(folder.path())).unwrap();
    let error = EmbeddedStore::open(options(folder.path())).unwrap_err();
    let OpenError::InUse { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, std::process::id().to_string());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    fs::write(&file, "x").unwrap();
    let inside = file.join("store");
    let text = refused(&inside);
    assert!(text.contains(inside.to_str().unwrap()) && text.contains("write"), "{text}");
}
