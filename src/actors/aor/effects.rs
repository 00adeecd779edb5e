//! What the inbox asks for, done.

use super::AorActor;
use crate::actors::messages::{Alarm, Arm, Send};
use crate::inbox::io::{Effect, Input, Op, PutResult, Waiter};
use crate::sip::egress;
use crate::sip::endpoint::ClientResult;
use crate::store::{self, Put};
use crate::vocab::{Answer, Contact, End, Key, Message, NextHop, Outcome, limits};
use actix::dev::SendError;
use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// While requests crowd in, a delivery that may not begin asks again after this.
const CROWDED: Duration = Duration::from_millis(50);

/// A scheduler without room hears the wish for a wake-up again after this.
const WISH_AGAIN: Duration = Duration::from_millis(50);
/// A store that has not answered by then counts as failed. The sender of a MESSAGE waits for 32
/// seconds (Timer F): he hears 503 while he still listens, and what was begun may be repeated.
const STORE_PATIENCE: Duration = Duration::from_secs(20);

/// What the store says, or that it says nothing.
async fn patiently<T>(answer: store::Reply<T>) -> Result<T, store::Error> {
    let silent = || store::Error::Unavailable("it did not answer in time".into());
    tokio::time::timeout(STORE_PATIENCE, answer).await.unwrap_or_else(|_| Err(silent()))
}

impl AorActor {
    /// Runs one effect.
    pub(super) fn run(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Put { op, message } => self.put(op, message, ctx),
            Effect::Load { op, after } => self.load(op, after, ctx),
            Effect::Count { op } => self.count(op, ctx),
            Effect::Delete { op, key, end } => self.delete(op, key, end, ctx),
            Effect::SetAttempts { key, attempts } => {
                // Lost with the store, it costs one more attempt.
                drop(self.world.store.set_attempts(&self.aor, key, attempts));
            }
            Effect::Bury { op, key } => self.bury(op, key, ctx),
            Effect::Deliver { op, message, contact } => self.deliver(op, message, contact, ctx),
            Effect::Relay { op, waiter, reach } => self.relay_live(op, waiter, &reach, ctx),
            Effect::Reply { waiter, answer } => self.reply(waiter, &answer),
            Effect::WakeAt(at_us) => self.wake_at(at_us, ctx),
            Effect::Holds(messages) => self.held.borrow_mut().set(&self.aor, messages),
        }
    }

    fn put(&self, op: Op, message: Arc<Message>, ctx: &mut Context<Self>) {
        let done = patiently(self.world.store.put(message)).into_actor(self);
        ctx.spawn(done.map(move |done, actor, ctx| {
            let result = match done {
                Ok(Put::Stored) => PutResult::Stored,
                Ok(Put::Duplicate) => PutResult::Duplicate,
                Err(error) => {
                    actor.complain("store a message", &error);
                    PutResult::Failed
                }
            };
            actor.step(Input::PutDone { op, result }, ctx);
        }));
    }

    fn load(&self, op: Op, after: Option<Key>, ctx: &mut Context<Self>) {
        let (messages, bytes) = (limits::PAGE_MESSAGES, limits::PAGE_BYTES);
        let page = self.world.store.page(&self.aor, after, messages, bytes);
        let page = patiently(page).into_actor(self);
        ctx.spawn(page.map(move |page, actor, ctx| {
            let page = match page {
                Ok(page) => Some((page.messages, page.is_last)),
                Err(error) => {
                    actor.complain("read an inbox", &error);
                    None
                }
            };
            actor.step(Input::Loaded { op, page }, ctx);
        }));
    }

    fn count(&self, op: Op, ctx: &mut Context<Self>) {
        let count = patiently(self.world.store.count(&self.aor, u32::MAX)).into_actor(self);
        ctx.spawn(count.map(move |count, actor, ctx| {
            if let Err(error) = &count {
                actor.complain("count an inbox", error);
            }
            actor.step(Input::Counted { op, messages: count.ok() }, ctx);
        }));
    }

    fn delete(&self, op: Op, key: Key, end: End, ctx: &mut Context<Self>) {
        let done = patiently(self.world.store.delete(&self.aor, key)).into_actor(self);
        ctx.spawn(done.map(move |done, actor, ctx| {
            match &done {
                Ok(()) => actor.count_end(end),
                Err(error) => actor.complain("delete a message", error),
            }
            actor.step(Input::Removed { op, ok: done.is_ok() }, ctx);
        }));
    }

    fn bury(&self, op: Op, key: Key, ctx: &mut Context<Self>) {
        let done = patiently(self.world.store.bury(&self.aor, key)).into_actor(self);
        ctx.spawn(done.map(move |done, actor, ctx| {
            match &done {
                Ok(()) => actor.count_end(End::Undeliverable),
                Err(error) => actor.complain("keep a dead letter", error),
            }
            actor.step(Input::Removed { op, ok: done.is_ok() }, ctx);
        }));
    }

    fn count_end(&self, end: End) {
        let stats = &self.world.stats;
        match end {
            End::Delivered => {
                stats.dumped_messages.one();
                stats.ended_delivered.one();
            }
            End::Expired => stats.ended_expired.one(),
            End::Undeliverable => stats.ended_undeliverable.one(),
            End::Withdrawn => stats.ended_withdrawn.one(),
        }
    }

    /// Sends a stored message once there is room for one more delivery on this node.
    fn deliver(
        &mut self,
        op: Op,
        message: Arc<Message>,
        contact: Contact,
        ctx: &mut Context<Self>,
    ) {
        if let Some(permit) = self.world.load.try_delivery() {
            return self.deliver_with(permit, op, message, contact, ctx);
        }
        let permit = self.world.load.deliveries().clone().acquire_owned().into_actor(self);
        ctx.spawn(permit.map(move |permit, actor, ctx| match permit {
            Ok(permit) => actor.deliver_with(permit, op, message, contact, ctx),
            Err(_) => actor.settle_delivery(op, &ClientResult::TransportError, ctx),
        }));
    }

    fn deliver_with(
        &mut self,
        permit: tokio::sync::OwnedSemaphorePermit,
        op: Op,
        message: Arc<Message>,
        contact: Contact,
        ctx: &mut Context<Self>,
    ) {
        if !self.world.load.has_room_for_dumps() && !self.world.load.is_draining() {
            ctx.run_later(CROWDED, move |actor, ctx| {
                actor.deliver_with(permit, op, message, contact, ctx);
            });
            return;
        }
        let may_send = self.world.ownership.may_send(self.shard_id).is_some();
        let now = self.world.clock.now();
        if !may_send || self.world.load.is_draining() || message.is_expired(now.unix_s()) {
            return self.settle_delivery(op, &ClientResult::TransportError, ctx);
        }
        let ids = egress::Ids::attempt(&message, self.draw());
        let outgoing = egress::delivery(&message, &contact, &ids, &self.world.policy());
        let (send, result) = oneshot::channel();
        self.send(Send {
            outgoing,
            next_hop: contact.next_hop,
            timeout: Some(self.world.options.delivery_timeout),
            oversize_udp: self.world.options.oversize_udp,
            result: send,
        });
        ctx.spawn(result.into_actor(self).map(move |result, actor, ctx| {
            let result = result.unwrap_or(ClientResult::TransportError);
            actor.settle_delivery(op, &result, ctx);
            // Not before: a node that goes down closes its store once nothing is in flight, and
            // the delete must be with the store by then.
            drop(permit);
        }));
    }

    fn settle_delivery(&mut self, op: Op, result: &ClientResult, ctx: &mut Context<Self>) {
        let outcome = egress::outcome(result);
        match outcome {
            Outcome::Delivered | Outcome::Refused => {}
            Outcome::Unreachable { .. } | Outcome::Unfit { .. } | Outcome::Rejected { .. } => {
                self.world.stats.failed_messages.one();
            }
        }
        self.step(Input::Outcome { op, outcome }, ctx);
    }

    /// Hands a request to the gateway that can send it.
    pub(super) fn send(&self, send: Send) {
        let own = u16::try_from(self.worker).unwrap_or(0);
        let worker = match &send.next_hop {
            NextHop::Path(path) => path.flow.map_or(own, |flow| flow.worker()),
            NextHop::Name { .. } => own,
        };
        if let Some(gateway) = self.world.directory.gateway(worker) {
            // Without room the sender of the result is dropped: a transport error.
            let _ = gateway.try_send(send);
        }
    }

    fn reply(&mut self, waiter: Waiter, answer: &Answer) {
        let Some(waiting) = self.done_waiting(waiter) else { return };
        let stats = &self.world.stats;
        match answer {
            Answer::Stored => stats.stored_messages.one(),
            Answer::Duplicate => stats.duplicate_messages.one(),
            Answer::MailboxFull => stats.mailbox_full.one(),
            Answer::StoreDown => stats.store_down.one(),
            Answer::Overloaded => stats.overloaded.one(),
            Answer::Relayed => stats.relayed_messages.one(),
            Answer::NotKept | Answer::Expired | Answer::Discarded | Answer::Declined => {}
        }
        waiting.ticket.reply(egress::answer(answer, &self.world.policy()));
    }

    fn wake_at(&mut self, at_us: Option<i64>, ctx: &mut Context<Self>) {
        self.late_wish = None;
        let alarm = Alarm::Aor(self.shard_id, self.aor.clone());
        let Some(scheduler) = self.world.directory.schedulers().get(self.worker) else { return };
        if let Err(SendError::Full(_)) = scheduler.try_send(Arm { alarm, at_us }) {
            self.late_wish = Some(at_us);
            ctx.run_later(WISH_AGAIN, |actor, ctx| {
                if let Some(at_us) = actor.late_wish {
                    actor.wake_at(at_us, ctx);
                }
            });
        }
    }

    fn complain(&self, what: &str, error: &store::Error) {
        tracing::warn!(shard = self.shard_id.number(), %error, "could not {what}");
    }
}
