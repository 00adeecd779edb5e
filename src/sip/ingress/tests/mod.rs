//! What each kind of request is to us. Row numbers are those of the conformance reference.

mod ours;
mod robust;
mod routes;
mod submissions;

use super::*;
use crate::vocab::Transport;
use std::net::SocketAddr;

/// 2026-01-01 00:00:00 UTC.
pub(super) const NOW_S: i64 = 1_767_225_600;
pub(super) const NOW: Now = Now { mono_us: 7, unix_us: NOW_S * 1_000_000 };

pub(super) fn policy() -> Policy {
    Policy {
        domains: Domains::new(["example.com"]),
        listeners: vec!["192.0.2.1:5060".parse().unwrap()],
        trusted: vec![IpNet::new("198.51.100.0".parse().unwrap(), 24)],
        loop_key: 42,
        ..Policy::default()
    }
}

pub(super) fn path_from(peer: &str) -> Path {
    let remote: SocketAddr = format!("{peer}:5060").parse().unwrap();
    let local = "192.0.2.1:5060".parse().unwrap();
    Path { transport: Transport::Udp, local, remote, flow: None }
}

/// A request in the making.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) uri: &'static str,
    pub(super) to: &'static str,
    pub(super) lines: Vec<String>,
    pub(super) hops: Option<u8>,
    pub(super) body: Vec<u8>,
    pub(super) peer: &'static str,
    pub(super) policy: Policy,
}

pub(super) fn ask(method: &'static str, uri: &'static str) -> Ask {
    Ask {
        method,
        uri,
        to: "<sip:bob@example.com>",
        lines: Vec::new(),
        hops: Some(70),
        body: Vec::new(),
        peer: "203.0.113.9",
        policy: policy(),
    }
}

/// A MESSAGE with a text.
pub(super) fn text_for(uri: &'static str) -> Ask {
    let mut ask = ask("MESSAGE", uri).with("Content-Type: text/plain");
    ask.body = b"hello".to_vec();
    ask
}

impl Ask {
    pub(super) fn with(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    pub(super) fn without_hops(mut self) -> Self {
        self.hops = Some(0);
        self
    }

    pub(super) fn by_a_trusted_peer(mut self) -> Self {
        self.peer = "198.51.100.7";
        self
    }

    pub(super) fn to(mut self, to: &'static str) -> Self {
        self.to = to;
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { method, uri, to, .. } = self;
        let mut text = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKabc\r\n\
             From: \"Alice\" <sip:alice@example.org>;tag=f1\r\n\
             To: {to}\r\n\
             Call-ID: c1@203.0.113.9\r\n\
             CSeq: 7 {method}\r\n"
        );
        if let Some(hops) = self.hops {
            text.push_str(&format!("Max-Forwards: {hops}\r\n"));
        }
        for line in &self.lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(super) fn message(&self) -> Arc<Message> {
        Arc::new(Message::parse_datagram(self.bytes().into()).expect("a good request"))
    }

    pub(super) fn verdict(&self) -> Verdict {
        classify(&self.message(), &path_from(self.peer), &self.policy, NOW)
    }

    /// The answer that is given at once.
    pub(super) fn reply(&self) -> Reply {
        match self.verdict() {
            Verdict::Reply(reply) => reply,
            other => panic!("answered at once, not {other:?}"),
        }
    }

    pub(super) fn code(&self) -> u16 {
        self.reply().code()
    }

    pub(super) fn submission(&self) -> Submission {
        match self.verdict() {
            Verdict::Message { submission } => *submission,
            other => panic!("taken in, not {other:?}"),
        }
    }

    pub(super) fn target(&self) -> Target {
        match self.verdict() {
            Verdict::Foreign { target, .. } => *target,
            other => panic!("passed on, not {other:?}"),
        }
    }
}

/// The value of a header of an answer.
pub(super) fn header(reply: &Reply, name: &str) -> String {
    let lines: Vec<String> = reply.headers.iter().map(ToString::to_string).collect();
    let found = lines.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    found.unwrap_or_else(|| panic!("{name} in {lines:?}")).to_owned()
}
