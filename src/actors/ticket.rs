//! The right, and the duty, to answer one request.

use crate::actors::World;
use crate::actors::messages::{Answer, Response};
use crate::sip::build::Reply;
use crate::sip::endpoint::ServerKey;
use crate::vocab::Aor;
use actix::dev::SendError;
use bytes::Bytes;
use sipsilo_cluster::ShardId;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Goes with a request from actor to actor until somebody answers. Whoever drops it unanswered
/// (an actor that panicked, a mailbox that closed) answers 500: no request is left hanging and
/// none is counted as open for ever.
pub struct Ticket {
    world: Arc<World>,
    worker: u16,
    key: ServerKey,
    is_open: bool,
}

impl Ticket {
    /// A ticket for a request that [`crate::actors::load::Load::open`] let in.
    #[must_use]
    pub const fn new(world: Arc<World>, worker: u16, key: ServerKey) -> Self {
        Self { world, worker, key, is_open: true }
    }

    /// Answers with a response of our own.
    pub fn reply(self, reply: Reply) {
        self.settle(Response::Reply(Box::new(reply)), None);
    }

    /// Answers with a response of our own; when it has left, the user's shard hears of it.
    pub fn reply_then(self, reply: Reply, shard: ShardId, aor: Aor) {
        self.settle(Response::Reply(Box::new(reply)), Some((shard, aor)));
    }

    /// Passes a response on.
    pub fn pass(self, response: Bytes) {
        self.settle(Response::Raw(response), None);
    }

    /// Answers 503 without `Retry-After`: this server has too much to do just now (RFC 7339
    /// section 5.10.2).
    pub fn overloaded(self) {
        self.world.stats.overloaded.one();
        self.reply(Reply::new(503));
    }

    fn settle(mut self, response: Response, then: Option<(ShardId, Aor)>) {
        self.send(response, then);
    }

    fn send(&mut self, response: Response, then: Option<(ShardId, Aor)>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        self.world.load.close();
        if let Some(gateway) = self.world.directory.gateway(self.worker) {
            let answer = Answer { key: self.key, response, then };
            // A gateway that is gone has no transaction to answer. One without room has too many
            // deliveries before it: there are fewer open requests than its mailbox holds, so
            // those that wait here are few.
            if let Err(SendError::Full(answer)) = gateway.try_send(answer)
                && let Ok(runtime) = Handle::try_current()
            {
                drop(runtime.spawn(gateway.send(answer)));
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.send(Response::Reply(Box::new(Reply::new(500))), None);
    }
}
