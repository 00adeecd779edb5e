//! One worker's sockets, as a [`Wire`] and a stream of [`Event`]s.

use super::counters::{Counters, Shared};
use super::listen::real_address;
use super::route::Routes;
use super::tcp::{Budget, Flows, Notice};
use super::udp::{Fit, Port};
use super::{Event, Report, Settings, Wire};
use crate::vocab::{FlowId, Path, SendTag, Transport};
use bytes::Bytes;
use futures_util::Stream;
use socket2::Socket;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::sync::mpsc;

/// The bound sockets of one worker, before its runtime is there.
#[derive(Debug)]
pub struct WorkerSockets {
    worker: u16,
    settings: Settings,
    budget: Arc<Budget>,
    listeners: Vec<(Transport, SocketAddr)>,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

impl WorkerSockets {
    pub(super) fn new(worker: u16, settings: Settings, budget: Arc<Budget>) -> Self {
        Self { worker, settings, budget, listeners: vec![], udp: vec![], tcp: vec![] }
    }

    pub(super) fn add(&mut self, transport: Transport, socket: Socket) -> io::Result<()> {
        self.listeners.push((transport, real_address(&socket)?));
        match transport {
            Transport::Udp => self.udp.push(socket.into()),
            Transport::Tcp => self.tcp.push(socket.into()),
        }
        Ok(())
    }

    /// The addresses listened on, in the order they were asked for, with their real ports.
    #[must_use]
    pub fn listeners(&self) -> &[(Transport, SocketAddr)] {
        &self.listeners
    }

    /// Puts the sockets to work on the current runtime, which must be single-threaded: neither half
    /// can leave this thread.
    ///
    /// # Errors
    ///
    /// When the runtime cannot watch the sockets.
    pub fn start(self) -> io::Result<(Box<dyn Wire>, Events)> {
        let counters: Shared = Arc::new(Counters::default());
        let ports = self
            .udp
            .into_iter()
            .map(|socket| Port::new(socket, self.settings.datagram_queue_max, counters.clone()))
            .collect::<io::Result<Vec<_>>>()?;
        let (flows, notices) =
            Flows::new(self.worker, self.tcp, self.settings, self.budget, counters.clone())?;
        let core = Rc::new(RefCell::new(Core {
            ports,
            flows,
            told: VecDeque::new(),
            failed: Vec::new(),
            waker: None,
            turn: 0,
        }));
        let wire = SocketWire { core: core.clone(), routes: Routes::new(self.listeners), counters };
        Ok((Box::new(wire), Events { core, notices }))
    }
}

type Notices = mpsc::Receiver<Notice>;

/// What the two halves share.
struct Core {
    ports: Vec<Port>,
    flows: Flows,
    /// Events that came up while sending.
    told: VecDeque<Event>,
    /// Reused by every call that may fail sends.
    failed: Vec<SendTag>,
    waker: Option<Waker>,
    /// Which port is asked first; so that a busy one does not starve the others.
    turn: usize,
}

impl Core {
    fn tell(&mut self, event: Event) {
        self.told.push_back(event);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn tell_failed(&mut self, failed: impl IntoIterator<Item = SendTag>) {
        for tag in failed {
            self.tell(Event::SendFailed(tag));
        }
    }

    fn send_datagram(&mut self, path: &Path, bytes: Bytes, tag: Option<SendTag>) {
        let best = self.ports.iter_mut().max_by_key(|port| port.fits(path.local));
        let lost = match best {
            Some(port) if port.fits(path.local) > Fit::No => {
                port.send(path.local, path.remote, bytes, tag)
            }
            _ => tag,
        };
        self.tell_failed(lost);
    }

    fn send_on_stream(&mut self, path: &Path, bytes: Bytes, tag: Option<SendTag>) {
        let lost = self.flows.send(path, bytes, tag);
        self.tell_failed(lost);
    }

    fn flush(&mut self) {
        let mut failed = std::mem::take(&mut self.failed);
        for port in &mut self.ports {
            port.flush(&mut failed);
        }
        self.flows.flush();
        if self.ports.iter().any(Port::is_full) {
            // The stream goes on with it, and has to ask for room first.
            self.wake();
        }
        self.tell_failed(failed.drain(..));
        self.failed = failed;
    }

    /// Looks at everything once, beginning with another source each time: the connections, then
    /// each port.
    fn poll(&mut self, cx: &mut Context<'_>, notices: &mut Notices) -> Poll<Event> {
        if let Some(event) = self.told.pop_front() {
            return Poll::Ready(event);
        }
        self.flows.poll_accept(cx);
        let sources = self.ports.len() + 1;
        for step in 0..sources {
            let source = (self.turn + step) % sources;
            let found = match source.checked_sub(1) {
                Some(port) => self.poll_port(port, cx),
                None => self.poll_flows(cx, notices),
            };
            if found.is_ready() {
                self.turn = source + 1;
                return found;
            }
        }
        if let Some(event) = self.told.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_port(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<Event> {
        let Some(port) = self.ports.get_mut(index) else { return Poll::Pending };
        port.poll_flush(cx, &mut self.failed);
        let found = match port.poll_receive(cx, &mut self.failed) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(packets)) => Poll::Ready(Event::Packets(packets)),
            Poll::Ready(Err(error)) => {
                tracing::error!(%error, "a UDP socket broke; restart to listen there again");
                self.ports.remove(index);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        };
        self.told.extend(self.failed.drain(..).map(Event::SendFailed));
        found
    }

    fn poll_flows(&mut self, cx: &mut Context<'_>, notices: &mut Notices) -> Poll<Event> {
        // The table keeps a sender, so there is no end.
        while let Poll::Ready(Some(notice)) = notices.poll_recv(cx) {
            match notice {
                Notice::Event(event) => return Poll::Ready(event),
                Notice::Ended { flow, failed, was_open } => {
                    self.flows.forget(flow);
                    self.told.extend(failed.into_iter().map(Event::SendFailed));
                    if was_open {
                        self.told.push_back(Event::FlowClosed(flow));
                    }
                    if let Some(event) = self.told.pop_front() {
                        return Poll::Ready(event);
                    }
                }
            }
        }
        Poll::Pending
    }
}

/// The sending half.
struct SocketWire {
    core: Rc<RefCell<Core>>,
    routes: Routes,
    counters: Shared,
}

impl Wire for SocketWire {
    fn send(&mut self, path: Path, bytes: Bytes, tag: Option<SendTag>) {
        let mut core = self.core.borrow_mut();
        match path.transport {
            Transport::Udp => core.send_datagram(&path, bytes, tag),
            Transport::Tcp => core.send_on_stream(&path, bytes, tag),
        }
    }

    fn flush(&mut self) {
        self.core.borrow_mut().flush();
    }

    fn local_for(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        self.routes.local_for(transport, remote)
    }

    fn close(&mut self, flow: FlowId) {
        self.core.borrow_mut().flows.close(flow);
    }

    fn listeners(&self) -> &[(Transport, SocketAddr)] {
        self.routes.listeners()
    }

    fn shutdown(&mut self) {
        self.core.borrow_mut().flows.shutdown();
    }

    fn report(&self) -> Report {
        self.counters.report()
    }
}

/// The receiving half: a stream that does not end. Dropping it ends the connections.
pub struct Events {
    core: Rc<RefCell<Core>>,
    notices: Notices,
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let Self { core, notices } = &mut *self;
        core.borrow_mut().poll(cx, notices).map(Some)
    }
}
