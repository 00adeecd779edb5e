//! Stories: a real node, scripted user agents, one module for each thing a user can see.

#![allow(clippy::unwrap_used, reason = "a story that cannot go on ends there")]
#![allow(clippy::disallowed_methods, reason = "a user agent lives by the real clock")]

mod cli;
mod disk;
mod dump;
mod expiry;
mod fidelity;
mod refusals;
mod registrar;
mod relay;
mod restart;
mod robustness;
mod security;
mod store_and_accept;
#[path = "../support/mod.rs"]
mod support;
mod transport;
mod workers;
