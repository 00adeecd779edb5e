//! Real peers against a real node: sipp, baresip, and Kamailio as a front proxy.
//!
//! A program that is missing is a failure that says what to install, never a skip.

#![allow(clippy::unwrap_used, reason = "a story that cannot go on ends there")]
#![allow(clippy::disallowed_methods, reason = "a user agent lives by the real clock")]

mod baresip;
mod front_proxy;
mod peer;
mod sipp;
#[path = "../support/mod.rs"]
mod support;
