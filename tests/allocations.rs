//! How often the codec goes to the allocator: goal, method and numbers in one place.
//!
//! Goal: taking a MESSAGE in costs one allocation for the index and two for the address of record;
//! answering it costs one. Method: an allocator that counts, in a test binary of its own.

use bytes::Bytes;
use sipsilo::sip::build::{Reply, print_response};
use sipsilo::sip::{Framer, Message, Uri};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// 14 header fields, about 700 bytes.
const MESSAGE: &str = include_str!("message.sip");

/// How many times `work` asked for memory or for more of it.
fn allocations<T>(work: impl FnOnce() -> T) -> usize {
    let region = Region::new(ALLOCATOR);
    let kept = black_box(work());
    let change = region.change();
    drop(kept);
    change.allocations + change.reallocations
}

/// One test, so that no other thread allocates meanwhile.
#[test]
fn a_message_is_taken_in_and_answered_with_a_handful_of_allocations() {
    let raw = Bytes::from_static(MESSAGE.as_bytes());
    let message = Message::parse_datagram(raw.clone()).unwrap();

    let index = allocations(|| Message::parse_datagram(raw.clone()));
    assert_eq!(index, 1, "the index");

    let routable = allocations(|| {
        let message = Message::parse_datagram(raw.clone()).unwrap();
        let _ = (message.top_via().branch, message.from_tag(), message.to_tag(), message.cseq());
        let aor = Uri::parse(message.request_uri()).and_then(|uri| uri.aor()).unwrap();
        (message, aor)
    });
    assert!(routable <= 3, "a routable request took {routable} allocations");

    let copy = allocations(|| message.clone());
    assert_eq!(copy, 0, "a copy counts references");

    let reply = Reply::new(202);
    let answer = allocations(|| print_response(&message, &reply, "a1b2c3d4"));
    assert!(answer <= 2, "an answer took {answer} allocations: the text and its owner");

    let mut framer = Framer::new();
    let framed = allocations(|| {
        framer.push(MESSAGE.as_bytes());
        framer.next()
    });
    assert!(framed <= 2, "a framed message took {framed} allocations: the bytes and their owner");
}
