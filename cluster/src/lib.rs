//! Who owns which part of the mailbox space.
//!
//! The space is cut into [`SHARDS`] shards by the token of an inbox's partition key. Each shard
//! is owned by one node at a time; only its owner sends. This package knows nodes, shards and
//! epochs, never SIP and never CQL.
//!
//! * `token`: the partition token and the shard it falls into.
//! * `plan`: which node *should* own a shard (rendezvous hashing).
//! * `owner`: which node *does*, behind one trait; a single node owns everything.

mod owner;
mod plan;
mod token;

pub use owner::{Epoch, Ownership, SoleOwner};
pub use plan::{NodeId, Plan};
pub use token::{SHARDS, ShardId, token};
