//! The scheduler of a worker thread: one agenda for all shards that live there, one armed timer,
//! and the sweep of expired messages.

use crate::actors::messages::{Alarm, Arm, Due, Vanished};
use crate::actors::{World, shard_of};
use crate::schedule::Agenda;
use crate::store::Swept;
use crate::vocab::{Aor, limits};
use actix::dev::SendError;
use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture,
};
use ahash::AHashMap;
use sipsilo_cluster::ShardId;
use std::sync::Arc;
use std::time::Duration;

/// Alarms that are handed out in one go before other messages get a turn.
const ALARMS_AT_ONCE: usize = 256;
/// An alarm whose shard had no room is tried again after this.
const TRY_AGAIN_US: i64 = 50_000;
/// The longest sleep: the wall clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Expired messages removed in one pass.
const SWEEP_AT_ONCE: usize = 1_000;

/// The actor.
pub struct Scheduler {
    world: Arc<World>,
    /// Sweeps are the business of the first scheduler alone.
    sweeps: bool,
    agenda: Agenda<Alarm>,
    timer: Option<(i64, SpawnHandle)>,
}

/// The timer of the agenda fired.
#[derive(Message)]
#[rtype(result = "()")]
struct Tick;

/// It is time to sweep.
#[derive(Message)]
#[rtype(result = "()")]
struct Sweep;

impl Scheduler {
    /// A scheduler with nothing to do yet; one of a node's `sweeps`.
    #[must_use]
    pub fn new(world: Arc<World>, sweeps: bool) -> Self {
        Self { world, sweeps, agenda: Agenda::new(), timer: None }
    }

    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let Some(next) = self.agenda.next() else { return };
        if let Some((armed, handle)) = self.timer {
            if armed <= next {
                return;
            }
            ctx.cancel_future(handle);
        }
        let wait = next.saturating_sub(self.world.clock.now().unix_us).max(0);
        let wait = Duration::from_micros(wait.cast_unsigned()).min(SLEEP_MAX);
        let handle = ctx.run_later(wait, |scheduler, ctx| {
            scheduler.timer = None;
            ctx.notify(Tick);
        });
        self.timer = Some((next, handle));
    }

    fn swept(&mut self, swept: Swept, ctx: &mut Context<Self>) {
        let mut by_shard: AHashMap<ShardId, Vec<(Aor, u32)>> = AHashMap::new();
        for (aor, messages) in swept.removed {
            self.world.stats.ended_expired.many(u64::from(messages));
            by_shard.entry(shard_of(&aor)).or_default().push((aor, messages));
        }
        for (id, removed) in by_shard {
            let Some(shard) = self.world.directory.shard(id).cloned() else { continue };
            // The count of an inbox must not go wrong: wait for room rather than lose it.
            let told = async move { shard.send(Vanished(removed)).await };
            ctx.spawn(told.into_actor(self).map(|_, _, _| ()));
        }
        if swept.more {
            ctx.notify(Sweep);
        } else {
            ctx.notify_later(Sweep, self.world.options.sweep_every);
        }
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::GATEWAY_MAILBOX);
        if self.sweeps {
            ctx.notify_later(Sweep, self.world.options.sweep_every);
        }
    }
}

impl Handler<Arm> for Scheduler {
    type Result = ();

    fn handle(&mut self, arm: Arm, ctx: &mut Self::Context) {
        match arm.at_us {
            Some(at_us) => self.agenda.arm(arm.alarm, at_us),
            None => {
                self.agenda.disarm(&arm.alarm);
            }
        }
        self.rearm(ctx);
    }
}

impl Handler<Tick> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        let now_us = self.world.clock.now().unix_us;
        for alarm in self.agenda.due(now_us, ALARMS_AT_ONCE) {
            let (id, aor) = match &alarm {
                Alarm::Shard(id) => (*id, None),
                Alarm::Aor(id, aor) => (*id, Some(aor.clone())),
            };
            let Some(shard) = self.world.directory.shard(id) else { continue };
            if let Err(SendError::Full(_)) = shard.try_send(Due { aor }) {
                self.agenda.arm(alarm, now_us + TRY_AGAIN_US);
            }
        }
        self.rearm(ctx);
    }
}

impl Handler<Sweep> for Scheduler {
    type Result = ();

    fn handle(&mut self, _: Sweep, ctx: &mut Self::Context) {
        let swept = self.world.store.sweep(self.world.clock.now().unix_s(), SWEEP_AT_ONCE);
        ctx.spawn(swept.into_actor(self).map(|swept, scheduler, ctx| match swept {
            Ok(swept) => scheduler.swept(swept, ctx),
            Err(error) => {
                tracing::warn!(%error, "expired messages could not be swept; trying again later");
                ctx.notify_later(Sweep, scheduler.world.options.sweep_every);
            }
        }));
    }
}
