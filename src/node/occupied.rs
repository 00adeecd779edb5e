//! Tells each shard which of its inboxes the store holds messages for.
//!
//! Runs beside the service: until it is through, a shard reads an inbox it knows nothing of.

use crate::actors::messages::Enumerated;
use crate::actors::{World, shard_of};
use crate::store::Occupied;
use actix::Arbiter;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Inboxes asked for at once.
const AT_ONCE: usize = 4_096;
/// After a failure, this long passes before the next try.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Begins the enumeration on a worker's thread, or here.
pub(super) fn enumerate(world: Arc<World>, arbiter: Option<&Arbiter>) {
    let work = run(world);
    match arbiter {
        Some(arbiter) => {
            arbiter.spawn(work);
        }
        None => {
            actix::spawn(work);
        }
    }
}

async fn run(world: Arc<World>) {
    let begun = world.clock.now();
    let mut from = None;
    let mut inboxes = 0;
    loop {
        match world.store.occupied(from.clone(), AT_ONCE).await {
            Ok((found, next)) => {
                inboxes += found.len();
                tell(&world, found).await;
                from = next;
                if from.is_none() {
                    break;
                }
            }
            Err(error) => {
                if world.load.is_draining() {
                    return;
                }
                tracing::warn!(%error, "occupied inboxes could not be read; trying again");
                tokio::time::sleep_until(Instant::now() + TRY_AGAIN).await;
            }
        }
    }
    for shard in world.directory.shards() {
        let _ = shard.send(Enumerated { found: Vec::new(), is_complete: true }).await;
    }
    let took_ms = (world.clock.now().mono_us - begun.mono_us) / 1_000;
    tracing::info!(inboxes, took_ms, "the set of occupied inboxes is complete");
}

async fn tell(world: &World, mut found: Vec<Occupied>) {
    found.sort_by_cached_key(|one| shard_of(&one.aor));
    for group in found.chunk_by(|a, b| shard_of(&a.aor) == shard_of(&b.aor)) {
        let Some(first) = group.first() else { continue };
        if let Some(shard) = world.directory.shard(shard_of(&first.aor)) {
            let _ = shard.send(Enumerated { found: group.to_vec(), is_complete: false }).await;
        }
    }
}
