//! Which node should own a shard: rendezvous hashing.
//!
//! Each node is weighed against each shard; the heaviest wins. When a node leaves, only its own
//! shards move.

use crate::token::ShardId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The name of a node, unique in the cluster and stable over restarts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub String);

/// The distribution of shards over the live nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    nodes: Vec<NodeId>,
}

impl Plan {
    /// A plan over these nodes; order and repetitions do not matter.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.sort();
        nodes.dedup();
        Self { nodes }
    }

    /// The node that should own `shard`; `None` when there is no node.
    #[must_use]
    pub fn owner(&self, shard: ShardId) -> Option<&NodeId> {
        self.nodes.iter().max_by_key(|node| {
            (xxh3_64_with_seed(node.0.as_bytes(), u64::from(shard.number())), *node)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&str]) -> Plan {
        Plan::new(names.iter().map(|n| NodeId((*n).into())))
    }

    #[test]
    fn only_the_shards_of_a_node_that_leaves_move() {
        let (before, after) = (nodes(&["a", "b", "c"]), nodes(&["a", "c"]));
        for shard in ShardId::all() {
            let was = before.owner(shard).cloned();
            if was != Some(NodeId("b".into())) {
                assert_eq!(after.owner(shard).cloned(), was);
            }
        }
    }

    #[test]
    fn three_nodes_get_about_a_third_each() {
        let plan = nodes(&["a", "b", "c"]);
        let of_a = ShardId::all().filter(|&s| plan.owner(s) == Some(&NodeId("a".into()))).count();
        assert!((250..430).contains(&of_a), "{of_a} of 1024");
    }

    #[test]
    fn nobody_owns_anything_in_an_empty_cluster() {
        let shard = ShardId::of("bob", "example.com");
        assert_eq!(nodes(&[]).owner(shard), None);
    }
}
