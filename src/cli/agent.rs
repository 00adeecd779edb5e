//! A small SIP user agent: what `send` and `receive` share.
//!
//! It drives the same sans-IO endpoint and the same sockets as the server: requests go out with
//! the timers of RFC 3261 and come up once, whatever the network does.

use crate::net::{self, Event, Events, ListenSpec, Wire};
use crate::node::SystemClock;
use crate::sip::build::{Outgoing, Reply};
use crate::sip::endpoint::{
    ClientResult, ClientToken, Effect, Endpoint, Manner, ServerKey, Settings,
};
use crate::sip::{Message, NameAddr, Scheme, Uri};
use crate::vocab::{Aor, Clock as _, Now, Path, Transport};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often ports are asked for that are free for UDP and TCP alike.
const PORT_TRIES: usize = 16;

/// How long to wait at once when no timer runs.
const IDLE: Duration = Duration::from_secs(3_600);

/// Where the server is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Server {
    /// Send to this server
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5060")]
    via: String,
    /// Speak udp or tcp to it; a request too long for udp goes by tcp
    #[arg(long, value_name = "NAME", default_value = "udp", value_parser = transport)]
    transport: Transport,
}

fn transport(name: &str) -> Result<Transport, &'static str> {
    Transport::parse(name.as_bytes()).ok_or("it must be udp or tcp")
}

impl Server {
    /// A server whose address is known.
    pub(super) fn at(transport: Transport, address: SocketAddr) -> Self {
        Self { via: address.to_string(), transport }
    }

    /// Looks the server up; without a port it is 5060.
    async fn address(&self) -> anyhow::Result<SocketAddr> {
        let port = self.transport.default_port();
        let bare = self.via.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Ok(SocketAddr::new(ip, port));
        }
        let (host, port) = match self.via.rsplit_once(':') {
            Some((host, port)) => {
                let wrong = || format!("{:?} is no port, in --via {}", port, self.via);
                (
                    host.trim_start_matches('[').trim_end_matches(']'),
                    port.parse().with_context(wrong)?,
                )
            }
            None => (self.via.as_str(), port),
        };
        let found = tokio::net::lookup_host((host, port)).await;
        // A server that listens on one family only most likely has IPv4.
        let first =
            found.with_context(|| format!("cannot look up {host}"))?.min_by_key(|a| a.is_ipv6());
        first.with_context(|| format!("{host} has no address"))
    }
}

/// What the agent has to tell.
#[derive(Debug)]
pub(super) enum Heard {
    /// A request for us; to be answered by [`Agent::answer`].
    Request { key: ServerKey, message: Arc<Message> },
    /// A request of ours has ended.
    Outcome { token: ClientToken, result: ClientResult },
    /// A connection is gone.
    FlowClosed,
}

/// A user agent with one server.
pub(super) struct Agent {
    endpoint: Endpoint,
    wire: Box<dyn Wire>,
    events: Events,
    /// The way to the server.
    server: Path,
    clock: SystemClock,
    effects: Vec<Effect>,
    heard: VecDeque<Heard>,
    /// What was sent, for those who asked to see it.
    tape: Option<Vec<Bytes>>,
}

impl Agent {
    /// Opens sockets on the address that faces the server. Must be called on a single-threaded
    /// runtime.
    pub(super) async fn start(server: &Server) -> anyhow::Result<Self> {
        let remote = server.address().await?;
        let local = facing(remote)?;
        let (wire, events) = open(local).context("cannot open sockets")?;
        let local = wire.local_for(server.transport, remote).context("there are no sockets")?;
        Ok(Self {
            endpoint: Endpoint::new(Settings::default(), rand::random()),
            wire,
            events,
            server: Path { transport: server.transport, local, remote, flow: None },
            clock: SystemClock::start(),
            effects: Vec::new(),
            heard: VecDeque::new(),
            tape: None,
        })
    }

    /// From now on keeps what is sent, until it is taken.
    pub(super) fn start_tape(&mut self) {
        self.tape = Some(Vec::new());
    }

    /// What was sent since the last call, copies and all.
    pub(super) fn take_tape(&mut self) -> Vec<Bytes> {
        self.tape.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The way to the server.
    pub(super) const fn server(&self) -> Path {
        self.server
    }

    /// The time.
    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Sends a request to the server; its end will be heard under `token`.
    pub(super) fn send(&mut self, request: &Outgoing, token: ClientToken) -> anyhow::Result<()> {
        let (now, manner) = (self.now(), Manner::default());
        self.endpoint.send(request, self.server, token, manner, now, &mut self.effects)?;
        self.run_effects();
        Ok(())
    }

    /// Answers a request.
    pub(super) fn answer(&mut self, key: ServerKey, reply: &Reply) {
        let now = self.now();
        self.endpoint.respond(key, reply, now, &mut self.effects);
        self.run_effects();
    }

    /// Waits for the next thing to tell. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return heard;
            }
            let timer = self.timer();
            tokio::select! {
                event = self.events.next() => self.take(event),
                () = sleep_until(timer) => {
                    let now = self.now();
                    self.endpoint.tick(now, &mut self.effects);
                }
            }
            self.run_effects();
        }
    }

    /// The moment of the next timer; without one, an hour from now.
    fn timer(&self) -> Instant {
        let left_us = self.endpoint.deadline().map(|us| us.saturating_sub(self.now().mono_us));
        Instant::now() + left_us.map_or(IDLE, Duration::from_micros)
    }

    fn take(&mut self, event: Option<Event>) {
        let now = self.now();
        match event {
            Some(Event::Packets(packets)) => {
                for packet in packets {
                    self.endpoint.receive(packet, now, &mut self.effects);
                }
            }
            Some(Event::FlowClosed(flow)) => {
                self.endpoint.flow_closed(flow, now, &mut self.effects);
                self.heard.push_back(Heard::FlowClosed);
            }
            Some(Event::SendFailed(tag)) => {
                self.endpoint.send_failed(tag, now, &mut self.effects);
            }
            Some(Event::StreamBad { path, answer, code, reason }) => {
                self.endpoint.refuse(*answer, code, reason, path, &mut self.effects);
                self.run_effects();
                if let Some(flow) = path.flow {
                    self.wire.close(flow);
                }
            }
            Some(Event::StreamJunk { .. }) | None => {}
        }
    }

    fn run_effects(&mut self) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Transmit { path, bytes, tag } => {
                    if let Some(tape) = &mut self.tape {
                        tape.push(bytes.clone());
                    }
                    self.wire.send(path, bytes, tag);
                }
                Effect::Request { key, message, path: _ } => {
                    self.heard.push_back(Heard::Request { key, message });
                }
                Effect::Outcome { token, result } => {
                    self.heard.push_back(Heard::Outcome { token, result });
                }
                Effect::Misdirected { .. } | Effect::Malformed { .. } => {}
            }
        }
        self.wire.flush();
    }

    /// Resolves when the server's machine says that nothing listens there; with UDP that is the
    /// only sign before a request times out.
    pub(super) async fn refused(server: Path) {
        if server.transport == Transport::Udp && probe(server).await.is_err() {
            return;
        }
        std::future::pending().await
    }
}

/// Sends a keep-alive from a socket of its own and waits for the machine's complaint.
async fn probe(server: Path) -> std::io::Result<()> {
    let socket = tokio::net::UdpSocket::bind(SocketAddr::new(server.local.ip(), 0)).await?;
    socket.connect(server.remote).await?;
    socket.send(b"\r\n\r\n").await?;
    socket.recv(&mut [0; 1]).await.map(drop)
}

/// The address that packets to `remote` leave from. Connecting a UDP socket asks the kernel; no
/// packet is sent.
fn facing(remote: SocketAddr) -> anyhow::Result<SocketAddr> {
    let any = if remote.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let asked = std::net::UdpSocket::bind(any).and_then(|socket| {
        socket.connect(remote)?;
        socket.local_addr()
    });
    let local = asked.with_context(|| format!("there is no way to {remote}"))?;
    Ok(SocketAddr::new(local.ip(), 0))
}

/// Opens UDP and TCP on one free port: who has a contact by UDP must be able to take what is too
/// long for it by TCP (RFC 3261 section 18.1.1).
fn open(any: SocketAddr) -> anyhow::Result<(Box<dyn Wire>, Events)> {
    let settings = net::Settings { socket_buffer_bytes: 1 << 20, ..net::Settings::default() };
    let mut failure = None;
    for _ in 0..PORT_TRIES {
        let udp = ListenSpec { transport: Transport::Udp, address: any };
        let chosen = net::bind(&[udp], 1, &settings)?;
        let Some(&(_, address)) = chosen.first().and_then(|set| set.listeners().first()) else {
            break;
        };
        drop(chosen);
        let both = [Transport::Udp, Transport::Tcp];
        let both = both.map(|transport| ListenSpec { transport, address });
        match net::bind(&both, 1, &settings).map(|mut sets| sets.pop()) {
            Ok(Some(sockets)) => return Ok(sockets.start()?),
            Ok(None) => break,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => Err(error.into()),
        None => bail!("no sockets were opened"),
    }
}

/// A SIP user as the command line names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The value of From or To, without a tag.
    pub(super) field: String,
    /// The URI alone.
    pub(super) uri: String,
    /// The mailbox.
    pub(super) aor: Aor,
}

/// Reads `sip:bob@example.com`, `bob@example.com` or `"Bob" <sip:bob@example.com>`.
pub(super) fn address(text: &str) -> Result<Address, String> {
    let wrong = || format!("{text:?} is no SIP address such as sip:bob@example.com");
    let (display, uri) = match text.find('<') {
        Some(_) => {
            let parsed = NameAddr::parse(text.as_bytes()).ok_or_else(wrong)?;
            let display = String::from_utf8_lossy(parsed.display);
            (format!("{display} "), String::from_utf8_lossy(parsed.uri).into_owned())
        }
        None if text.contains(':') => (String::new(), text.to_owned()),
        None => (String::new(), format!("sip:{text}")),
    };
    let parsed = Uri::parse(uri.as_bytes()).ok_or_else(wrong)?;
    if !matches!(parsed.scheme, Scheme::Sip | Scheme::Sips) || parsed.user.is_none() {
        return Err(wrong());
    }
    let aor = parsed.aor().ok_or_else(wrong)?;
    Ok(Address { field: format!("{}<{uri}>", display.trim_start()), uri, aor })
}

/// A fresh Call-ID or tag: enough chance that nobody else has it.
pub(super) fn fresh() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_may_be_named_with_or_without_scheme_and_name() {
        let bob = |text: &str| address(text).unwrap();
        assert_eq!(bob("bob@example.com").field, "<sip:bob@example.com>");
        assert_eq!(bob("sip:bob@example.com").uri, "sip:bob@example.com");
        let named = bob("\"Bob B.\" <sip:bob@Example.com;transport=tcp>");
        assert_eq!(named.field, "\"Bob B.\" <sip:bob@Example.com;transport=tcp>");
        assert_eq!(named.uri, "sip:bob@Example.com;transport=tcp");
        assert_eq!(named.aor.as_str(), "bob@example.com");
        assert_eq!(bob("<sip:bob@example.com>;tag=1").field, "<sip:bob@example.com>");
        assert_eq!(bob("sip:bob@example.com;user=phone").field, "<sip:bob@example.com;user=phone>");
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for text in ["", "bob", "sip:example.com", "http://example.com", "sip:bob@", "<sip:b@c"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
