//! One gateway's end of SIP: packets in, requests and outcomes up, packets out.
//!
//! An [`Endpoint`] owns the transactions of one gateway thread. It reads what comes, absorbs
//! retransmissions and replays answers (RFC 3261 section 17.2, RFC 4320), chooses the way of every
//! response (section 18.2.2, RFC 3581), and sends requests until they are answered or given up
//! (section 17.1). It takes the time as an argument and returns [`Effect`]s; it owns no socket.
//!
//! What it promises:
//!
//! * A request comes up once ([`Effect::Request`]), however often it is sent; ACK never, CANCEL
//!   never (a MESSAGE cannot be taken back: 200 or 481 and no other effect, section 9.2).
//! * A final response is sent once, and the same bytes again for each copy of the request that
//!   comes within Timer J. After that the transaction is gone and nothing is sent.
//! * 100 is the only provisional response; it leaves after 3.5 seconds without a final one. 408 is
//!   never sent (RFC 4320).
//! * Every request sent has one outcome ([`Effect::Outcome`]), unless it is forgotten.
//! * An answer goes to the host the request came from and to no other.
//! * All tables are bounded ([`Settings`]).
//!
//! A merged request (section 8.2.2.2, another branch of the same request) is not answered 482: a
//! client that sends its MESSAGE again under the same Call-ID and CSeq, after its transaction timed
//! out, must hear 202 again, and the store knows its message by these ids anyway.

mod counts;
mod receive;
mod send;
mod settings;
mod via;

#[cfg(test)]
mod tests;

pub use counts::{Counts, Observed};
pub use send::{Full, Manner};
pub use settings::Settings;

pub use crate::sip::transaction::ServerKey;

use bytes::Bytes;
use std::sync::Arc;

use crate::sip::build::{Reply, print_response};
use crate::sip::codec::Message;
use crate::sip::transaction::Times;
use crate::sip::transaction::client::{Clients, Expired};
use crate::sip::transaction::key::{Keys, Serials};
use crate::sip::transaction::server::{Bounds, Servers};
use crate::vocab::{FlowId, Now, Packet, Path, SendTag};

/// Names a request that the caller sends; chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientToken(pub u64);

/// What is to be done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send these bytes.
    Transmit {
        /// The way.
        path: Path,
        /// The message.
        bytes: Bytes,
        /// Set when [`Endpoint::send_failed`] wants to hear of a failure.
        tag: Option<SendTag>,
    },
    /// A new request; to be answered by [`Endpoint::respond`] or [`Endpoint::respond_raw`].
    Request {
        /// Its transaction.
        key: ServerKey,
        /// The request.
        message: Arc<Message>,
        /// The way it came.
        path: Path,
    },
    /// A request sent before has come to its end.
    Outcome {
        /// Which one.
        token: ClientToken,
        /// How it ended.
        result: ClientResult,
    },
    /// A response to a request that another gateway of this node sent.
    Misdirected {
        /// That gateway's number, as far as the branch can be believed.
        worker: u16,
        /// The response.
        packet: Packet,
    },
    /// Something came that is no proper SIP message; for a counter and a log line now and then.
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
        /// The way it came.
        path: Path,
    },
}

/// How a request that was sent ended.
#[derive(Clone, Debug)]
pub enum ClientResult {
    /// It was answered, 200 to 699.
    Final(Arc<Message>),
    /// It was not answered in time.
    Timeout,
    /// It could not be sent, or the connection closed.
    TransportError,
}

/// The transactions of one gateway. See the module.
#[derive(Debug)]
pub struct Endpoint {
    settings: Settings,
    keys: Keys,
    serials: Serials,
    servers: Servers,
    clients: Clients,
    counts: Counts,
    /// The Via being written.
    via: String,
}

impl Endpoint {
    /// An endpoint without transactions. `seed` must be a secret from a good source: it keys the
    /// hashes of the tables and makes the branches.
    #[must_use]
    pub fn new(settings: Settings, seed: [u64; 4]) -> Self {
        let times = Times::new(settings.t1, settings.t2);
        let bounds = Bounds {
            unanswered: settings.unanswered_max,
            transactions: settings.server_transactions_max,
            bytes: settings.server_bytes_max,
        };
        let clients = Clients::new(settings.client_transactions_max, times, seed);
        Self {
            settings,
            keys: Keys::new(seed),
            serials: Serials::new(seed),
            servers: Servers::new(bounds, times),
            clients,
            counts: Counts::default(),
            via: String::new(),
        }
    }

    /// The transport could not send what carried `tag`: the request behind it has failed.
    pub fn send_failed(&mut self, tag: SendTag, _now: Now, out: &mut Vec<Effect>) {
        if let Some(token) = self.clients.failed(tag.0) {
            self.transport_error(token, out);
        }
    }

    /// A connection closed: requests sent on it have failed, and what came by it is answered over
    /// a new connection (RFC 3261 section 18.2.2).
    pub fn flow_closed(&mut self, flow: FlowId, _now: Now, out: &mut Vec<Effect>) {
        self.servers.flow_closed(flow);
        for token in self.clients.flow_closed(flow) {
            self.transport_error(token, out);
        }
    }

    /// Runs the timers. To be called at [`Endpoint::deadline`]; earlier or later does no harm.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) {
        let Self { servers, clients, counts, .. } = self;
        servers.tick(now.mono_us, |request, path| {
            let bytes = print_response(request, &Reply::new(100), "");
            counts.trying_sent += 1;
            out.push(Effect::Transmit { path, bytes: bytes.clone(), tag: None });
            bytes
        });
        while let Some(expired) = clients.next_expired(now.mono_us) {
            out.push(match expired {
                Expired::Again { path, bytes, serial } => {
                    counts.client_retransmissions += 1;
                    Effect::Transmit { path, bytes, tag: Some(SendTag(serial)) }
                }
                Expired::Timeout { token } => {
                    counts.client_timeouts += 1;
                    Effect::Outcome { token: ClientToken(token), result: ClientResult::Timeout }
                }
            });
        }
    }

    /// When [`Endpoint::tick`] has something to do, on the monotonic clock in microseconds.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        [self.servers.deadline(), self.clients.deadline()].into_iter().flatten().min()
    }

    /// Requests that came and have no final response, and requests sent that have none: what a
    /// graceful end waits for.
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.servers.unanswered() + self.clients.len()
    }

    /// What the endpoint holds and has done.
    #[must_use]
    pub fn observe(&self) -> Observed {
        Observed {
            unanswered: self.servers.unanswered(),
            completed: self.servers.completed(),
            completed_bytes: self.servers.completed_bytes(),
            waiting: self.clients.len(),
            counts: Counts { evicted: self.servers.evicted(), ..self.counts },
        }
    }

    fn transport_error(&mut self, token: u64, out: &mut Vec<Effect>) {
        self.counts.transport_errors += 1;
        let result = ClientResult::TransportError;
        out.push(Effect::Outcome { token: ClientToken(token), result });
    }
}
