//! What a shard keeps of an AoR actor, and what it sends to it.

use crate::actors::aor::AorActor;
use crate::actors::messages::{Reached, Relay, Submit, Swept, Wake};
use crate::vocab::Aor;
use actix::dev::SendError;
use actix::{Addr, Message};

/// An AoR actor, as its shard sees it.
pub(super) struct Slot {
    pub(super) addr: Addr<AorActor>,
    pub(super) life: u64,
    pub(super) used_us: i64,
    /// Set while the actor is asked to go: what comes for it meanwhile waits here.
    pub(super) waiting: Option<Vec<ForAor>>,
}

/// An actor that is not there any more, unless its farewell comes before this.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Lost {
    pub(super) aor: Aor,
    pub(super) life: u64,
}

/// The store has counted an inbox without an actor; `None` = it could not.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Recounted {
    pub(super) aor: Aor,
    pub(super) serial: u64,
    pub(super) messages: Option<u32>,
}

/// What an actor is still to hear. Where its user is, is looked up when it is told.
#[derive(Default)]
pub(super) struct Debt {
    /// Whether a dump should begin.
    pub(super) dump: Option<bool>,
    pub(super) swept: u32,
    pub(super) wake: bool,
}

/// What a shard sends to an AoR actor.
pub(super) enum ForAor {
    Submit(Submit),
    Relay(Relay),
    Reached(Reached),
    Swept(Swept),
    Wake,
}

impl ForAor {
    /// Sends it. What finds no room and may not be lost comes back.
    pub(super) fn send(self, addr: &Addr<AorActor>) -> Option<Self> {
        // Whoever was closed is found dead at the next look; the tickets answer as they drop.
        fn full<M>(sent: Result<(), SendError<M>>) -> Option<M> {
            match sent {
                Err(SendError::Full(message)) => Some(message),
                Ok(()) | Err(SendError::Closed(_)) => None,
            }
        }
        match self {
            Self::Submit(m) => full(addr.try_send(m)).map(Self::Submit),
            Self::Relay(m) => full(addr.try_send(m)).map(Self::Relay),
            Self::Reached(m) => full(addr.try_send(m)).map(Self::Reached),
            Self::Swept(m) => full(addr.try_send(m)).map(Self::Swept),
            Self::Wake => full(addr.try_send(Wake)).map(|_| Self::Wake),
        }
    }
}
