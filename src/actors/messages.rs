//! What actors say to each other.

use crate::actors::ticket::Ticket;
use crate::inbox::Parked;
use crate::sip::Message as SipMessage;
use crate::sip::build::{Outgoing, Reply as SipReply};
use crate::sip::endpoint::{ClientResult, ServerKey};
use crate::sip::relay::{Sender, Target};
use crate::store::Occupied;
use crate::vocab::{Aor, FlowId, NextHop, Packet, Path, Reach, Submission};
use actix::Message;
use bytes::Bytes;
use sipsilo_cluster::ShardId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A request that is some shard's business.
pub struct Command {
    /// Whose business.
    pub shard: ShardId,
    /// The address of record it concerns.
    pub aor: Aor,
    /// The request as it came.
    pub request: Arc<SipMessage>,
    /// The way it came.
    pub path: Path,
    /// The right to answer.
    pub ticket: Ticket,
    /// What is asked.
    pub ask: Ask,
}

/// What a [`Command`] asks.
pub enum Ask {
    /// REGISTER.
    Register,
    /// MESSAGE for a mailbox of ours.
    Submit(Box<Submission>),
    /// Another request for a user of ours; and the answer when he is offline.
    Other(Box<SipReply>),
    /// A request that leaves our domains.
    Forward(Box<Target>),
}

/// A batch of commands for the shards of one worker.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Route(pub Vec<Command>);

/// One command for a shard.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deal(pub Command);

/// The answer to a request.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answer {
    /// Which request.
    pub key: ServerKey,
    /// What.
    pub response: Response,
    /// A user to tell the shard of once the answer has left: his dump may begin.
    pub then: Option<(ShardId, Aor)>,
}

/// A response of our own making, or one that is passed on.
pub enum Response {
    /// Made here.
    Reply(Box<SipReply>),
    /// Relayed: the bytes, our Via already removed.
    Raw(Bytes),
}

/// A request to send.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Send {
    /// The request, without our Via.
    pub outgoing: Outgoing,
    /// Where to.
    pub next_hop: NextHop,
    /// Less than Timer F, or `None` for Timer F itself.
    pub timeout: Option<Duration>,
    /// Stay on UDP whatever the size.
    pub oversize_udp: bool,
    /// Hears the final result. Dropped by a receiver that no longer cares.
    pub result: oneshot::Sender<ClientResult>,
}

/// A response that came to another worker's socket than the request left from.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Handover(pub Packet);

/// The answer to this user's REGISTER has left.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Registered(pub Aor);

/// A connection over which users of this shard registered has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FlowClosed(pub FlowId);

/// The same for the router of the shard's worker: it comes behind the REGISTERs that came over the
/// connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Ended {
    /// Whose users.
    pub shard: ShardId,
    /// Which connection.
    pub flow: FlowId,
}

/// Inboxes that the store's enumeration found, and whether it is over.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Enumerated {
    /// Inboxes of this shard.
    pub found: Vec<Occupied>,
    /// True when there are no more.
    pub is_complete: bool,
}

/// Messages were swept out of inboxes of this shard: whose, and how many.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Vanished(pub Vec<(Aor, u32)>);

/// A moment that a shard or an AoR actor wished to be woken at.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Due {
    /// The AoR whose inbox asked; `None` = the shard itself.
    pub aor: Option<Aor>,
}

/// A wish to be woken.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Arm {
    /// For whom.
    pub alarm: Alarm,
    /// At which wall-clock microsecond; `None` = no longer.
    pub at_us: Option<i64>,
}

/// Who can ask to be woken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alarm {
    /// A shard: a binding ends, an actor may go.
    Shard(ShardId),
    /// An inbox: a retry is due.
    Aor(ShardId, Aor),
}

/// A submission for an AoR actor.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    /// The message.
    pub submission: Box<Submission>,
    /// The request as it came, to be relayed if the user is there.
    pub request: Arc<SipMessage>,
    /// The right to answer.
    pub ticket: Ticket,
    /// Whether its sender is trusted.
    pub sender: Sender,
    /// Where the user is.
    pub reach: Reach,
    /// The stamp of acceptance.
    pub inc_us: i64,
}

/// A request to relay and never to store.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Relay {
    /// The request as it came.
    pub request: Arc<SipMessage>,
    /// The right to answer.
    pub ticket: Ticket,
    /// Whether its sender is trusted.
    pub sender: Sender,
    /// Where to.
    pub targets: Targets,
}

/// Where a relayed request goes.
pub enum Targets {
    /// The bindings of a user of ours.
    Bindings(Reach),
    /// Somebody elsewhere.
    Onward(Box<Target>),
}

/// The user's bindings are now these.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reached {
    /// Where the user is.
    pub reach: Reach,
    /// True when a dump should begin.
    pub dump: bool,
}

/// The shard asks an AoR actor to go if it has nothing to do.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Passivate;

/// An AoR actor's answer to [`Passivate`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Passivated {
    /// Who answers.
    pub aor: Aor,
    /// Which of his actors.
    pub life: u64,
    /// True when it has gone.
    pub gone: bool,
    /// What it knew that the store does not: whom not to try yet.
    pub parked: Option<Box<Parked>>,
}

/// A plain wake-up for an AoR actor.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Wake;

/// Some of an AoR actor's messages were swept.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Swept(pub u32);

/// Asks a shard for its bindings, to be read back at the next start.
#[derive(Message)]
#[rtype(result = "Vec<u8>")]
pub struct Export;

/// Gives a shard the bindings of the last run.
#[derive(Message)]
#[rtype(result = "Result<usize, String>")]
pub struct Import(pub Vec<u8>);

/// Asks an actor what it has.
#[derive(Message)]
#[rtype(result = "Observed")]
pub struct Observe;

/// What a shard or a gateway has just now.
#[derive(Clone, Debug, Default, PartialEq, Eq, actix::MessageResponse)]
pub struct Observed {
    /// AoR actors alive.
    pub actors: usize,
    /// Registered users.
    pub users: usize,
    /// Inboxes that hold messages, or may.
    pub occupied: usize,
    /// True when the set of occupied inboxes is complete.
    pub is_complete: bool,
    /// Transactions without a final response.
    pub open_transactions: usize,
}
