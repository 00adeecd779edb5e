//! The registrar (RFC 3261 section 10.3): who is where, and until when.
//!
//! [`Bindings`] holds all bindings of one shard. It is handed REGISTER requests that were routed,
//! checked for `Require` and, where that is configured, authenticated before they come here, with
//! the address of record already canonical. It answers each with a reply and with what the
//! request changed.
//!
//! It promises: a REGISTER is carried out whole or not at all; an expired binding is never shown
//! and never used; no binding outlives the connection it came over, nor passes to the next
//! client that gets the same port; a registered user costs less than 1 KiB.
//!
//! It refuses to read a clock, to look names up, and to remember anything of a request it turned
//! down. Retransmissions never come here: the transaction layer absorbs them.
//!
//! * `settings`: what an operator may turn.
//! * `request`: a REGISTER read into what it asks for, or refused.
//! * `stage`: what the bindings will be, worked out before anything is touched.
//! * `binding`: one binding in one compact block.
//! * `hop`: where to send what is meant for a binding (flows, Path, NAT).
//! * `bindings`: the machine.
//! * `agenda`: when to look for expired bindings.
//! * `reply`: 200 and the refusals.
//! * `snapshot`: the bytes that carry bindings over a graceful restart.

mod agenda;
mod binding;
mod bindings;
mod hop;
mod reply;
mod request;
mod settings;
mod snapshot;
mod stage;
#[cfg(test)]
mod tests;

pub use bindings::{Bindings, Change, Registered};
pub use settings::{Full, Nat, PathSupport, Settings, SettingsError, Short};
pub use snapshot::SnapshotError;
