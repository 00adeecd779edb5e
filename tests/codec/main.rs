//! The codec against hostile, odd and random input.
//!
//! Goal: everything valid is understood as it is meant, everything else is answered with the right
//! code or dropped, and nothing whatever makes it panic. Method: a folder of messages of our own
//! for each point of the grammar (RFC 4475 and RFC 5118 are the checklist), mutations of them,
//! random bytes, and a second parser (`rsip`) to agree with.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod differential;
mod files;
mod properties;
mod refused;
mod understood;
