//! Which node does own a shard.

use crate::plan::NodeId;
use crate::token::ShardId;

/// Counts the owners a shard has had; a higher one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// The answer to "who owns this shard now?", asked on every request and before every send.
pub trait Ownership: Send + Sync + 'static {
    /// This node.
    fn me(&self) -> &NodeId;

    /// The epoch in which this node may send for `shard` at this moment; `None` when it may
    /// not.
    fn may_send(&self, shard: ShardId) -> Option<Epoch>;

    /// The owner as far as known.
    fn owner(&self, shard: ShardId) -> Option<NodeId>;
}

/// The one-node answer: everything is mine, for ever.
#[derive(Clone, Debug)]
pub struct SoleOwner(NodeId);

impl SoleOwner {
    /// Ownership of every shard by `me`.
    #[must_use]
    pub const fn new(me: NodeId) -> Self {
        Self(me)
    }
}

impl Ownership for SoleOwner {
    fn me(&self) -> &NodeId {
        &self.0
    }

    fn may_send(&self, _shard: ShardId) -> Option<Epoch> {
        Some(Epoch(0))
    }

    fn owner(&self, _shard: ShardId) -> Option<NodeId> {
        Some(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_node_owns_every_shard() {
        let sole = SoleOwner::new(NodeId("one".into()));
        assert!(ShardId::all().all(|shard| sole.may_send(shard).is_some()));
        assert!(ShardId::all().all(|shard| sole.owner(shard).as_ref() == Some(sole.me())));
    }
}
