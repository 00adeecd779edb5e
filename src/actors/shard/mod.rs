//! A shard: the bindings, the set of occupied inboxes and the AoR actors of its part of the
//! mailbox space.

mod handlers;
mod slot;

use crate::actors::aor::{AorActor, Home};
use crate::actors::held::{Held, HeldSet};
use crate::actors::messages::{
    Alarm, Arm, Ask, Command, Passivate, Reached, Relay, Submit, Swept, Targets,
};
use crate::actors::{World, worker_of};
use crate::inbox::Parked;
use crate::sip::registrar::{Bindings, Change};
use crate::sip::relay::Sender;
use crate::vocab::{Aor, limits};
use actix::{Actor, Addr, AsyncContext, Context};
use ahash::AHashMap;
use sipsilo_cluster::ShardId;
use slot::{Debt, ForAor, Lost, Recounted, Slot};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// An actor whose mailbox was full is told again after this.
const PAY_AGAIN: Duration = Duration::from_millis(50);

/// The actor.
pub struct Shard {
    id: ShardId,
    worker: usize,
    world: Arc<World>,
    bindings: Bindings,
    held: Rc<RefCell<HeldSet>>,
    slots: AHashMap<Aor, Slot>,
    /// What passivated inboxes with a retry ahead knew.
    parked: AHashMap<Aor, Parked>,
    /// When to look at which actor again, oldest first.
    /// One entry for each life.
    idle: VecDeque<(i64, Aor, u64)>,
    /// The number of the last actor started; each life has its own.
    last_life: u64,
    /// Inboxes without an actor that the store counts, each with the number of the newest count.
    recounts: AHashMap<Aor, u64>,
    last_recount: u64,
    /// What actors whose mailbox was full are still to hear.
    debts: AHashMap<Aor, Debt>,
    /// The stamp of the last acceptance; stamps rise even when the clock is set back.
    last_inc_us: i64,
    armed_us: Option<i64>,
}

impl Shard {
    /// A shard with nothing in it, whose stamps begin above `last_inc_us`.
    #[must_use]
    pub fn new(id: ShardId, workers: usize, world: Arc<World>, last_inc_us: i64) -> Self {
        Self {
            id,
            worker: worker_of(id, workers),
            world,
            bindings: Bindings::default(),
            held: Rc::default(),
            slots: AHashMap::new(),
            parked: AHashMap::new(),
            idle: VecDeque::new(),
            last_life: 0,
            recounts: AHashMap::new(),
            last_recount: 0,
            debts: AHashMap::new(),
            last_inc_us,
            armed_us: None,
        }
    }

    fn register(&mut self, command: Command, ctx: &mut Context<Self>) {
        let now = self.world.clock.now();
        let Command { aor, request, path, ticket, .. } = command;
        let settings = &self.world.options.registrar;
        let registered = self.bindings.register(&aor, &request, &path, settings, now);
        match registered.change {
            Change::None => ticket.reply(registered.reply),
            Change::Updated { reach, dump } => {
                let has_mail = self.held.borrow().get(&aor) != Held::Empty;
                if dump && has_mail {
                    // The dump begins when the gateway says that the answer has left.
                    ticket.reply_then(registered.reply, self.id, aor);
                } else {
                    ticket.reply(registered.reply);
                    if self.slots.contains_key(&aor) {
                        self.tell(&aor, ForAor::Reached(Reached { reach, dump }), ctx);
                    }
                }
            }
        }
        self.rearm();
    }

    fn submit(&mut self, command: Command, ctx: &mut Context<Self>) {
        let Command { aor, request, path, ticket, ask, .. } = command;
        let now = self.world.clock.now();
        let sender = if self.world.policy().is_trusted(path.remote.ip()) {
            Sender::Trusted
        } else {
            Sender::Untrusted
        };
        let message = match ask {
            Ask::Submit(submission) => {
                self.last_inc_us = now.unix_us.max(self.last_inc_us + 1);
                ForAor::Submit(Submit {
                    submission,
                    request,
                    ticket,
                    sender,
                    reach: self.bindings.reach(&aor, now),
                    inc_us: self.last_inc_us,
                })
            }
            Ask::Other(offline) => {
                let reach = self.bindings.reach(&aor, now);
                if reach.is_offline(now.unix_us) {
                    return ticket.reply(*offline);
                }
                let targets = Targets::Bindings(reach);
                ForAor::Relay(Relay { request, ticket, sender, targets })
            }
            Ask::Forward(target) => {
                let targets = Targets::Onward(target);
                ForAor::Relay(Relay { request, ticket, sender, targets })
            }
            Ask::Register => return,
        };
        self.tell(&aor, message, ctx);
    }

    /// Hands something to the AoR's actor, which is started if need be.
    fn tell(&mut self, aor: &Aor, message: ForAor, ctx: &mut Context<Self>) {
        let now_us = self.world.clock.now().unix_us;
        // One that was asked to go may just have gone: its word is on the way.
        let is_dead = |slot: &Slot| slot.waiting.is_none() && !slot.addr.connected();
        if self.slots.get(aor).is_some_and(is_dead) {
            self.bury(aor);
        }
        if !self.slots.contains_key(aor) {
            self.last_life += 1;
            let addr = self.start_actor(aor, ctx);
            let slot = Slot { addr, life: self.last_life, used_us: now_us, waiting: None };
            self.slots.insert(aor.clone(), slot);
            self.idle.push_back((now_us + idle_us(), aor.clone(), self.last_life));
            self.rearm();
        }
        let Some(slot) = self.slots.get_mut(aor) else { return };
        slot.used_us = now_us;
        let left = match &mut slot.waiting {
            Some(waiting) if waiting.len() < limits::AOR_MAILBOX => {
                waiting.push(message);
                None
            }
            Some(_) => Some(message),
            None => message.send(&slot.addr),
        };
        if let Some(message) = left {
            self.owe(aor, message, ctx);
        }
    }

    fn start_actor(&mut self, aor: &Aor, ctx: &Context<Self>) -> Addr<AorActor> {
        let (world, held) = (self.world.clone(), self.held.clone());
        let parked = self.parked.remove(aor);
        // The actor itself tells from now on what its inbox holds.
        self.recounts.remove(aor);
        let home = Home { id: self.id, worker: self.worker, shard: ctx.address() };
        let actor = AorActor::new(aor.clone(), self.last_life, home, world, held, parked);
        AorActor::create(|ctx| {
            // Now, not in `started`: what is sent before that would find room for sixteen.
            ctx.set_mailbox_capacity(limits::AOR_MAILBOX);
            actor
        })
    }

    /// An actor panicked: nobody knows what its inbox holds, and what waited for it is answered
    /// 500 as the tickets are dropped.
    fn bury(&mut self, aor: &Aor) {
        tracing::error!(shard = self.id.number(), "an AoR actor died; a new one takes over");
        self.world.stats.panics.one();
        self.held.borrow_mut().set(aor, None);
        self.slots.remove(aor);
    }

    /// Takes note that an actor is dead; a user who is there gets a new one, which goes on with
    /// his dump.
    fn replace(&mut self, aor: &Aor, ctx: &mut Context<Self>) {
        let waiting = self.slots.get_mut(aor).and_then(|slot| slot.waiting.take());
        self.bury(aor);
        for message in waiting.unwrap_or_default() {
            self.tell(aor, message, ctx);
        }
        let now = self.world.clock.now();
        let reach = self.bindings.reach(aor, now);
        if !reach.is_offline(now.unix_us) {
            self.tell(aor, ForAor::Reached(Reached { reach, dump: true }), ctx);
        }
    }

    /// Asks the actors that were not used for a while to go.
    fn passivate(&mut self, now_us: i64, ctx: &mut Context<Self>) {
        while let Some((at_us, _, _)) = self.idle.front() {
            if *at_us > now_us {
                break;
            }
            let Some((_, aor, life)) = self.idle.pop_front() else { break };
            let Some(slot) = self.slots.get_mut(&aor).filter(|slot| slot.life == life) else {
                continue;
            };
            let mut again_us = slot.used_us + idle_us();
            if again_us <= now_us {
                again_us = now_us + idle_us();
                if !slot.addr.connected() {
                    // Dead, unless its farewell is in the mailbox. Then that comes first; and
                    // without room for this the next look says it.
                    let _ = ctx.address().try_send(Lost { aor: aor.clone(), life });
                } else if slot.waiting.is_none() && slot.addr.try_send(Passivate).is_ok() {
                    slot.waiting = Some(Vec::new());
                }
            }
            self.idle.push_back((again_us, aor, life));
        }
    }

    /// Has the store count an inbox without an actor that lost messages. The number known is not
    /// lowered instead: it may have been taken after they were gone, and an inbox that is wrongly
    /// believed empty is not looked at any more.
    fn recount(&mut self, aor: Aor, ctx: &Context<Self>) {
        self.held.borrow_mut().set(&aor, None);
        self.last_recount += 1;
        let serial = self.last_recount;
        self.recounts.insert(aor.clone(), serial);
        let (world, shard) = (self.world.clone(), ctx.address());
        // Whatever goes wrong in there is not to be the end of the shard.
        actix::spawn(async move {
            let messages = world.store.count(&aor, u32::MAX).await.ok();
            let _ = shard.send(Recounted { aor, serial, messages }).await;
        });
    }

    /// An actor without room hears of it later: nothing else would tell it.
    fn owe(&mut self, aor: &Aor, message: ForAor, ctx: &mut Context<Self>) {
        if self.debts.is_empty() {
            ctx.run_later(PAY_AGAIN, Self::pay);
        }
        let debt = self.debts.entry(aor.clone()).or_default();
        match message {
            ForAor::Reached(reached) => debt.dump = Some(debt.dump == Some(true) || reached.dump),
            ForAor::Swept(Swept(messages)) => debt.swept = debt.swept.saturating_add(messages),
            ForAor::Wake => debt.wake = true,
            ForAor::Submit(Submit { ticket, .. }) | ForAor::Relay(Relay { ticket, .. }) => {
                ticket.overloaded();
            }
        }
    }

    fn pay(&mut self, ctx: &mut Context<Self>) {
        for (aor, debt) in std::mem::take(&mut self.debts) {
            if let Some(dump) = debt.dump {
                let reach = self.bindings.reach(&aor, self.world.clock.now());
                self.tell(&aor, ForAor::Reached(Reached { reach, dump }), ctx);
            }
            if debt.swept > 0 {
                self.tell(&aor, ForAor::Swept(Swept(debt.swept)), ctx);
            }
            if debt.wake {
                self.tell(&aor, ForAor::Wake, ctx);
            }
        }
    }

    fn rearm(&mut self) {
        let binding = self.bindings.next_expiry();
        let idle = self.idle.front().map(|(at, _, _)| *at);
        let next = [binding, idle].into_iter().flatten().min();
        if next == self.armed_us || next.is_some_and(|at| self.armed_us.is_some_and(|a| a <= at)) {
            return;
        }
        if let Some(scheduler) = self.world.directory.schedulers().get(self.worker) {
            let alarm = Alarm::Shard(self.id);
            if scheduler.try_send(Arm { alarm, at_us: next }).is_ok() {
                self.armed_us = next;
            }
        }
    }
}

fn idle_us() -> i64 {
    i64::try_from(limits::AOR_IDLE.as_micros()).unwrap_or(i64::MAX)
}
