//! All actors of a node together, on one thread, with a network, a store and a clock that are
//! values: what happens between them, message by message.

#![allow(clippy::unwrap_used, reason = "a story that cannot go on ends there")]

#[path = "../support/text.rs"]
#[allow(dead_code, unreachable_pub, reason = "several test binaries use a part of it each")]
mod text;

mod custody;
mod floods;
mod world;
