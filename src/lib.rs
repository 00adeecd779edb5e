//! sipsilo: a store-and-forward server for SIP MESSAGE.
//!
//! The floors, from the ground up; an import may only point down (`tests/tidy.rs` holds it):
//!
//! * `vocab`: the words; values only.
//! * `sip`, `inbox`, `schedule`: pure machines, input and time in, effects out.
//! * `store`, `net`: ports and adapters to disks and sockets.
//! * `actors`: own the state, call the machines, run the effects.
//! * `config`, `cli`, `node`, `telemetry`: put everything together.

pub mod actors;
pub mod cli;
pub mod config;
pub mod inbox;
pub mod net;
pub mod node;
pub mod schedule;
pub mod sip;
pub mod store;
pub mod telemetry;
pub mod vocab;
