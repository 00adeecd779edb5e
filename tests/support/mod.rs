//! What stories are told with: a real `sipsilo run` and scripted user agents on real sockets.
//!
//! Nothing here uses the product's own parser: a fault in it must not hide itself.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

pub mod line;
pub mod process;
pub mod server;
pub mod text;
pub mod ua;

pub use server::Server;
#[allow(unused_imports, reason = "each test binary uses a part of this")]
pub use {
    line::{Line, TcpLine},
    text::Sip,
    ua::{TcpUa, Ua},
};

use std::time::Duration;

/// How long a story waits for something that must happen before it calls it missing.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long a story listens for something that must not happen. Things that would go wrong do so
/// within a round trip on loopback.
pub const SILENCE: Duration = Duration::from_millis(300);
