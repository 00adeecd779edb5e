//! Passing a request on to the contacts of a user, or to a next hop, and one answer back.
//!
//! [`Fork`] is the response context of RFC 3261 section 16: it is given a request and its
//! targets, says which requests to send, is told how each of them ended, and ends with one
//! result. It knows neither sockets nor transactions; who drives it starts and forgets the client
//! transactions that it names.
//!
//! * `fork`: the machine.
//! * `targets`: contacts and next hops as targets, loose and strict routing.
//! * `forward`: the header block of the request that is passed on.
//! * `choice`: the best of several responses, and a response on its way back.
//! * `loops`: the mark by which a request that comes round again is known.

mod choice;
mod fork;
mod forward;
pub mod loops;
pub(crate) mod targets;
#[cfg(test)]
mod tests;

pub use fork::{Branch, Fork, ForkEffect, ForkResult, Sender, Settings, is_refusal};
pub use targets::{Target, targets};
