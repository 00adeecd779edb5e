//! The endpoint under a clock that the test holds.
//!
//! Each test's comment names the rows of the SIP checklist it shows.

mod bounds;
mod client;
mod model;
mod reply_path;
mod server;
mod stateless;

use super::*;
use crate::sip::build::Outgoing;
use crate::vocab::Transport;
use rsip::Headers;
use std::net::SocketAddr;

const SEED: [u64; 4] = [1, 2, 3, 4];
const LOCAL: &str = "192.0.2.1:5060";
const ALICE: &str = "198.51.100.7:40000";

/// An endpoint and its clock, in milliseconds from the start.
struct World {
    endpoint: Endpoint,
    now: Now,
    start: Now,
    ticks: usize,
}

impl World {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let start = Now { mono_us: 77_777_777, unix_us: 1_700_000_000_000_000 };
        Self { endpoint: Endpoint::new(settings, SEED), now: start, start, ticks: 0 }
    }

    fn ms(&self) -> u64 {
        (self.now.mono_us - self.start.mono_us) / 1_000
    }

    fn receive(&mut self, text: &str) -> Vec<Effect> {
        self.receive_by(udp(ALICE), text)
    }

    fn receive_by(&mut self, path: Path, text: &str) -> Vec<Effect> {
        let mut out = Vec::new();
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.endpoint.receive(Packet { bytes, path }, self.now, &mut out);
        out
    }

    /// Receives what must be a new request.
    fn open(&mut self, text: &str) -> ServerKey {
        self.open_by(udp(ALICE), text)
    }

    fn open_by(&mut self, path: Path, text: &str) -> ServerKey {
        match &self.receive_by(path, text)[..] {
            [Effect::Request { key, .. }] => *key,
            other => panic!("expected one new request, got {other:?}"),
        }
    }

    fn respond(&mut self, key: ServerKey, code: u16) -> Vec<Effect> {
        let mut out = Vec::new();
        self.endpoint.respond(key, &Reply::new(code), self.now, &mut out);
        out
    }

    fn send(&mut self, path: Path, token: u64, manner: Manner) -> Vec<Effect> {
        self.send_body(path, token, manner, "hello").unwrap()
    }

    fn send_body(
        &mut self,
        path: Path,
        token: u64,
        manner: Manner,
        body: &str,
    ) -> Result<Vec<Effect>, Full> {
        let mut out = Vec::new();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = Outgoing {
            lines: Bytes::from_static(
                b"From: <sip:silo@example.com>;tag=s\r\nTo: <sip:bob@example.com>\r\n\
                  Call-ID: silo-1\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\n",
            ),
            ..Outgoing::new(rsip::Method::Message, "sip:bob@b", &Headers::default(), body)
        };
        let token = ClientToken(token);
        self.endpoint.send(&request, path, token, manner, self.now, &mut out)?;
        Ok(out)
    }

    /// Lets the clock run, waking the endpoint at its deadlines only, and says what it did when.
    fn run_to(&mut self, ms: u64) -> Vec<(u64, Effect)> {
        let end = self.start.mono_us + ms * 1_000;
        let mut seen = Vec::new();
        while let Some(at) = self.endpoint.deadline().filter(|&at| at <= end) {
            assert!(at >= self.now.mono_us, "a deadline in the past is a busy loop");
            self.now.unix_us += i64::try_from(at - self.now.mono_us).unwrap();
            self.now.mono_us = at;
            let mut out = Vec::new();
            self.endpoint.tick(self.now, &mut out);
            self.ticks += 1;
            seen.extend(out.into_iter().map(|effect| (self.ms(), effect)));
            assert!(self.endpoint.deadline() > Some(at) || self.endpoint.deadline().is_none());
        }
        self.now.mono_us = end;
        seen
    }

    fn counts(&self) -> Counts {
        self.endpoint.observe().counts
    }
}

fn udp(remote: &str) -> Path {
    path(Transport::Udp, remote, None)
}

fn tcp(flow: u64) -> Path {
    path(Transport::Tcp, ALICE, Some(FlowId(flow)))
}

fn path(transport: Transport, remote: &str, flow: Option<FlowId>) -> Path {
    Path { transport, local: addr(LOCAL), remote: addr(remote), flow }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A request with that Via value, of that method.
fn request(method: &str, via: &str) -> String {
    format!(
        "{method} sip:bob@example.com SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\n\
         Call-ID: call-1\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A MESSAGE with that branch, from a client behind a NAT that knows `rport`.
fn message(branch: &str) -> String {
    request("MESSAGE", &format!("SIP/2.0/UDP 10.0.0.7:5060;rport;branch={branch}"))
}

/// The response to a request of ours, from its top Via on.
fn answer(sent: &Effect, code: u16) -> String {
    let Effect::Transmit { bytes, .. } = sent else { panic!("not sent: {sent:?}") };
    let request = Message::parse_datagram(bytes.clone()).unwrap();
    let printed = print_response(&request, &Reply::new(code), "bob");
    String::from_utf8(printed.to_vec()).unwrap()
}

/// What was sent, and where to.
fn sent(effects: &[Effect]) -> Vec<(SocketAddr, String)> {
    let mut found = Vec::new();
    for effect in effects {
        if let Effect::Transmit { path, bytes, .. } = effect {
            found.push((path.remote, String::from_utf8(bytes.to_vec()).unwrap()));
        }
    }
    found
}

/// The one thing that was sent.
fn only(effects: &[Effect]) -> (Path, Bytes) {
    match effects {
        [Effect::Transmit { path, bytes, .. }] => (*path, bytes.clone()),
        other => panic!("expected one packet, got {other:?}"),
    }
}

/// The text of the one thing that was sent.
fn text(effects: &[Effect]) -> String {
    String::from_utf8(only(effects).1.to_vec()).unwrap()
}

fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

/// How requests of ours ended.
fn outcomes(effects: &[Effect]) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    for effect in effects {
        if let Effect::Outcome { token, result } = effect {
            let result = match result {
                ClientResult::Final(response) => response.code().to_string(),
                ClientResult::Timeout => "timeout".to_owned(),
                ClientResult::TransportError => "transport error".to_owned(),
            };
            found.push((token.0, result));
        }
    }
    found
}
