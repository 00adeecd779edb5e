//! Requests on their way to live contacts: each is a fork machine and the branches it started.

use super::AorActor;
use crate::actors::messages::{Relay, Send, Targets};
use crate::actors::ticket::Ticket;
use crate::inbox::io::{Input, LiveResult, Op, Waiter};
use crate::sip::Message as SipMessage;
use crate::sip::build::Reply;
use crate::sip::endpoint::ClientResult;
use crate::sip::relay::{self, Branch, Fork, ForkEffect, ForkResult, Sender};
use crate::vocab::Reach;
use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use ahash::AHashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The relays of one AoR actor.
#[derive(Default)]
pub(super) struct Runs {
    running: AHashMap<u64, Run>,
    next: u64,
}

impl Runs {
    /// True when nothing is being relayed.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

/// One request on its way.
struct Run {
    fork: Fork,
    cause: Cause,
    branches: AHashMap<u32, SpawnHandle>,
    timer: Option<SpawnHandle>,
}

/// Who wants to know how a relay ended.
enum Cause {
    /// The inbox: a MESSAGE that is stored if nobody takes it.
    Live { op: Op, waiter: Waiter },
    /// Only the sender.
    Plain { ticket: Ticket, nobody: u16 },
}

impl AorActor {
    /// Relays a request that is never stored.
    pub(super) fn relay_plainly(&mut self, relay: Relay, ctx: &mut Context<Self>) {
        let Relay { request, ticket, sender, targets } = relay;
        let unix_us = self.world.clock.now().unix_us;
        let (targets, nobody) = match targets {
            Targets::Bindings(reach) => (relay::targets(&reach, false, unix_us), 480),
            Targets::Onward(target) => (vec![*target], 504),
        };
        self.begin(&request, targets, sender, Cause::Plain { ticket, nobody }, ctx);
    }

    /// Relays a MESSAGE that the inbox wants to see tried first.
    pub(super) fn relay_live(
        &mut self,
        op: Op,
        waiter: Waiter,
        reach: &Reach,
        ctx: &mut Context<Self>,
    ) {
        let unix_us = self.world.clock.now().unix_us;
        let Some(waiting) = self.waits(waiter) else { return };
        let (request, sender) = (waiting.request.clone(), waiting.sender);
        let targets = relay::targets(reach, true, unix_us);
        self.begin(&request, targets, sender, Cause::Live { op, waiter }, ctx);
    }

    fn begin(
        &mut self,
        request: &Arc<SipMessage>,
        targets: Vec<relay::Target>,
        sender: Sender,
        cause: Cause,
        ctx: &mut Context<Self>,
    ) {
        let policy = self.world.policy();
        let settings = relay::Settings {
            group_window: policy.relay_group_window,
            window: policy.relay_window,
            loop_key: policy.loop_key,
        };
        let now = self.world.clock.now();
        let (fork, effects) = Fork::new(request, targets, sender, settings, now);
        let id = self.runs.next;
        self.runs.next += 1;
        let run = Run { fork, cause, branches: AHashMap::new(), timer: None };
        self.runs.running.insert(id, run);
        self.run_fork(id, effects, ctx);
    }

    fn run_fork(&mut self, id: u64, effects: Vec<ForkEffect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                ForkEffect::Start(branch) => self.start_branch(id, *branch, ctx),
                ForkEffect::Cancel(index) => {
                    let run = self.runs.running.get_mut(&id);
                    if let Some(handle) = run.and_then(|run| run.branches.remove(&index)) {
                        ctx.cancel_future(handle);
                    }
                }
                ForkEffect::Done(result) => self.end_run(id, result, ctx),
            }
        }
        self.rearm_run(id, ctx);
    }

    fn start_branch(&mut self, id: u64, branch: Branch, ctx: &mut Context<Self>) {
        let (result, ended) = oneshot::channel();
        self.send(Send {
            outgoing: branch.outgoing,
            next_hop: branch.next_hop,
            timeout: None,
            oversize_udp: self.world.options.oversize_udp,
            result,
        });
        let index = branch.index;
        let handle = ctx.spawn(ended.into_actor(self).map(move |ended, actor, ctx| {
            let result = ended.unwrap_or(ClientResult::TransportError);
            let now = actor.world.clock.now();
            let Some(run) = actor.runs.running.get_mut(&id) else { return };
            run.branches.remove(&index);
            let effects = run.fork.on_result(index, &result, now);
            actor.run_fork(id, effects, ctx);
        }));
        if let Some(run) = self.runs.running.get_mut(&id) {
            run.branches.insert(index, handle);
        }
    }

    fn rearm_run(&mut self, id: u64, ctx: &mut Context<Self>) {
        let Some(run) = self.runs.running.get_mut(&id) else { return };
        if let Some(timer) = run.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(deadline) = run.fork.deadline() else { return };
        let wait = deadline.saturating_sub(self.world.clock.now().mono_us);
        run.timer = Some(ctx.run_later(Duration::from_micros(wait), move |actor, ctx| {
            let now = actor.world.clock.now();
            let Some(run) = actor.runs.running.get_mut(&id) else { return };
            run.timer = None;
            let effects = run.fork.on_timeout(now);
            actor.run_fork(id, effects, ctx);
        }));
    }

    fn end_run(&mut self, id: u64, result: ForkResult, ctx: &mut Context<Self>) {
        let Some(run) = self.runs.running.remove(&id) else { return };
        if let Some(timer) = run.timer {
            ctx.cancel_future(timer);
        }
        match (run.cause, result) {
            (Cause::Live { op, waiter }, ForkResult::Passed { response, code }) => {
                if let Some(waiting) = self.done_waiting(waiter) {
                    self.world.stats.relayed_messages.one();
                    waiting.ticket.pass(response);
                }
                let result =
                    if relay::is_refusal(code) { LiveResult::Refused } else { LiveResult::Passed };
                self.step(Input::LiveDone { op, result }, ctx);
            }
            (Cause::Live { op, .. }, ForkResult::Failed { .. }) => {
                self.step(Input::LiveDone { op, result: LiveResult::Failed }, ctx);
            }
            (Cause::Plain { ticket, .. }, ForkResult::Passed { response, .. }) => {
                ticket.pass(response);
            }
            (Cause::Plain { ticket, .. }, ForkResult::Failed { best: Some((_, response)) }) => {
                ticket.pass(response);
            }
            (Cause::Plain { ticket, nobody }, ForkResult::Failed { best: None }) => {
                ticket.reply(Reply::new(nobody));
            }
        }
    }
}
