//! The router of a worker thread: takes a batch of commands across the thread border at the price
//! of one message and deals them to the shards that live here.

use crate::actors::World;
use crate::actors::messages::{Deal, Ended, FlowClosed, Route};
use crate::vocab::limits;
use actix::dev::SendError;
use actix::{Actor, AsyncContext, Context, Handler};
use std::sync::Arc;
use std::time::Duration;

/// A shard without room is told again after this that a connection has ended.
const TELL_AGAIN: Duration = Duration::from_millis(50);

/// The actor.
pub struct Router {
    world: Arc<World>,
    /// Ends of connections that a shard had no room for: fewer than there are connections and
    /// shards they concern.
    late: Vec<Ended>,
}

impl Router {
    /// A router for the shards of one worker thread.
    #[must_use]
    pub const fn new(world: Arc<World>) -> Self {
        Self { world, late: Vec::new() }
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::GATEWAY_MAILBOX);
    }
}

impl Handler<Route> for Router {
    type Result = ();

    fn handle(&mut self, Route(batch): Route, _ctx: &mut Self::Context) {
        for command in batch {
            let Some(shard) = self.world.directory.shard(command.shard) else { continue };
            match shard.try_send(Deal(command)) {
                Ok(()) => {}
                Err(SendError::Full(Deal(command))) => command.ticket.overloaded(),
                // A shard that is gone answers by dropping the ticket.
                Err(SendError::Closed(_)) => {}
            }
        }
    }
}

impl Handler<Ended> for Router {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Self::Context) {
        let Some(shard) = self.world.directory.shard(ended.shard) else { return };
        if let Err(SendError::Full(_)) = shard.try_send(FlowClosed(ended.flow)) {
            if self.late.is_empty() {
                ctx.run_later(TELL_AGAIN, |router, ctx| {
                    for ended in std::mem::take(&mut router.late) {
                        router.handle(ended, ctx);
                    }
                });
            }
            self.late.push(ended);
        }
    }
}
