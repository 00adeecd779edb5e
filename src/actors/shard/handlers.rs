//! What a shard does about each message.

use super::Shard;
use super::slot::{ForAor, Lost, Recounted};
use crate::actors::held::Held;
use crate::actors::messages::{
    Ask, Deal, Due, Enumerated, Export, FlowClosed, Import, Observe, Observed, Passivated, Reached,
    Registered, Swept, Vanished,
};
use crate::sip::registrar::Bindings;
use crate::vocab::limits;
use actix::{Actor, Context, Handler};

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::SHARD_MAILBOX);
    }
}

impl Handler<Deal> for Shard {
    type Result = ();

    fn handle(&mut self, Deal(command): Deal, ctx: &mut Self::Context) {
        match command.ask {
            Ask::Register => self.register(command, ctx),
            Ask::Submit(_) | Ask::Other(_) | Ask::Forward(_) => self.submit(command, ctx),
        }
    }
}

impl Handler<Registered> for Shard {
    type Result = ();

    fn handle(&mut self, Registered(aor): Registered, ctx: &mut Self::Context) {
        let reach = self.bindings.reach(&aor, self.world.clock.now());
        self.tell(&aor, ForAor::Reached(Reached { reach, dump: true }), ctx);
    }
}

impl Handler<FlowClosed> for Shard {
    type Result = ();

    fn handle(&mut self, FlowClosed(flow): FlowClosed, ctx: &mut Self::Context) {
        let now = self.world.clock.now();
        for aor in self.bindings.flow_closed(flow) {
            if self.slots.contains_key(&aor) {
                let reach = self.bindings.reach(&aor, now);
                self.tell(&aor, ForAor::Reached(Reached { reach, dump: false }), ctx);
            }
        }
    }
}

impl Handler<Due> for Shard {
    type Result = ();

    fn handle(&mut self, due: Due, ctx: &mut Self::Context) {
        let now = self.world.clock.now();
        if let Some(aor) = due.aor {
            let reach = self.bindings.reach(&aor, now);
            self.tell(&aor, ForAor::Reached(Reached { reach, dump: false }), ctx);
            self.tell(&aor, ForAor::Wake, ctx);
            return;
        }
        self.armed_us = None;
        for aor in self.bindings.expire(now) {
            if self.slots.contains_key(&aor) {
                let reach = self.bindings.reach(&aor, now);
                self.tell(&aor, ForAor::Reached(Reached { reach, dump: false }), ctx);
            }
        }
        self.passivate(now.unix_us, ctx);
        self.rearm();
    }
}

impl Handler<Passivated> for Shard {
    type Result = ();

    fn handle(&mut self, word: Passivated, ctx: &mut Self::Context) {
        let Passivated { aor, life, gone, parked } = word;
        let Some(slot) = self.slots.get_mut(&aor).filter(|slot| slot.life == life) else { return };
        let waiting = slot.waiting.take().unwrap_or_default();
        if gone {
            self.slots.remove(&aor);
            if let Some(parked) = parked {
                self.parked.insert(aor.clone(), *parked);
            }
        }
        for message in waiting {
            self.tell(&aor, message, ctx);
        }
        self.rearm();
    }
}

impl Handler<Lost> for Shard {
    type Result = ();

    fn handle(&mut self, lost: Lost, ctx: &mut Self::Context) {
        if self.slots.get(&lost.aor).is_some_and(|slot| slot.life == lost.life) {
            self.replace(&lost.aor, ctx);
        }
    }
}

impl Handler<Enumerated> for Shard {
    type Result = ();

    fn handle(&mut self, enumerated: Enumerated, _ctx: &mut Self::Context) {
        let mut held = self.held.borrow_mut();
        enumerated.found.iter().for_each(|found| held.enumerate(found));
        if enumerated.is_complete {
            held.complete();
        }
    }
}

impl Handler<Vanished> for Shard {
    type Result = ();

    fn handle(&mut self, Vanished(removed): Vanished, ctx: &mut Self::Context) {
        for (aor, messages) in removed {
            if self.slots.contains_key(&aor) {
                self.tell(&aor, ForAor::Swept(Swept(messages)), ctx);
            } else if self.held.borrow().get(&aor) != Held::Empty {
                self.recount(aor, ctx);
            }
        }
    }
}

impl Handler<Recounted> for Shard {
    type Result = ();

    fn handle(&mut self, counted: Recounted, _ctx: &mut Self::Context) {
        let Recounted { aor, serial, messages } = counted;
        if self.recounts.get(&aor) != Some(&serial) {
            return;
        }
        self.recounts.remove(&aor);
        if messages == Some(0) {
            self.parked.remove(&aor);
        }
        self.held.borrow_mut().set(&aor, messages);
    }
}

impl Handler<Export> for Shard {
    type Result = Vec<u8>;

    fn handle(&mut self, _: Export, _ctx: &mut Self::Context) -> Vec<u8> {
        self.bindings.export()
    }
}

impl Handler<Import> for Shard {
    type Result = Result<usize, String>;

    fn handle(&mut self, Import(bytes): Import, _ctx: &mut Self::Context) -> Self::Result {
        self.bindings = Bindings::import(&bytes).map_err(|error| error.to_string())?;
        self.rearm();
        Ok(self.bindings.users())
    }
}

impl Handler<Observe> for Shard {
    type Result = Observed;

    fn handle(&mut self, _: Observe, _ctx: &mut Self::Context) -> Observed {
        Observed {
            actors: self.slots.len(),
            users: self.bindings.users(),
            occupied: self.held.borrow().len(),
            is_complete: self.held.borrow().is_complete(),
            ..Observed::default()
        }
    }
}
