//! The task of one connection.
//!
//! It reads while the gateway takes what was read, cuts messages, answers keep-alives, writes what
//! is queued, and ends the connection when the peer does one of the things that peers do:
//!
//! | end | because | queued is | then |
//! | --- | --- | --- | --- |
//! | `Peer` | it closed or reset | failed | |
//! | `Idle` | nothing came or went for `idle_timeout` | failed | |
//! | `Stalled` | for `stall_timeout` nothing at all, half a message, or our bytes unread; or its queue overflowed | failed | |
//! | `Bad` | what it sent cannot be framed | written, with the answer | FIN, last bytes read off |
//! | `Asked` | the gateway closed the flow | written | FIN, last bytes read off |
//! | `Unwanted` | the gateway is gone | written | FIN, last bytes read off |
//!
//! Between messages a connection holds no buffer: it is read into a buffer on the stack, and the
//! framer keeps nothing.

use super::super::Event;
use super::budget::Admission;
use super::outbox::{Outbox, Phase};
use super::{Notice, Shop};
use crate::sip::Message;
use crate::sip::codec::{Frame, Framer};
use crate::vocab::{Packet, Path};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How much is read at once.
const READ_BYTES: usize = 8 * 1024;
/// How long an ending connection may take for its last bytes.
const LINGER: Duration = Duration::from_secs(2);
/// The most bytes that are read off an ending connection, so that our last answer is not lost to
/// the reset that unread bytes cause.
const LINGER_READS: usize = 128;

/// One open connection.
pub(super) struct Connection {
    shop: Arc<Shop>,
    stream: TcpStream,
    path: Path,
    outbox: Arc<Outbox>,
    framer: Framer,
    /// Cut messages the gateway has not taken yet; nothing is read before it does.
    cut: Vec<Packet>,
    /// False on an accepted connection before its first message or keep-alive.
    heard: bool,
    /// When bytes last came or went.
    stirred: Instant,
    /// Since when half a message is here.
    half_since: Option<Instant>,
    /// Since when what we wrote is not read.
    unread_since: Option<Instant>,
    _admission: Admission,
}

/// Why a connection ends.
enum End {
    Peer,
    Idle,
    Stalled,
    Bad { answer: Option<Box<Message>>, code: u16, reason: &'static str },
    Asked,
    Unwanted,
}

impl Connection {
    pub(super) fn new(
        shop: Arc<Shop>,
        stream: TcpStream,
        path: Path,
        outbox: Arc<Outbox>,
        admission: Admission,
        heard: bool,
    ) -> Self {
        Self {
            shop,
            stream,
            path,
            outbox,
            framer: Framer::new(),
            cut: Vec::new(),
            heard,
            stirred: Instant::now(),
            half_since: None,
            unread_since: None,
            _admission: admission,
        }
    }

    /// Lives the connection's life.
    pub(super) async fn run(mut self) {
        let mut end = self.write();
        if end.is_none() {
            end = Some(self.serve().await);
        }
        self.deliver().await;
        match end {
            Some(End::Bad { answer, code, reason }) => {
                self.shop.counters.junk.add(1);
                self.refuse(answer, code, reason).await;
                self.linger().await;
            }
            Some(End::Asked | End::Unwanted) => self.linger().await,
            Some(End::Stalled) => self.shop.counters.stalled.add(1),
            Some(End::Peer | End::Idle) | None => {}
        }
        self.shop.ended(&self.outbox, self.path.flow, true).await;
    }

    async fn serve(&mut self) -> End {
        let notices = self.shop.notices.clone();
        let outbox = self.outbox.clone();
        let alarm = sleep_until(self.deadline());
        tokio::pin!(alarm);
        loop {
            let may_read = self.cut.is_empty();
            let must_write = self.unread_since.is_some();
            let end = tokio::select! {
                permit = notices.reserve(), if !may_read => match permit {
                    Ok(permit) => {
                        permit.send(Notice::Event(Event::Packets(std::mem::take(&mut self.cut))));
                        self.half_since = self.half_since.map(|_| Instant::now());
                        None
                    }
                    Err(_) => Some(End::Unwanted),
                },
                ready = self.stream.readable(), if may_read => match ready {
                    Ok(()) => self.read(),
                    Err(_) => Some(End::Peer),
                },
                ready = self.stream.writable(), if must_write => match ready {
                    Ok(()) => self.write(),
                    Err(_) => Some(End::Peer),
                },
                () = outbox.nudged() => self.write(),
                () = notices.closed() => Some(End::Unwanted),
                () = &mut alarm => self.overdue(),
            };
            if let Some(end) = end {
                return end;
            }
            let deadline = self.deadline();
            if alarm.is_elapsed() || deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
        }
    }

    fn deadline(&self) -> Instant {
        self.idle_at().min(self.stalled_at())
    }

    fn idle_at(&self) -> Instant {
        self.stirred + self.shop.settings.idle_timeout
    }

    /// When a peer that was heard of owes us nothing, it cannot stall.
    fn stalled_at(&self) -> Instant {
        let half = self.half_since.filter(|_| self.cut.is_empty());
        let mute = (!self.heard).then_some(self.stirred);
        let since = [half, mute, self.unread_since].into_iter().flatten().min();
        since.map_or_else(|| self.idle_at(), |since| since + self.shop.settings.stall_timeout)
    }

    fn overdue(&self) -> Option<End> {
        let now = Instant::now();
        if now >= self.idle_at() {
            Some(End::Idle)
        } else if now >= self.stalled_at() {
            Some(End::Stalled)
        } else {
            None
        }
    }

    /// Reads once and cuts what came.
    fn read(&mut self) -> Option<End> {
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => return Some(End::Peer),
            Ok(count) => self.framer.push(&buffer[..count]),
            Err(error) if is_passing(&error) => return None,
            Err(_) => return Some(End::Peer),
        }
        let now = Instant::now();
        self.stirred = now;
        let mut pinged = false;
        while let Some(frame) = self.framer.next() {
            match frame {
                Frame::Message(bytes) => {
                    (self.half_since, self.heard) = (None, true);
                    self.cut.push(Packet { bytes, path: self.path });
                }
                Frame::Ping => {
                    (pinged, self.heard) = (true, true);
                    self.outbox.push(Bytes::from_static(b"\r\n"), None);
                }
                Frame::Bad { answer, code, reason } => {
                    return Some(End::Bad { answer, code, reason });
                }
            }
        }
        self.shop.counters.stream_messages_in.add(self.cut.len());
        self.half_since = self.framer.is_mid_message().then(|| self.half_since.unwrap_or(now));
        if pinged { self.write() } else { None }
    }

    /// Writes what is queued, as far as the peer takes it.
    fn write(&mut self) -> Option<End> {
        match self.outbox.phase() {
            Phase::Open => {}
            Phase::Closing => return Some(End::Asked),
            Phase::Overflown | Phase::Gone => return Some(End::Stalled),
        }
        self.write_out().err().map(|_| End::Peer)
    }

    fn write_out(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.outbox.write_with(|slices| self.stream.try_write_vectored(slices)) {
                Ok(whole) => {
                    self.shop.counters.stream_messages_out.add(whole);
                    self.stirred = Instant::now();
                    self.unread_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_passing(&error) => {
                    self.unread_since = self.unread_since.or_else(|| Some(Instant::now()));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.unread_since = None;
        Ok(())
    }

    /// Hands the last messages over.
    async fn deliver(&mut self) {
        if !self.cut.is_empty() {
            let packets = Event::Packets(std::mem::take(&mut self.cut));
            self.shop.notices.send(Notice::Event(packets)).await.ok();
        }
    }

    /// Tells the gateway of what cannot be read on, and waits for its answer and `close`.
    async fn refuse(&mut self, answer: Option<Box<Message>>, code: u16, reason: &'static str) {
        let path = self.path;
        let Some(answer) = answer else {
            self.outbox.close();
            let event = Event::StreamJunk { path, reason };
            self.shop.notices.send(Notice::Event(event)).await.ok();
            return;
        };
        let event = Event::StreamBad { path, answer, code, reason };
        if self.shop.notices.send(Notice::Event(event)).await.is_err() {
            return;
        }
        let deadline = Instant::now() + LINGER;
        while self.outbox.phase() == Phase::Open {
            if timeout_at(deadline, self.outbox.nudged()).await.is_err() {
                return;
            }
        }
    }

    /// Writes the last bytes, says so, and reads what the peer still sends.
    async fn linger(&mut self) {
        self.outbox.close();
        let deadline = Instant::now() + LINGER;
        timeout_at(deadline, self.finish()).await.ok();
    }

    async fn finish(&mut self) {
        while !self.outbox.is_empty() {
            if self.write_out().is_err() {
                return;
            }
            if self.unread_since.is_some() && self.stream.writable().await.is_err() {
                return;
            }
        }
        if socket2::SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write).is_err() {
            return;
        }
        for _ in 0..LINGER_READS {
            if self.stream.readable().await.is_err() || self.read_off() {
                return;
            }
        }
    }

    /// True at the end of what the peer sends.
    fn read_off(&self) -> bool {
        let mut buffer = [0; READ_BYTES];
        match self.stream.try_read(&mut buffer) {
            Ok(count) => count == 0,
            Err(error) => !is_passing(&error),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
