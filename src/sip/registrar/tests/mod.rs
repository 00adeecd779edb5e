//! Goal: every row of the registrar's checklist, as a client or an operator would see it.
//! Method: whole REGISTER requests in text, a clock the test holds, and what comes back.

mod contacts;
mod expiry;
mod hops;
mod memory;
mod model;
mod rules;
mod snapshot;

use super::{Bindings, Change, Registered, Settings};
use crate::sip::build::Reply;
use crate::sip::{Malformed, Message};
use crate::vocab::{Aor, FlowId, NextHop, Now, Path, Reach, Transport};
use rsip::Header;
use std::time::Duration;

/// 2020-09-13 12:26:40 UTC.
const START_S: i64 = 1_600_000_000;

/// One shard, its clock, and the way requests come.
struct World {
    bindings: Bindings,
    settings: Settings,
    now: Now,
    path: Path,
    call_id: &'static str,
    cseq: u32,
}

impl World {
    fn new() -> Self {
        Self {
            bindings: Bindings::default(),
            settings: Settings::default(),
            now: Now { mono_us: 0, unix_us: START_S * 1_000_000 },
            path: udp("192.0.2.10:5060"),
            call_id: "call-1@client",
            cseq: 0,
        }
    }

    /// Registers `bob@example.com` with these header lines and the next CSeq.
    fn register(&mut self, lines: &str) -> Registered {
        self.cseq += 1;
        self.register_as(&bob(), lines)
    }

    fn register_as(&mut self, aor: &Aor, lines: &str) -> Registered {
        let request = message(aor, self.call_id, self.cseq, lines);
        self.bindings.register(aor, &request, &self.path, &self.settings, self.now)
    }

    /// Registers one contact and insists that it worked.
    fn contact(&mut self, value: &str) -> Registered {
        let registered = self.register(&format!("Contact: {value}\r\n"));
        assert_eq!(code(&registered), 200, "{value}");
        registered
    }

    /// What a fetch shows.
    fn fetch(&mut self) -> Vec<String> {
        let registered = self.register("");
        assert_eq!((code(&registered), &registered.change), (200, &Change::None));
        contacts(&registered.reply)
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    fn reach(&self) -> Reach {
        self.bindings.reach(&bob(), self.now)
    }

    fn hops(&self) -> Vec<NextHop> {
        self.reach().contacts().iter().map(|contact| contact.next_hop.clone()).collect()
    }
}

fn bob() -> Aor {
    Aor::from_parts("bob", "example.com")
}

fn message(aor: &Aor, call_id: &str, cseq: u32, lines: &str) -> Message {
    let text = format!(
        "REGISTER sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:{aor}>;tag=f1\r\n\
         To: <sip:{aor}>\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: {cseq} REGISTER\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    );
    match Message::parse_datagram(text.into()) {
        Ok(message) => message,
        // The codec refuses broken contacts first; the registrar does not rely on it.
        Err(Malformed::Answer { message, .. }) => *message,
        Err(Malformed::Drop(why)) => panic!("{why}"),
    }
}

fn udp(remote: &str) -> Path {
    Path {
        transport: Transport::Udp,
        local: "203.0.113.1:5060".parse().unwrap(),
        remote: remote.parse().unwrap(),
        flow: None,
    }
}

fn tcp(remote: &str, flow: u64) -> Path {
    Path { transport: Transport::Tcp, flow: Some(FlowId::new(0, flow)), ..udp(remote) }
}

fn code(registered: &Registered) -> u16 {
    registered.reply.status.code()
}

fn contacts(reply: &Reply) -> Vec<String> {
    values(reply, "Contact")
}

/// The values of all lines of that name, in order.
fn values(reply: &Reply, name: &str) -> Vec<String> {
    let text = |header: &Header| header.to_string();
    let lines = reply.headers.iter().map(text);
    lines.filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned())).collect()
}

fn dumps(registered: &Registered) -> bool {
    matches!(registered.change, Change::Updated { dump: true, .. })
}
