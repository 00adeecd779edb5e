//! `sipsilo receive`: registers a user and prints each message that comes.

use super::agent::{self, Address, Agent, Heard, Server};
use super::screen::{body, one_line, time};
use super::words::phrase;
use crate::sip::build::{Outgoing, Reply};
use crate::sip::endpoint::{ClientResult, ClientToken, ServerKey};
use crate::sip::headers::Contact;
use crate::sip::{Message, Name, Uri};
use crate::vocab::{Now, Path};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use chrono::DateTime;
use rsip::headers::UntypedHeader as _;
use rsip::headers::{Allow, CSeq, CallId, Contact as ContactField, Expires, From, MaxForwards, To};
use rsip::{Headers, Method};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};

/// The methods that are answered here.
const ALLOWED: &str = "MESSAGE, OPTIONS";
/// The pause before a registration that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long the end waits for the server to take the user's contact off.
const FAREWELL: Duration = Duration::from_secs(2);

/// The options of `receive`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sipsilo receive sip:bob@localhost
  sipsilo receive sip:bob@example.com --via 192.0.2.1:5060 --transport tcp
  sipsilo receive bob@localhost --count 1

Messages go to standard output, all else to standard error. Ctrl-C or SIGTERM unregisters and ends.")]
pub(super) struct Args {
    /// Whom to be, for example sip:bob@example.com
    #[arg(value_name = "ADDRESS", value_parser = agent::address)]
    user: Address,
    #[command(flatten)]
    server: Server,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How long a registration is to hold; it is refreshed in time
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600, value_parser = clap::value_parser!(u32).range(1..))]
    expires: u32,
}

/// Registers, receives, unregisters.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let agent = Agent::start(&args.server).await?;
    let mut receiver = Receiver::new(agent, args);
    tokio::select! {
        done = receiver.receive(args.count) => done?,
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    tokio::select! {
        () = receiver.unregister() => {}
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registration {
    /// Never answered 2xx.
    New,
    /// Answered 2xx at least once.
    Held,
}

struct Receiver {
    agent: Agent,
    server: Path,
    user: Address,
    contact: String,
    call_id: String,
    tag: String,
    cseq: u32,
    expires: u32,
    registration: Registration,
    /// When to register again.
    due: Instant,
}

impl Receiver {
    fn new(agent: Agent, args: &Args) -> Self {
        let server = agent.server();
        Self {
            contact: contact_uri(&args.user, server),
            agent,
            server,
            user: args.user.clone(),
            call_id: agent::fresh(),
            tag: agent::fresh(),
            cseq: 0,
            expires: args.expires,
            registration: Registration::New,
            due: Instant::now(),
        }
    }

    /// Prints messages until `count` of them have come.
    async fn receive(&mut self, count: Option<u64>) -> anyhow::Result<()> {
        let mut left = count.unwrap_or(u64::MAX);
        let refused = Agent::refused(self.server);
        tokio::pin!(refused);
        while left > 0 {
            tokio::select! {
                heard = self.agent.next() => match heard {
                    Heard::Request { key, message } => {
                        left -= u64::from(self.request(key, &message)?);
                    }
                    Heard::Outcome { token, result } => self.registered(token, &result)?,
                    // Who has registered by a connection is reached by it only.
                    Heard::FlowClosed if self.server.transport.is_reliable() => {
                        self.due = self.due.min(Instant::now() + RETRY);
                    }
                    Heard::FlowClosed => {}
                },
                () = sleep_until(self.due) => self.register(self.expires)?,
                () = &mut refused, if self.registration == Registration::New => {
                    self.failed("nothing listens there")?;
                }
            }
        }
        Ok(())
    }

    /// Takes the contact off, if the server answers soon.
    async fn unregister(&mut self) {
        if self.cseq == 0 || self.register(0).is_err() {
            return;
        }
        let (token, end) = (self.token(), Instant::now() + FAREWELL);
        loop {
            tokio::select! {
                heard = self.agent.next() => match heard {
                    Heard::Outcome { token: of, .. } if of == token => return,
                    Heard::Request { key, .. } => self.agent.answer(key, &Reply::new(480)),
                    Heard::Outcome { .. } | Heard::FlowClosed => {}
                },
                () = sleep_until(end) => return,
            }
        }
    }

    /// The token of the newest REGISTER.
    const fn token(&self) -> ClientToken {
        ClientToken(self.cseq as u64)
    }

    fn register(&mut self, expires: u32) -> anyhow::Result<()> {
        self.cseq += 1;
        let mut headers = Headers::default();
        headers.push(MaxForwards::new("70").into());
        headers.push(From::new(format!("<{}>;tag={}", self.user.uri, self.tag)).into());
        headers.push(To::new(format!("<{}>", self.user.uri)).into());
        headers.push(CallId::new(self.call_id.as_str()).into());
        headers.push(CSeq::new(format!("{} REGISTER", self.cseq)).into());
        headers.push(ContactField::new(format!("<{}>", self.contact)).into());
        headers.push(Expires::new(expires.to_string()).into());
        headers.push(Allow::new(ALLOWED).into());
        let domain = format!("sip:{}", self.user.aor.host());
        let request = Outgoing::new(Method::Register, &domain, &headers, Bytes::new());
        // Its outcome sets the next time; this one only guards against none.
        self.due = Instant::now() + Duration::from_secs(60);
        self.agent.send(&request, self.token())
    }

    /// Takes the end of a REGISTER.
    fn registered(&mut self, token: ClientToken, result: &ClientResult) -> anyhow::Result<()> {
        if token != self.token() {
            return Ok(());
        }
        match result {
            ClientResult::Final(answer) if matches!(answer.code(), 200..=299) => {
                let granted = self.granted(answer);
                if self.registration == Registration::New {
                    let Path { remote, transport, .. } = self.server;
                    let aor = one_line(self.user.aor.as_str().as_bytes());
                    eprintln!(
                        "registered {aor} at {remote} by {transport} for {granted} s; Ctrl-C ends"
                    );
                    self.registration = Registration::Held;
                }
                self.due = Instant::now() + refresh_after(granted);
                Ok(())
            }
            ClientResult::Final(answer) if answer.code() == 423 => match min_expires(answer) {
                Some(min) if min > self.expires => {
                    self.expires = min;
                    self.due = Instant::now();
                    Ok(())
                }
                _ => self.failed("423 without a longer Min-Expires"),
            },
            ClientResult::Final(answer) => {
                self.failed(&format!("{} {}", answer.code(), phrase(answer)))
            }
            ClientResult::Timeout => self.failed("no answer within 32 s"),
            ClientResult::TransportError => self.failed("the server cannot be reached"),
        }
    }

    /// The first registration must succeed; a later one is tried again.
    fn failed(&mut self, why: &str) -> anyhow::Result<()> {
        let Path { remote, transport, .. } = self.server;
        if self.registration == Registration::New {
            bail!("cannot register at {remote} by {transport}: {why}");
        }
        eprintln!("cannot register again: {why}; next try in {} s", RETRY.as_secs());
        self.due = Instant::now() + RETRY;
        Ok(())
    }

    /// How long the registration holds: what stands at our contact, else in `Expires`, else what
    /// was asked for (RFC 3261 section 10.2.4).
    fn granted(&self, answer: &Message) -> u32 {
        let ours = Uri::parse(self.contact.as_bytes());
        let mut contacts = answer.list(Name::Contact).filter_map(Contact::parse);
        let own = contacts.find(|contact| {
            let uri = Uri::parse(contact.addr.uri);
            uri.zip(ours).is_some_and(|(uri, ours)| uri.equals(&ours))
        });
        let general = || number(answer.field(Name::Expires)?);
        own.and_then(|own| own.expires().flatten()).or_else(general).unwrap_or(self.expires)
    }

    /// Answers a request; true when it was a message, which is then on the screen.
    fn request(&mut self, key: ServerKey, request: &Message) -> anyhow::Result<bool> {
        let is_message = request.method() == b"MESSAGE";
        let reply = match request.method() {
            b"MESSAGE" => {
                // First the screen, then 200: who answers has the message.
                print(request, self.agent.now()).context("cannot print a message")?;
                Reply::new(200)
            }
            b"OPTIONS" => Reply::new(200).with(Allow::new(ALLOWED)),
            _ => Reply::new(405).with(Allow::new(ALLOWED)),
        };
        self.agent.answer(key, &reply);
        Ok(is_message)
    }
}

/// Half the time for short registrations, all but a margin for long ones.
fn refresh_after(granted_s: u32) -> Duration {
    let granted = Duration::from_secs(granted_s.max(1).into());
    (granted / 2).max(granted.saturating_sub(Duration::from_secs(60)))
}

fn min_expires(answer: &Message) -> Option<u32> {
    number(answer.field(Name::MinExpires)?)
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Where we want messages: at our own sockets.
pub(super) fn contact_uri(user: &Address, server: Path) -> String {
    let name = Uri::parse(user.uri.as_bytes()).and_then(|uri| uri.user);
    let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    let transport = if server.transport.is_reliable() { ";transport=tcp" } else { "" };
    format!("sip:{name}@{}{transport}", server.local)
}

/// Prints a message: when it was sent, by whom, its type and subject, its body.
fn print(message: &Message, now: Now) -> std::io::Result<()> {
    let shown = |name| message.field(name).map(one_line);
    let sent = shown(Name::Date).and_then(|date| DateTime::parse_from_rfc2822(&date).ok());
    let mut out = std::io::stdout().lock();
    write!(out, "{} from ", time(sent.map_or(now.unix_us, |sent| sent.timestamp_micros())))?;
    let from = message.from();
    if !from.display.is_empty() {
        write!(out, "{} ", one_line(from.display))?;
    }
    write!(out, "<{}>", one_line(from.uri))?;
    if let Some(content_type) = shown(Name::ContentType) {
        write!(out, " {content_type}")?;
    }
    writeln!(out)?;
    if let Some(subject) = shown(Name::Subject) {
        writeln!(out, "  Subject: {subject}")?;
    }
    write!(out, "{}", body(&message.body()))?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_refreshed_well_before_it_ends() {
        assert_eq!(refresh_after(3_600), Duration::from_secs(3_540));
        assert_eq!(refresh_after(60), Duration::from_secs(30));
        assert_eq!(refresh_after(0), Duration::from_millis(500));
    }
}
