//! The actor of one address of record: owns its inbox and what is in flight for it.
//!
//! It calls the machine and runs the effects; results of the store and of the gateways come back
//! as futures of its own, so that no mailbox can be too full for them.

mod effects;
mod relay;

use crate::actors::World;
use crate::actors::held::{Held, HeldSet};
use crate::actors::messages::{Passivate, Passivated, Reached, Relay, Submit, Swept, Wake};
use crate::actors::shard::Shard;
use crate::actors::ticket::Ticket;
use crate::inbox::io::{Input, Waiter};
use crate::inbox::{Inbox, Parked};
use crate::sip::Message as SipMessage;
use crate::sip::relay::Sender;
use crate::vocab::Aor;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler};
use relay::Runs;
use sipsilo_cluster::ShardId;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// An actor that could not say goodbye tries again after this.
const FAREWELL_AGAIN: Duration = Duration::from_millis(50);

/// The actor.
pub struct AorActor {
    aor: Aor,
    life: u64,
    shard_id: ShardId,
    worker: usize,
    world: Arc<World>,
    inbox: Inbox,
    held: Rc<RefCell<HeldSet>>,
    shard: Addr<Shard>,
    /// Inputs that came up while the effects of another one are run.
    inputs: VecDeque<Input>,
    is_stepping: bool,
    /// A wish for a wake-up that the scheduler had no room for.
    late_wish: Option<Option<i64>>,
    /// Few at a time, and most actors live for one: a list takes less than a map.
    waiting: Vec<(Waiter, Waiting)>,
    next_waiter: u64,
    runs: Runs,
    /// Draws of chance so far: tags and the like.
    draws: u64,
}

/// Where an actor lives.
pub struct Home {
    /// The shard's number.
    pub id: ShardId,
    /// The worker thread.
    pub worker: usize,
    /// The shard itself.
    pub shard: Addr<Shard>,
}

/// A sender who waits for an answer, with what a relay needs.
struct Waiting {
    ticket: Ticket,
    request: Arc<SipMessage>,
    sender: Sender,
}

impl AorActor {
    /// An actor for `aor`, the shard's number `life`; `parked` is what an earlier life left.
    #[must_use]
    pub fn new(
        aor: Aor,
        life: u64,
        home: Home,
        world: Arc<World>,
        held: Rc<RefCell<HeldSet>>,
        parked: Option<Parked>,
    ) -> Self {
        let Home { id: shard_id, worker, shard } = home;
        let known = match held.borrow().get(&aor) {
            Held::Some(messages) => Some(messages),
            Held::Empty => Some(0),
            Held::Maybe => None,
        };
        if known.is_none() {
            // The inbox tells when it knows. Until then an enumeration that ends must not take
            // the absence of an entry for an empty inbox.
            held.borrow_mut().set(&aor, None);
        }
        let seed = mix(world.seed, &aor, world.clock.now().mono_us);
        let settings = world.options.inbox.clone();
        let inbox = match parked {
            Some(parked) => Inbox::resume(aor.clone(), settings, known, parked, seed),
            None => Inbox::new(aor.clone(), settings, known, seed),
        };
        Self {
            aor,
            life,
            shard_id,
            worker,
            world,
            inbox,
            held,
            shard,
            inputs: VecDeque::new(),
            is_stepping: false,
            late_wish: None,
            waiting: Vec::new(),
            next_waiter: 0,
            runs: Runs::default(),
            draws: seed,
        }
    }

    /// One event, one call, then the effects. An effect that ends at once is an event of its own:
    /// it waits until the effects before it are run, or an older word of the inbox (what it holds,
    /// when to wake it) would come after a newer one.
    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        if self.is_stepping {
            self.inputs.push_back(input);
            return;
        }
        self.is_stepping = true;
        let mut next = Some(input);
        while let Some(input) = next {
            // Not kept between steps: hundreds of thousands of actors would keep one each.
            let mut effects = Vec::new();
            self.inbox.handle(input, self.world.clock.now(), &mut effects);
            for effect in effects {
                self.run(effect, ctx);
            }
            next = self.inputs.pop_front();
        }
        self.is_stepping = false;
    }

    fn wait(&mut self, waiting: Waiting) -> Waiter {
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        self.waiting.push((waiter, waiting));
        waiter
    }

    fn waits(&self, waiter: Waiter) -> Option<&Waiting> {
        self.waiting.iter().find(|(w, _)| *w == waiter).map(|(_, waiting)| waiting)
    }

    fn done_waiting(&mut self, waiter: Waiter) -> Option<Waiting> {
        let at = self.waiting.iter().position(|(w, _)| *w == waiter)?;
        let (_, waiting) = self.waiting.swap_remove(at);
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        Some(waiting)
    }

    /// A number nobody else can guess, for tags and branches.
    fn draw(&mut self) -> u64 {
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ahash::RandomState::with_seeds(self.world.seed, self.draws, 0, 0).hash_one(self.draws)
    }

    fn is_idle(&self) -> bool {
        self.inbox.is_idle()
            && self.waiting.is_empty()
            && self.runs.is_empty()
            && self.late_wish.is_none()
    }

    fn say_goodbye(&mut self, ctx: &mut Context<Self>) {
        let gone = self.is_idle();
        let parked = self.inbox.park().filter(|_| gone).map(Box::new);
        let word = Passivated { aor: self.aor.clone(), life: self.life, gone, parked };
        if self.shard.try_send(word).is_err() {
            ctx.run_later(FAREWELL_AGAIN, Self::say_goodbye);
        } else if gone {
            // The inbox tells only of none and some; the next life wants the number.
            self.held.borrow_mut().set(&self.aor, self.inbox.held());
            ctx.stop();
        }
    }
}

/// The seed of one actor's life.
fn mix(seed: u64, aor: &Aor, mono_us: u64) -> u64 {
    ahash::RandomState::with_seeds(seed, mono_us, 0, 0).hash_one(aor.as_str())
}

impl Actor for AorActor {
    type Context = Context<Self>;
}

impl Handler<Submit> for AorActor {
    type Result = ();

    fn handle(&mut self, submit: Submit, ctx: &mut Self::Context) {
        let Submit { submission, request, ticket, sender, reach, inc_us } = submit;
        let waiter = self.wait(Waiting { ticket, request, sender });
        self.step(Input::Submit { submission, waiter, reach, inc_us }, ctx);
    }
}

impl Handler<Relay> for AorActor {
    type Result = ();

    fn handle(&mut self, relay: Relay, ctx: &mut Self::Context) {
        self.relay_plainly(relay, ctx);
    }
}

impl Handler<Reached> for AorActor {
    type Result = ();

    fn handle(&mut self, reached: Reached, ctx: &mut Self::Context) {
        self.step(Input::Reach { reach: reached.reach, dump: reached.dump }, ctx);
    }
}

impl Handler<Wake> for AorActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.step(Input::Wake, ctx);
    }
}

impl Handler<Swept> for AorActor {
    type Result = ();

    fn handle(&mut self, Swept(messages): Swept, ctx: &mut Self::Context) {
        self.step(Input::Vanished { messages }, ctx);
    }
}

impl Handler<Passivate> for AorActor {
    type Result = ();

    fn handle(&mut self, _: Passivate, ctx: &mut Self::Context) {
        self.say_goodbye(ctx);
    }
}
