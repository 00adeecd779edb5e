//! `sipsilo inbox` on an embedded store that a node has left behind.

use super::{err, out};
use sipsilo::store::Store;
use sipsilo::store::embedded::{EmbeddedStore, Options};
use sipsilo::vocab::{Aor, Clock, Key, Message, MessageId, Now};
use std::future::Future;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

/// 2026-11-13 23:29:00 UTC.
const START_S: i64 = 1_794_612_540;

struct Held;

impl Clock for Held {
    fn now(&self) -> Now {
        Now { mono_us: 0, unix_us: START_S * 1_000_000 }
    }
}

fn wait<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(Options::new(folder, Arc::new(Held))).unwrap()
}

fn bob() -> Aor {
    Aor::from_canonical("bob@example.com").unwrap()
}

fn message(owner: &Aor, serial: u8, body: &'static [u8]) -> Message {
    let inc_us = START_S * 1_000_000 + i64::from(serial) * 1_000_000;
    Message {
        key: Key { inc_us, id: MessageId([serial; 16]) },
        owner: owner.clone(),
        from: "\"Alice\" <sip:alice@example.com>;tag=1".into(),
        to: "<sip:bob@example.com>".into(),
        call_id: "1@alice".into(),
        content_type: "text/plain".into(),
        headers: "Subject: dinner\r\nPriority: urgent\r\n".into(),
        body: body.into(),
        expires_s: START_S + 3_600,
        attempts: 0,
    }
}

/// A store with two messages and a dead letter for bob, and one message for carol.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let carol = Aor::from_canonical("carol@example.com").unwrap();
    wait(async {
        let first = message(&bob(), 1, b"at eight?");
        let dead = message(&bob(), 2, b"poison");
        let last = message(&bob(), 3, b"\x1b[2Jbye");
        for message in [first, dead.clone(), last, message(&carol, 4, b"hi")] {
            store.put(Arc::new(message)).await.unwrap();
        }
        store.bury(&bob(), dead.key).await.unwrap();
        store.close().await.unwrap();
    });
    folder
}

fn inbox(folder: &Path, args: &[&str]) -> Output {
    let mut all = vec!["inbox"];
    all.extend(args);
    all.extend(["--data", folder.to_str().unwrap()]);
    super::command(&all).env("TZ", "UTC").output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", err(output));
    out(output).lines().map(str::to_owned).collect()
}

#[test]
fn list_shows_every_mailbox_that_holds_messages() {
    let folder = filled();
    let mut listed = lines(&inbox(folder.path(), &["list"]));
    assert_eq!(listed.pop().unwrap(), "3 messages in 2 inboxes and 1 dead letter");
    listed.sort();
    assert_eq!(listed, ["       1  carol@example.com", "       2  bob@example.com"]);
}

#[test]
fn list_of_a_user_shows_his_messages_oldest_first() {
    let folder = filled();
    let listed = lines(&inbox(folder.path(), &["list", "sip:bob@Example.com"]));
    let from = "from \"Alice\" <sip:alice@example.com>;tag=1";
    assert_eq!(
        listed,
        [
            format!("2026-11-13 23:29:01  {from}  9 bytes text/plain, until 2026-11-14 00:29:00"),
            format!("2026-11-13 23:29:03  {from}  7 bytes text/plain, until 2026-11-14 00:29:00"),
            format!(
                "2026-11-13 23:29:02  {from}  dead letter, 6 bytes text/plain, until 2026-11-14 \
                 00:29:00"
            ),
            "2 messages and 1 dead letter for bob@example.com".into(),
        ]
    );
}

#[test]
fn show_prints_headers_and_body_and_cannot_steer_the_terminal() {
    let folder = filled();
    let shown = lines(&inbox(folder.path(), &["show", "bob@example.com"]));
    assert_eq!(
        shown[..10],
        [
            "message 01010101010101010101010101010101",
            "  taken in 2026-11-13 23:29:01, until 2026-11-14 00:29:00, no failed deliveries",
            "  From: \"Alice\" <sip:alice@example.com>;tag=1",
            "  To: <sip:bob@example.com>",
            "  Call-ID: 1@alice",
            "  Content-Type: text/plain",
            "  Subject: dinner",
            "  Priority: urgent",
            "",
            "  at eight?",
        ]
    );
    assert!(shown.contains(&"  \\u{1b}[2Jbye".to_owned()));
    assert!(shown.contains(&"dead letter 02020202020202020202020202020202".to_owned()));
}

#[test]
fn purge_empties_one_mailbox_and_no_other() {
    let folder = filled();
    let purged = lines(&inbox(folder.path(), &["purge", "bob@example.com"]));
    assert_eq!(purged, ["deleted 2 messages and 1 dead letter for bob@example.com"]);
    let left = lines(&inbox(folder.path(), &["list"]));
    assert_eq!(left, ["       1  carol@example.com", "1 message in 1 inbox and no dead letters"]);
    let shown = lines(&inbox(folder.path(), &["show", "bob@example.com"]));
    assert_eq!(shown, ["no messages for bob@example.com"]);
    lines(&inbox(folder.path(), &["purge", "carol@example.com"]));
    assert_eq!(lines(&inbox(folder.path(), &["list"])), ["no messages and no dead letters"]);
}

#[test]
fn a_mailbox_of_many_pages_is_read_and_purged_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    wait(async {
        for serial in 0..200 {
            store.put(Arc::new(message(&bob(), serial, b"hi"))).await.unwrap();
        }
        store.close().await.unwrap();
    });
    drop(store);
    assert_eq!(lines(&inbox(folder.path(), &["list", "bob@example.com"])).len(), 201);
    let purged = lines(&inbox(folder.path(), &["purge", "bob@example.com"]));
    assert_eq!(purged, ["deleted 200 messages and no dead letters for bob@example.com"]);
}

#[test]
fn a_store_that_a_node_is_using_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _node = open(folder.path());
    let output = inbox(folder.path(), &["list"]);
    assert_eq!(output.status.code(), Some(1));
    let text = err(&output);
    assert!(text.contains(&format!("in use by process {}", std::process::id())), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_folder_without_a_store_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path(), Path::new("/no/such/folder")] {
        let output = inbox(path, &["list"]);
        assert_eq!(output.status.code(), Some(1));
        let text = "sipsilo: there is no store in ";
        let text = format!("{text}{}: name its folder with --data\n", path.display());
        assert_eq!(err(&output), text);
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}
