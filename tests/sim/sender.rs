//! People who write: they retransmit, they try again with the same ids, they are impatient.

use super::chance::Chance;
use super::letter::Kind;
use super::text::Sip;
use super::witness::{Witness, branch_of};
use sipsilo::net::memory::{Endpoint, Memory};
use sipsilo::vocab::Transport;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// Timer F of RFC 3261.
const GIVES_UP: Duration = Duration::from_secs(32);
/// After this nobody tries again: what a store recognises it need not recognise for ever.
const TRIES_FOR: Duration = Duration::from_secs(25);

/// A person who writes.
pub struct Sender {
    pub number: u64,
    pub endpoint: Endpoint,
    pub node: SocketAddr,
    pub transport: Transport,
    pub chance: Chance,
    pub witness: Arc<Witness>,
    pub users: u64,
    pub messages: u64,
    pub span: Duration,
    pub fleeting: f64,
}

/// One message, as it is sent again and again.
struct Draft {
    serial: u64,
    to: String,
    content: &'static str,
    extra: String,
}

impl Sender {
    /// A person at an address of his own.
    pub fn address(number: u64) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, number as u8 + 1], 5060))
    }

    /// Its place on the network.
    pub fn endpoint(memory: &Memory, number: u64) -> Endpoint {
        memory.endpoint(Self::address(number))
    }

    /// Writes all messages, each after a pause.
    pub async fn live(mut self) {
        // The node is up by then.
        sleep_until(Instant::now() + T1).await;
        let longest_ms = 2 * self.span.as_millis() as u64 / self.messages;
        for n in 0..self.messages {
            let pause =
                if self.chance.hits(0.3) { Duration::ZERO } else { self.chance.ms(0..=longest_ms) };
            sleep_until(Instant::now() + pause).await;
            self.write(self.number * 1_000 + n).await;
        }
    }

    async fn write(&mut self, serial: u64) {
        let user = self.chance.from(1..=self.users);
        let kind = match self.chance.from(0..=29) {
            0 | 1 => Kind::NowOrNever,
            2 => Kind::Typing,
            _ => Kind::Kept,
        };
        let content = match kind {
            Kind::Kept | Kind::NowOrNever => "text/plain",
            Kind::Typing => "application/im-iscomposing+xml",
        };
        let extra = if kind == Kind::NowOrNever {
            "Expires: 0\r\n".to_owned()
        } else if self.chance.hits(self.fleeting) {
            format!("Expires: {}\r\n", self.chance.from(2..=90))
        } else {
            String::new()
        };
        let draft = Draft { serial, to: format!("u{user}"), content, extra };
        self.witness.written(serial, format!("u{user}@example.com"), kind);
        let first = Instant::now();
        loop {
            let code = self.transact(&draft).await;
            self.witness.heard(serial, code);
            let is_over = code.is_some_and(|code| !matches!(code, 500 | 503 | 504));
            if is_over || first.elapsed() > TRIES_FOR {
                return;
            }
            let pause = self.chance.ms(0..=4_000);
            sleep_until(Instant::now() + pause).await;
        }
    }

    /// One transaction by RFC 3261; the final response, if one came.
    async fn transact(&mut self, draft: &Draft) -> Option<u16> {
        let branch = format!("z9hG4bK{:016x}", self.chance.number());
        let request = self.print(draft, &branch);
        if self.chance.hits(0.05) {
            // The same message by another way.
            let other = format!("z9hG4bK{:016x}", self.chance.number());
            self.send(&self.print(draft, &other));
        }
        let patience = if self.chance.hits(0.1) { self.chance.ms(100..=5_000) } else { GIVES_UP };
        let deadline = Instant::now() + patience;
        let mut pause = T1;
        self.send(&request);
        let mut again = Instant::now() + pause;
        loop {
            match timeout_at(again.min(deadline), self.endpoint.receive()).await {
                Ok(packet) => {
                    let sip = Sip::read(&packet.bytes);
                    if branch_of(&sip) != branch {
                        continue;
                    }
                    match sip.code() {
                        100..=199 => pause = T2,
                        200.. => return Some(sip.code()),
                        _ => {}
                    }
                }
                Err(_) if Instant::now() >= deadline => return None,
                Err(_) => {
                    if self.transport == Transport::Udp {
                        self.send(&request);
                    }
                    pause = (pause * 2).min(T2);
                    again = Instant::now() + pause;
                }
            }
        }
    }

    fn send(&self, request: &str) {
        self.endpoint.send(self.transport, self.node, request.to_owned().into_bytes());
    }

    fn print(&self, draft: &Draft, branch: &str) -> String {
        let Draft { serial, to, content, extra } = draft;
        let (via, address) = (self.transport.in_via(), self.endpoint.address());
        let text = format!("text {serial} ");
        format!(
            "MESSAGE sip:{to}@example.com SIP/2.0\r\n\
             Via: SIP/2.0/{via} {address};rport;branch={branch}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:s{number}@example.com>;tag=t{serial}\r\n\
             To: <sip:{to}@example.com>\r\n\
             Call-ID: m{serial}@sim\r\nCSeq: 1 MESSAGE\r\n\
             Content-Type: {content}\r\n{extra}Content-Length: {length}\r\n\r\n{text}",
            number = self.number,
            length = text.len(),
        )
    }
}
