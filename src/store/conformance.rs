//! The promises of [`super`], each as a function that panics when a store breaks it.
//!
//! Every function is given a store of its own, fresh and empty. A backend's tests call all of
//! them (`tests/store/main.rs`).

use super::{Cursor, Error, Occupied, Page, Put, Store};
use crate::vocab::{Aor, Key, Message, MessageId};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A store under test.
pub type Subject = Arc<dyn Store>;

/// A page larger than anything here.
const ALL: (usize, usize) = (1_000, 64 * 1024 * 1024);

/// A message for `user`, the `n`th, that ends at `expires_s`.
#[must_use]
pub fn message(user: &str, n: u32, expires_s: i64) -> Message {
    let mut id = [0x5a; 16];
    id[..4].copy_from_slice(&n.to_le_bytes());
    Message {
        key: Key { inc_us: 1_700_000_000_000_000 + i64::from(n), id: MessageId(id) },
        owner: Aor::from_parts(user, "example.com"),
        from: Bytes::from_static(b"\"A\" <sip:a@example.org>;tag=77"),
        to: Bytes::from(format!("<sip:{user}@example.com>")),
        call_id: Bytes::from(format!("call-{n}")),
        content_type: Bytes::from_static(b"text/plain;charset=UTF-8"),
        headers: Bytes::from_static(b"Subject: hello\r\nDate: Thu, 21 Feb 2002 13:02:03 GMT\r\n"),
        body: Bytes::from(format!("\0\u{fc}\r\n body of message {n}")),
        expires_s,
        attempts: 0,
    }
}

/// A message that stays.
fn lasting(user: &str, n: u32) -> Message {
    message(user, n, i64::MAX)
}

async fn put(store: &Subject, message: &Message) {
    assert_eq!(store.put(Arc::new(message.clone())).await, Ok(Put::Stored));
}

async fn all(store: &Subject, user: &str) -> Vec<Message> {
    let aor = Aor::from_parts(user, "example.com");
    let page = store.page(&aor, None, ALL.0, ALL.1).await;
    let page = page.unwrap_or_else(|error| panic!("the inbox of {user} cannot be read: {error}"));
    assert!(page.is_last, "the inbox of {user} is short and yet does not end");
    page.messages
}

async fn dead(store: &Subject, aor: Option<&Aor>) -> Vec<Message> {
    let letters = store.dead_letters(aor, None, ALL.0).await;
    letters.unwrap_or_else(|error| panic!("dead letters cannot be read: {error}")).0
}

/// What is put is read back, every byte of it.
pub async fn a_message_comes_back_as_it_was_put(store: Subject) {
    let mut first = lasting("bob", 1);
    first.attempts = 7;
    let mut empty = lasting("bob", 2);
    for text in [&mut empty.from, &mut empty.to, &mut empty.call_id, &mut empty.content_type] {
        *text = Bytes::new();
    }
    empty.headers = Bytes::new();
    empty.body = Bytes::new();
    let mut large = lasting("bob", 3);
    large.body = Bytes::from(vec![0xa5; 65_535]);
    for message in [&first, &empty, &large] {
        put(&store, message).await;
    }
    assert_eq!(all(&store, "bob").await, [first, empty, large]);
    assert_eq!(all(&store, "carol").await, []);
}

/// The same message, at whatever time stamp, is kept once as long as it is there.
pub async fn the_same_message_is_kept_once(store: Subject) {
    let first = lasting("bob", 1);
    put(&store, &first).await;
    let mut again = first.clone();
    again.key.inc_us += 500;
    assert_eq!(store.put(Arc::new(again)).await, Ok(Put::Duplicate));
    assert_eq!(store.put(Arc::new(first.clone())).await, Ok(Put::Duplicate));
    assert_eq!(all(&store, "bob").await, [first]);
}

/// A message that was delivered and deleted is still recognised.
pub async fn a_message_just_deleted_is_not_kept_again(store: Subject) {
    let first = lasting("bob", 1);
    put(&store, &first).await;
    assert_eq!(store.delete(&first.owner, first.key).await, Ok(()));
    assert_eq!(store.put(Arc::new(first.clone())).await, Ok(Put::Duplicate));
    assert_eq!(all(&store, "bob").await, []);
}

/// Two puts of one message at the same moment: one is stored, both are answered.
pub async fn of_two_puts_at_once_one_is_stored(store: Subject) {
    let first = Arc::new(lasting("bob", 1));
    let answers = futures_util::future::join(store.put(first.clone()), store.put(first)).await;
    assert_eq!(answers, (Ok(Put::Stored), Ok(Put::Duplicate)));
    assert_eq!(all(&store, "bob").await.len(), 1);
}

/// Identities are the owner's own.
pub async fn the_same_identity_of_two_owners_is_two_messages(store: Subject) {
    put(&store, &lasting("bob", 1)).await;
    put(&store, &lasting("carol", 1)).await;
    assert_eq!(all(&store, "bob").await.len(), 1);
    assert_eq!(all(&store, "carol").await.len(), 1);
}

/// Pages come by rising key, whatever the order of puts, and go on behind the key they are told.
pub async fn pages_follow_the_order_of_keys(store: Subject) {
    for n in [5, 1, 9, 3, 7, 2, 8, 4, 6] {
        put(&store, &lasting("bob", n)).await;
    }
    let aor = lasting("bob", 1).owner;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.page(&aor, after, 2, ALL.1).await;
        let Ok(Page { messages, is_last }) = page else { panic!("a page failed: {page:?}") };
        assert!(messages.len() <= 2);
        seen.extend(messages.iter().map(|message| message.key));
        after = seen.last().copied();
        if is_last {
            break;
        }
        assert!(seen.len() < 9, "a page that is not the last lies behind the last message");
    }
    let keys: Vec<Key> = (1..=9).map(|n| lasting("bob", n).key).collect();
    assert_eq!(seen, keys);
    // Behind a key that is not there, too.
    let gone = keys[4];
    assert_eq!(store.delete(&aor, gone).await, Ok(()));
    let page = store.page(&aor, Some(gone), ALL.0, ALL.1).await.unwrap_or_default();
    assert_eq!(page.messages.iter().map(|m| m.key).collect::<Vec<_>>(), keys[5..]);
}

/// A page holds no more bytes than it is told, but one message at least.
pub async fn a_page_is_bounded_in_bytes_but_never_stuck(store: Subject) {
    for n in 1..=4 {
        let mut message = lasting("bob", n);
        message.body = Bytes::from(vec![b'x'; 10_000]);
        put(&store, &message).await;
    }
    let aor = lasting("bob", 1).owner;
    for (bytes, messages) in [(0, 1), (9_000, 1), (25_000, 2)] {
        let page = store.page(&aor, None, ALL.0, bytes).await.unwrap_or_default();
        assert_eq!((page.messages.len(), page.is_last), (messages, false), "{bytes} bytes");
    }
}

/// What expired is in the page until somebody removes it.
pub async fn a_page_shows_what_has_expired(store: Subject) {
    let old = message("bob", 1, 5);
    put(&store, &old).await;
    assert_eq!(all(&store, "bob").await, [old]);
}

/// One message goes, by its exact key; what is not there is deleted without an error.
pub async fn a_delete_takes_exactly_its_message(store: Subject) {
    let messages: Vec<Message> = (1..=3).map(|n| lasting("bob", n)).collect();
    for message in &messages {
        put(&store, message).await;
    }
    let aor = &messages[0].owner;
    let mut other = messages[0].key;
    other.inc_us += 77;
    assert_eq!(store.delete(aor, other).await, Ok(()));
    assert_eq!(store.delete(&lasting("carol", 1).owner, messages[0].key).await, Ok(()));
    assert_eq!(store.delete(aor, messages[1].key).await, Ok(()));
    assert_eq!(store.delete(aor, messages[1].key).await, Ok(()));
    assert_eq!(all(&store, "bob").await, [messages[0].clone(), messages[2].clone()]);
    assert_eq!(store.count(aor, 10).await, Ok(2));
}

/// The number of failed deliveries is remembered, for the message that is there.
pub async fn attempts_are_remembered(store: Subject) {
    let first = lasting("bob", 1);
    put(&store, &first).await;
    assert_eq!(store.set_attempts(&first.owner, first.key, 3).await, Ok(()));
    assert_eq!(store.set_attempts(&first.owner, lasting("bob", 2).key, 4).await, Ok(()));
    let found = all(&store, "bob").await;
    assert_eq!(found, [Message { attempts: 3, ..first }]);
}

/// A dead letter is out of the inbox, in the list, and comes back to its old place.
pub async fn a_dead_letter_comes_back_to_its_place(store: Subject) {
    let messages: Vec<Message> = (1..=3).map(|n| lasting("bob", n)).collect();
    for message in &messages {
        put(&store, message).await;
    }
    let (aor, key) = (&messages[1].owner, messages[1].key);
    assert_eq!(store.exhume(aor, key).await, Ok(false), "it is not dead yet");
    assert_eq!(store.set_attempts(aor, key, 9).await, Ok(()));
    assert_eq!(store.bury(aor, key).await, Ok(()));
    assert_eq!(store.bury(aor, lasting("bob", 8).key).await, Ok(()));
    assert_eq!(all(&store, "bob").await, [messages[0].clone(), messages[2].clone()]);
    assert_eq!(store.count(aor, 10).await, Ok(2));
    let letter = Message { attempts: 9, ..messages[1].clone() };
    assert_eq!(dead(&store, None).await, std::slice::from_ref(&letter));
    assert_eq!(dead(&store, Some(aor)).await, [letter]);
    assert_eq!(dead(&store, Some(&lasting("carol", 1).owner)).await, []);
    let again = store.put(Arc::new(messages[1].clone())).await;
    assert_eq!(again, Ok(Put::Duplicate), "a dead letter is still there");
    assert_eq!(store.exhume(aor, key).await, Ok(true));
    assert_eq!(store.exhume(aor, key).await, Ok(false));
    assert_eq!(all(&store, "bob").await, messages);
    assert_eq!(dead(&store, None).await, []);
}

/// A dead letter can be deleted like any message.
pub async fn a_dead_letter_can_be_deleted(store: Subject) {
    let first = lasting("bob", 1);
    put(&store, &first).await;
    assert_eq!(store.bury(&first.owner, first.key).await, Ok(()));
    assert_eq!(store.delete(&first.owner, first.key).await, Ok(()));
    assert_eq!(dead(&store, None).await, []);
    assert_eq!(store.exhume(&first.owner, first.key).await, Ok(false));
}

/// Dead letters are listed in parts, each once, oldest first within a user.
pub async fn dead_letters_are_listed_in_parts(store: Subject) {
    let mut expected = BTreeSet::new();
    for user in ["bob", "carol", "dave"] {
        for n in 1..=5 {
            let message = lasting(user, n);
            put(&store, &message).await;
            if n != 3 {
                assert_eq!(store.bury(&message.owner, message.key).await, Ok(()));
                expected.insert((message.owner, message.key));
            }
        }
    }
    let mut seen: Vec<(Aor, Key)> = Vec::new();
    let mut from: Option<Cursor> = None;
    loop {
        let part = store.dead_letters(None, from, 3).await;
        let Ok((letters, next)) = part else { panic!("a part failed: {part:?}") };
        assert!(letters.len() <= 3);
        seen.extend(letters.into_iter().map(|letter| (letter.owner, letter.key)));
        from = next;
        if from.is_none() {
            break;
        }
        assert!(seen.len() <= expected.len(), "the list does not end");
    }
    assert_eq!(seen.len(), expected.len());
    for pair in seen.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].1 < pair[1].1, "oldest first within a user");
    }
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
}

/// Counting stops where it is told.
pub async fn a_count_does_not_go_beyond_its_bound(store: Subject) {
    let aor = lasting("bob", 1).owner;
    assert_eq!(store.count(&aor, 10).await, Ok(0));
    for n in 1..=5 {
        put(&store, &lasting("bob", n)).await;
    }
    for (up_to, counted) in [(0, 0), (3, 3), (5, 5), (100, 5)] {
        assert_eq!(store.count(&aor, up_to).await, Ok(counted));
    }
}

/// Every inbox with a message in it is enumerated once, and no other.
pub async fn the_inboxes_that_hold_something_are_enumerated(store: Subject) {
    for user in 0..40_u32 {
        for n in 0..=user % 3 {
            put(&store, &lasting(&format!("user{user}"), n)).await;
        }
    }
    let gone = lasting("user0", 0);
    assert_eq!(store.delete(&gone.owner, gone.key).await, Ok(()));
    let buried = lasting("user3", 0);
    assert_eq!(store.bury(&buried.owner, buried.key).await, Ok(()));
    let mut seen = Vec::new();
    let mut from = None;
    loop {
        let part = store.occupied(from, 7).await;
        let Ok((inboxes, next)) = part else { panic!("a part failed: {part:?}") };
        assert!(inboxes.len() <= 7);
        seen.extend(inboxes);
        from = next;
        if from.is_none() {
            break;
        }
        assert!(seen.len() <= 40, "the enumeration does not end");
    }
    let mut expected: Vec<Occupied> = (0..40_u32)
        .filter(|user| ![0, 3].contains(user))
        .map(|user| Occupied {
            aor: Aor::from_parts(&format!("user{user}"), "example.com"),
            messages: user % 3 + 1,
        })
        .collect();
    expected.sort_by(|a, b| a.aor.cmp(&b.aor));
    seen.sort_by(|a, b| a.aor.cmp(&b.aor));
    assert_eq!(seen, expected);
}

/// A sweep takes what has expired, messages and dead letters, and nothing else.
pub async fn a_sweep_removes_what_has_expired(store: Subject) {
    for (n, expires_s) in [(1, 100), (2, 300), (3, 200), (4, 50)] {
        put(&store, &message("bob", n, expires_s)).await;
    }
    put(&store, &message("carol", 1, 201)).await;
    let letter = message("bob", 4, 50);
    assert_eq!(store.bury(&letter.owner, letter.key).await, Ok(()));
    assert_eq!(store.sweep(49, 100).await, Ok(super::Swept::default()));
    let swept = store.sweep(200, 100).await.unwrap_or_default();
    let bob = lasting("bob", 1).owner;
    assert_eq!(swept.removed.iter().map(|(_, count)| count).sum::<u32>(), 2);
    assert!(swept.removed.iter().all(|(aor, _)| *aor == bob), "{swept:?}");
    assert_eq!(all(&store, "bob").await, [message("bob", 2, 300)]);
    assert_eq!(all(&store, "carol").await.len(), 1);
    assert_eq!(dead(&store, None).await, []);
    assert_eq!(store.sweep(200, 100).await, Ok(super::Swept::default()));
}

/// A sweep stops at its limit and says that there is more; the next one goes on.
pub async fn a_sweep_keeps_to_its_limit(store: Subject) {
    for n in 0..20 {
        put(&store, &message(&format!("user{}", n % 3), n, 100)).await;
    }
    let mut removed = 0;
    let mut passes = 0;
    loop {
        let swept = store.sweep(100, 7).await.unwrap_or_default();
        let now: u32 = swept.removed.iter().map(|(_, count)| count).sum();
        assert!(now <= 7);
        removed += now;
        passes += 1;
        if !swept.more {
            break;
        }
        assert!(passes < 10, "sweeping does not end");
    }
    assert_eq!(removed, 20);
}

/// Operations run whether their futures are polled or not, in the order of the calls.
pub async fn operations_happen_unpolled_and_in_order(store: Subject) {
    let first = lasting("bob", 1);
    drop(store.put(Arc::new(first.clone())));
    drop(store.set_attempts(&first.owner, first.key, 5));
    drop(store.put(Arc::new(lasting("bob", 2))));
    drop(store.delete(&first.owner, lasting("bob", 2).key));
    put(&store, &lasting("bob", 3)).await;
    let found = all(&store, "bob").await;
    assert_eq!(found, [Message { attempts: 5, ..first }, lasting("bob", 3)]);
}

/// After a close nothing happens any more, and every call says so.
pub async fn a_closed_store_says_so(store: Subject) {
    let first = lasting("bob", 1);
    put(&store, &first).await;
    assert_eq!(store.close().await, Ok(()));
    let aor = &first.owner;
    fn refused<T>(answer: Result<T, Error>) -> bool {
        matches!(answer, Err(Error::Unavailable(_)))
    }
    assert!(refused(store.put(Arc::new(lasting("bob", 2))).await));
    assert!(refused(store.page(aor, None, ALL.0, ALL.1).await));
    assert!(refused(store.delete(aor, first.key).await));
    assert!(refused(store.count(aor, 1).await));
    assert!(refused(store.occupied(None, 1).await));
    assert!(refused(store.sweep(0, 1).await));
    assert!(refused(store.dead_letters(None, None, 1).await));
    assert!(refused(store.close().await));
}
