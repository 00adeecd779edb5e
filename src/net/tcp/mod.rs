//! Connections: the table of one worker's, and how they come to be.
//!
//! Each connection is a task of its own that owns its socket; the table only knows its outbox. All
//! tasks report over one bounded channel, so that a gateway that does not pull stops their reading.

mod budget;
mod conn;
mod open;
mod outbox;
#[cfg(test)]
mod tests;

pub(super) use budget::Budget;

use super::counters::Shared;
use super::{Event, Settings};
use crate::vocab::{FlowId, Path, SendTag, Transport};
use bytes::Bytes;
use conn::Connection;
use outbox::Outbox;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

/// Notices of all connections that may wait for the gateway.
const NOTICES_MAX: usize = 256;
/// How long accepting rests when the system has no descriptor or memory for a connection.
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// A connection we opened goes to a peer we chose, often one that serves many users: its queue may
/// hold this many times what an accepted one's may.
const OPENED_QUEUE_FACTOR: usize = 8;

/// What the tasks of all connections share.
pub(super) struct Shop {
    settings: Settings,
    counters: Shared,
    notices: mpsc::Sender<Notice>,
}

/// What a connection's task tells its table.
pub(super) enum Notice {
    /// Something for the gateway.
    Event(Event),
    /// The connection, or the attempt at one, is over.
    Ended {
        flow: FlowId,
        failed: Vec<SendTag>,
        /// False when it never came to be.
        was_open: bool,
    },
}

impl Shop {
    async fn ended(&self, outbox: &Outbox, flow: Option<FlowId>, was_open: bool) {
        self.counters.closed.add(usize::from(was_open));
        let failed = outbox.give_up();
        if let Some(flow) = flow {
            self.notices.send(Notice::Ended { flow, failed, was_open }).await.ok();
        }
    }
}

/// The connections of one worker.
pub(super) struct Flows {
    worker: u16,
    serial: u64,
    shop: Arc<Shop>,
    budget: Arc<Budget>,
    listeners: Vec<TcpListener>,
    rest: Option<Pin<Box<Sleep>>>,
    open: HashMap<FlowId, Open>,
    /// The newest connection to each remote address.
    by_remote: HashMap<SocketAddr, FlowId>,
    /// Those with something new in their outbox.
    dirty: Vec<FlowId>,
}

struct Open {
    outbox: Arc<Outbox>,
    remote: SocketAddr,
}

impl Flows {
    /// Takes over bound, non-blocking listeners; on the runtime that is to drive them.
    pub(super) fn new(
        worker: u16,
        listeners: Vec<std::net::TcpListener>,
        settings: Settings,
        budget: Arc<Budget>,
        counters: Shared,
    ) -> io::Result<(Self, mpsc::Receiver<Notice>)> {
        let (notices, receiver) = mpsc::channel(NOTICES_MAX);
        let listeners =
            listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
        let flows = Self {
            worker,
            serial: 0,
            shop: Arc::new(Shop { settings, counters, notices }),
            budget,
            listeners,
            rest: None,
            open: HashMap::new(),
            by_remote: HashMap::new(),
            dirty: Vec::new(),
        };
        Ok((flows, receiver))
    }

    /// Queues a message; hands its tag back when it cannot go.
    pub(super) fn send(
        &mut self,
        path: &Path,
        bytes: Bytes,
        tag: Option<SendTag>,
    ) -> Option<SendTag> {
        let flow = path.flow.or_else(|| self.by_remote.get(&path.remote).copied());
        if let Some(flow) = flow
            && let Some(open) = self.open.get(&flow)
            && open.outbox.push(bytes.clone(), tag)
        {
            if self.dirty.last() != Some(&flow) {
                self.dirty.push(flow);
            }
            return None;
        }
        if path.flow.is_some() {
            return tag;
        }
        self.open_and_send(path, bytes, tag)
    }

    fn open_and_send(
        &mut self,
        path: &Path,
        bytes: Bytes,
        tag: Option<SendTag>,
    ) -> Option<SendTag> {
        let Some(admission) = self.budget.admit(None) else {
            self.shop.counters.refused.add(1);
            return tag;
        };
        let bytes_max = self.shop.settings.write_queue_bytes_max * OPENED_QUEUE_FACTOR;
        let outbox = Outbox::new(bytes_max);
        if !outbox.push(bytes, tag) {
            return tag;
        }
        let flow = self.enter(path.remote, outbox.clone());
        let path = Path { flow: Some(flow), ..*path };
        tokio::spawn(open::open(self.shop.clone(), path, outbox, admission));
        None
    }

    fn enter(&mut self, remote: SocketAddr, outbox: Arc<Outbox>) -> FlowId {
        self.serial += 1;
        let flow = FlowId::new(self.worker, self.serial);
        self.open.insert(flow, Open { outbox, remote });
        self.by_remote.insert(remote, flow);
        flow
    }

    /// Has the connections write what was queued since the last time.
    pub(super) fn flush(&mut self) {
        for flow in self.dirty.drain(..) {
            if let Some(open) = self.open.get(&flow) {
                open.outbox.nudge();
            }
        }
    }

    /// Ends a connection after what is queued.
    pub(super) fn close(&mut self, flow: FlowId) {
        if let Some(open) = self.open.get(&flow) {
            open.outbox.close();
        }
    }

    /// Takes no new connections.
    pub(super) fn shutdown(&mut self) {
        self.listeners.clear();
    }

    /// Forgets a connection that is over.
    pub(super) fn forget(&mut self, flow: FlowId) {
        if let Some(open) = self.open.remove(&flow)
            && self.by_remote.get(&open.remote) == Some(&flow)
        {
            self.by_remote.remove(&open.remote);
        }
    }

    /// Accepts what waits. Never ready: what comes of it is told by the connections.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) {
        if let Some(rest) = &mut self.rest {
            if rest.as_mut().poll(cx).is_pending() {
                return;
            }
            self.rest = None;
        }
        let mut index = 0;
        while index < self.listeners.len() {
            match self.listeners[index].poll_accept(cx) {
                Poll::Pending => index += 1,
                Poll::Ready(Ok((stream, remote))) => self.accept(stream, remote),
                Poll::Ready(Err(error)) if is_shortage(&error) => {
                    tracing::warn!(%error, "cannot accept connections for a moment");
                    self.rest(cx);
                    return;
                }
                // The peer went away while it waited.
                Poll::Ready(Err(_)) => {}
            }
        }
    }

    fn rest(&mut self, cx: &mut Context<'_>) {
        let mut rest = Box::pin(sleep_until(Instant::now() + ACCEPT_REST));
        if rest.as_mut().poll(cx).is_pending() {
            self.rest = Some(rest);
        }
    }

    fn accept(&mut self, stream: TcpStream, remote: SocketAddr) {
        let Some(admission) = self.budget.admit(Some(remote.ip())) else {
            self.shop.counters.refused.add(1);
            return;
        };
        let Ok(local) = open::tune(&stream) else { return };
        self.shop.counters.accepted.add(1);
        let outbox = Outbox::new(self.shop.settings.write_queue_bytes_max);
        let flow = Some(self.enter(remote, outbox.clone()));
        let path = Path { transport: Transport::Tcp, local, remote, flow };
        let connection = Connection::new(self.shop.clone(), stream, path, outbox, admission, false);
        tokio::spawn(connection.run());
    }
}

fn is_shortage(error: &io::Error) -> bool {
    use nix::libc::{EMFILE, ENFILE, ENOBUFS, ENOMEM};
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM))
}
