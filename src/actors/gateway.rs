//! The gateway of a worker thread: owns a SIP endpoint and the thread's sockets, and knows which
//! shard a request is the business of.

use crate::actors::load::Work;
use crate::actors::messages::{
    Answer, Ask, Command, Ended, Handover, Observe, Observed, Registered, Response, Route, Send,
};
use crate::actors::ticket::Ticket;
use crate::actors::{World, shard_of, worker_of};
use crate::net::{Event, Wire};
use crate::sip::Message as SipMessage;
use crate::sip::build::Reply;
use crate::sip::endpoint::{self, ClientResult, ClientToken, Endpoint, Manner, ServerKey};
use crate::sip::ingress::{self, Verdict};
use crate::vocab::{Aor, FlowId, NextHop, Path, Transport, limits};
use actix::dev::SendError;
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle,
    StreamHandler, WrapFuture,
};
use ahash::AHashMap;
use futures_util::stream::LocalBoxStream;
use sipsilo_cluster::ShardId;
use smallvec::SmallVec;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Names that may be looked up at once; past it a send fails as if the name did not exist.
const LOOKUPS_MAX: usize = 256;

/// A shard or router without room is told again after this.
const TELL_AGAIN: Duration = Duration::from_millis(50);

/// Opens a worker's sockets, on the worker's own thread.
pub type StartNet = Box<dyn FnOnce() -> io::Result<(Box<dyn Wire>, Events)> + std::marker::Send>;

/// What a worker's sockets bring.
pub type Events = LocalBoxStream<'static, Event>;

/// The actor.
pub struct Gateway {
    worker: u16,
    world: Arc<World>,
    endpoint: Endpoint,
    start_net: Option<(StartNet, oneshot::Receiver<()>)>,
    wire: Option<Box<dyn Wire>>,
    effects: Vec<endpoint::Effect>,
    /// Commands of the events being handled, by the worker they go to.
    batches: Vec<Vec<Command>>,
    waiting: AHashMap<u64, oneshot::Sender<ClientResult>>,
    next_token: u64,
    /// Which shards hold bindings that came over a connection of ours.
    flows: AHashMap<FlowId, SmallVec<[ShardId; 2]>>,
    /// Users whose answer is in the wire's queue and leaves with the next flush.
    after_flush: Vec<(ShardId, Aor)>,
    timer: Option<(u64, SpawnHandle)>,
    flush_is_due: bool,
    /// What a shard or a router had no room for.
    late: Vec<Word>,
    /// Connections that end after the next flush.
    closing: Vec<FlowId>,
    lookups: usize,
}

/// What must be heard.
enum Word {
    /// The answer to a user's REGISTER has left: his dump may begin.
    Registered(ShardId, Aor),
    /// A connection has ended; for the router of this worker.
    Ended(usize, Ended),
}

/// What was queued on the wire is to leave now.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Gateway {
    /// A gateway that opens its sockets when `may_start` says that all other actors are there.
    #[must_use]
    pub fn new(
        worker: u16,
        world: Arc<World>,
        settings: endpoint::Settings,
        seed: [u64; 4],
        start_net: StartNet,
        may_start: oneshot::Receiver<()>,
    ) -> Self {
        Self {
            worker,
            world,
            endpoint: Endpoint::new(settings, seed),
            start_net: Some((start_net, may_start)),
            wire: None,
            effects: Vec::new(),
            batches: Vec::new(),
            waiting: AHashMap::new(),
            next_token: 0,
            flows: AHashMap::new(),
            after_flush: Vec::new(),
            timer: None,
            flush_is_due: false,
            late: Vec::new(),
            closing: Vec::new(),
            lookups: 0,
        }
    }

    /// Runs what the endpoint asked for. New requests become commands in `batches`.
    fn run_effects(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                endpoint::Effect::Transmit { path, bytes, tag } => {
                    if let Some(wire) = &mut self.wire {
                        wire.send(path, bytes, tag);
                    }
                }
                endpoint::Effect::Request { key, message, path } => self.admit(key, message, path),
                endpoint::Effect::Outcome { token, result } => {
                    if let Some(waiting) = self.waiting.remove(&token.0) {
                        // A receiver that is gone no longer cares.
                        let _ = waiting.send(result);
                    }
                }
                endpoint::Effect::Misdirected { worker, packet } => {
                    // Only to a worker that exists: a stranger may have made the branch up.
                    let gateways = self.world.directory.gateways();
                    if let Some(gateway) = gateways.get(usize::from(worker)) {
                        // A response that is lost here is retransmitted.
                        let _ = gateway.try_send(Handover(packet));
                    }
                }
                endpoint::Effect::Malformed { reason, path } => {
                    self.world.stats.malformed.one();
                    tracing::debug!(reason, remote = %path.remote, "not a SIP message");
                }
            }
        }
        // The buffer is kept; what `admit` added meanwhile is run too.
        std::mem::swap(&mut self.effects, &mut effects);
        if !effects.is_empty() {
            self.effects.append(&mut effects);
            self.run_effects();
        }
    }

    /// Decides whose business a request is.
    fn admit(&mut self, key: ServerKey, request: Arc<SipMessage>, path: Path) {
        let now = self.world.clock.now();
        let (aor, ask, work) = match ingress::classify(&request, &path, &self.world.policy(), now) {
            Verdict::Reply(reply) => {
                return self.endpoint.respond(key, &reply, now, &mut self.effects);
            }
            Verdict::Register { aor } => (aor, Ask::Register, Work::Register),
            Verdict::Message { submission } => {
                (submission.owner.clone(), Ask::Submit(submission), Work::Message)
            }
            Verdict::LocalOther { aor, offline } => {
                (aor, Ask::Other(Box::new(offline)), Work::Message)
            }
            Verdict::Foreign { aor, target } => (aor, Ask::Forward(target), Work::Message),
        };
        if !self.world.load.open(work) {
            self.world.stats.overloaded.one();
            return self.endpoint.respond(key, &Reply::new(503), now, &mut self.effects);
        }
        let shard = shard_of(&aor);
        if let (Ask::Register, Some(flow)) = (&ask, path.flow) {
            let shards = self.flows.entry(flow).or_default();
            if !shards.contains(&shard) {
                shards.push(shard);
            }
        }
        let ticket = Ticket::new(self.world.clone(), self.worker, key);
        let worker = worker_of(shard, self.batches.len());
        self.batches[worker].push(Command { shard, aor, request, path, ticket, ask });
    }

    /// Sends the commands off, the queued bytes out, and arms the timer.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        for worker in 0..self.batches.len() {
            if self.batches[worker].is_empty() {
                continue;
            }
            let batch = std::mem::take(&mut self.batches[worker]);
            match self.world.directory.routers()[worker].try_send(Route(batch)) {
                Ok(()) => {}
                Err(SendError::Full(Route(batch))) => {
                    batch.into_iter().for_each(|command| command.ticket.overloaded());
                }
                // The tickets answer as they are dropped.
                Err(SendError::Closed(_)) => {}
            }
        }
        if !self.flush_is_due {
            self.flush_is_due = true;
            ctx.notify(Flush);
        }
        self.rearm(ctx);
    }

    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let Some(deadline) = self.endpoint.deadline() else { return };
        if let Some((armed, handle)) = self.timer {
            if armed <= deadline {
                return;
            }
            ctx.cancel_future(handle);
        }
        let wait = deadline.saturating_sub(self.world.clock.now().mono_us);
        let handle = ctx.run_later(Duration::from_micros(wait), |gateway, ctx| {
            gateway.timer = None;
            let now = gateway.world.clock.now();
            gateway.endpoint.tick(now, &mut gateway.effects);
            gateway.run_effects();
            gateway.settle(ctx);
        });
        self.timer = Some((deadline, handle));
    }

    fn flow_closed(&mut self, flow: FlowId, ctx: &mut Context<Self>) {
        let now = self.world.clock.now();
        self.endpoint.flow_closed(flow, now, &mut self.effects);
        for id in self.flows.remove(&flow).unwrap_or_default() {
            // By the router, behind the REGISTERs that came over it.
            let worker = worker_of(id, self.batches.len());
            self.tell(Word::Ended(worker, Ended { shard: id, flow }), ctx);
        }
    }

    /// Says what nobody else will say; without room, it is said again.
    fn tell(&mut self, word: Word, ctx: &mut Context<Self>) {
        let directory = &self.world.directory;
        let left = match word {
            Word::Registered(id, aor) => {
                match directory.shard(id).map(|shard| shard.try_send(Registered(aor))) {
                    Some(Err(SendError::Full(Registered(aor)))) => Word::Registered(id, aor),
                    Some(Ok(()) | Err(SendError::Closed(_))) | None => return,
                }
            }
            Word::Ended(worker, ended) => match directory.routers()[worker].try_send(ended) {
                Err(SendError::Full(ended)) => Word::Ended(worker, ended),
                Ok(()) | Err(SendError::Closed(_)) => return,
            },
        };
        if self.late.is_empty() {
            ctx.run_later(TELL_AGAIN, |gateway, ctx| {
                for word in std::mem::take(&mut gateway.late) {
                    gateway.tell(word, ctx);
                }
            });
        }
        if self.late.len() < limits::GATEWAY_MAILBOX {
            self.late.push(left);
        }
    }

    fn start_client(&mut self, send: Send, path: Path, ctx: &mut Context<Self>) {
        let Send { outgoing, timeout, oversize_udp, result, .. } = send;
        let now = self.world.clock.now();
        let Some(path) = self.with_local(path) else {
            let _ = result.send(ClientResult::TransportError);
            return;
        };
        let token = self.next_token;
        self.next_token += 1;
        let sent = self.endpoint.send(
            &outgoing,
            path,
            ClientToken(token),
            Manner { timeout, udp_oversize: oversize_udp },
            now,
            &mut self.effects,
        );
        if sent.is_ok() {
            self.waiting.insert(token, result);
        } else {
            let _ = result.send(ClientResult::TransportError);
        }
        self.run_effects();
        self.settle(ctx);
    }

    /// Fills in our end where only the peer's is known. A node without a listener of this
    /// transport names another of the same family: answers come back over its own connection.
    fn with_local(&self, mut path: Path) -> Option<Path> {
        if path.local.port() == 0 || path.local.ip().is_unspecified() {
            let wire = self.wire.as_ref()?;
            path.local = wire
                .local_for(path.transport, path.remote)
                .or_else(|| wire.local_for(Transport::Udp, path.remote))?;
        }
        Some(path)
    }

    fn look_up(&mut self, send: Send, ctx: &mut Context<Self>) {
        let NextHop::Name { transport, host, port } = send.next_hop.clone() else { return };
        if self.lookups >= LOOKUPS_MAX {
            let _ = send.result.send(ClientResult::TransportError);
            return;
        }
        self.lookups += 1;
        let transport = transport.unwrap_or(Transport::Udp);
        let port = port.unwrap_or_else(|| transport.default_port());
        let found = async move {
            let mut found = tokio::net::lookup_host((&*host, port)).await.ok()?;
            found.next()
        };
        ctx.spawn(found.into_actor(self).map(move |found, gateway, ctx| {
            gateway.lookups -= 1;
            match found {
                Some(remote) => {
                    let local = unknown_local(remote);
                    let path = Path { transport, local, remote, flow: None };
                    gateway.start_client(send, path, ctx);
                }
                None => {
                    let _ = send.result.send(ClientResult::TransportError);
                }
            }
        }));
    }
}

/// "Our end, whichever it will be", in the family of the peer.
fn unknown_local(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    }
}

impl Actor for Gateway {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::GATEWAY_MAILBOX);
        let Some((start, may_start)) = self.start_net.take() else { return };
        ctx.wait(may_start.into_actor(self).map(move |_, gateway, ctx| {
            gateway.batches.resize_with(gateway.world.directory.routers().len(), Vec::new);
            match start() {
                Ok((wire, events)) => {
                    gateway.wire = Some(wire);
                    ctx.add_stream(events);
                }
                Err(error) => {
                    tracing::error!(%error, "the sockets cannot be used");
                    // Whoever asks for this gateway learns that it is not there.
                    ctx.stop();
                }
            }
        }));
    }
}

impl StreamHandler<Event> for Gateway {
    fn handle(&mut self, event: Event, ctx: &mut Self::Context) {
        let now = self.world.clock.now();
        match event {
            Event::Packets(packets) => {
                for packet in packets {
                    self.endpoint.receive(packet, now, &mut self.effects);
                }
            }
            Event::FlowClosed(flow) => self.flow_closed(flow, ctx),
            Event::SendFailed(tag) => self.endpoint.send_failed(tag, now, &mut self.effects),
            Event::StreamBad { path, answer, code, reason } => {
                self.endpoint.refuse(*answer, code, reason, path, &mut self.effects);
                self.closing.extend(path.flow);
            }
            Event::StreamJunk { path, reason } => {
                let effect = endpoint::Effect::Malformed { reason, path };
                self.effects.push(effect);
            }
        }
        self.run_effects();
        self.settle(ctx);
    }
}

impl Handler<Answer> for Gateway {
    type Result = ();

    fn handle(&mut self, answer: Answer, ctx: &mut Self::Context) {
        let now = self.world.clock.now();
        match answer.response {
            Response::Reply(reply) => {
                self.endpoint.respond(answer.key, &reply, now, &mut self.effects);
            }
            Response::Raw(bytes) => {
                self.endpoint.respond_raw(answer.key, bytes, now, &mut self.effects);
            }
        }
        self.after_flush.extend(answer.then);
        self.run_effects();
        self.settle(ctx);
    }
}

impl Handler<Flush> for Gateway {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.flush_is_due = false;
        if let Some(wire) = &mut self.wire {
            wire.flush();
            self.closing.drain(..).for_each(|flow| wire.close(flow));
        }
        for (id, aor) in std::mem::take(&mut self.after_flush) {
            self.tell(Word::Registered(id, aor), ctx);
        }
    }
}

impl Handler<Send> for Gateway {
    type Result = ();

    fn handle(&mut self, send: Send, ctx: &mut Self::Context) {
        match send.next_hop {
            NextHop::Path(path) => self.start_client(send, path, ctx),
            NextHop::Name { .. } => self.look_up(send, ctx),
        }
    }
}

impl Handler<Handover> for Gateway {
    type Result = ();

    fn handle(&mut self, Handover(packet): Handover, ctx: &mut Self::Context) {
        let now = self.world.clock.now();
        self.endpoint.receive(packet, now, &mut self.effects);
        self.run_effects();
        self.settle(ctx);
    }
}

impl Handler<Observe> for Gateway {
    type Result = Observed;

    fn handle(&mut self, _: Observe, _ctx: &mut Self::Context) -> Observed {
        Observed { open_transactions: self.endpoint.open_transactions(), ..Observed::default() }
    }
}
