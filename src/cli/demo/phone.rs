//! A user of the story: a user agent that shows what it says and hears.

use super::PATIENCE;
use super::lessons::Way;
use super::page::Page;
use crate::cli::agent::{self, Address, Agent, Heard, Server};
use crate::cli::receive::contact_uri;
use crate::sip::Message;
use crate::sip::build::{Outgoing, Reply};
use crate::sip::endpoint::{ClientResult, ClientToken, ServerKey};
use crate::vocab::Transport;
use anyhow::{anyhow, bail};
use bytes::Bytes;
use rsip::headers::UntypedHeader as _;
use rsip::headers::{CSeq, CallId, Contact, ContentType, Expires, From, MaxForwards, To};
use rsip::{Headers, Method};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A phone.
pub(super) struct Phone {
    name: &'static str,
    user: Address,
    agent: Agent,
    call_id: String,
    tag: String,
    cseq: u32,
    /// Requests sent so far.
    sent: u64,
}

impl Phone {
    /// The phone of `name@example.com`, which talks to `server`.
    pub(super) async fn new(name: &'static str, server: SocketAddr) -> anyhow::Result<Self> {
        let user = agent::address(&format!("{name}@example.com")).map_err(|e| anyhow!(e))?;
        let mut agent = Agent::start(&Server::at(Transport::Udp, server)).await?;
        agent.start_tape();
        Ok(Self { name, user, agent, call_id: short(), tag: short(), cseq: 0, sent: 0 })
    }

    /// A MESSAGE with a name of its own.
    pub(super) fn message(&self, to: &Self, text: &'static str) -> Outgoing {
        let mut headers = self.headers(&to.user.uri, &short(), &short(), "1 MESSAGE".into());
        headers.push(ContentType::new("text/plain").into());
        let body = Bytes::from_static(text.as_bytes());
        Outgoing::new(Method::Message, &to.user.uri, &headers, body)
    }

    /// A REGISTER of this phone.
    pub(super) fn register(&mut self, expires_s: u32) -> Outgoing {
        self.cseq += 1;
        let cseq = format!("{} REGISTER", self.cseq);
        let mut headers = self.headers(&self.user.uri, &self.call_id, &self.tag, cseq);
        let contact = contact_uri(&self.user, self.agent.server());
        headers.push(Contact::new(format!("<{contact}>")).into());
        headers.push(Expires::new(expires_s.to_string()).into());
        let registrar = format!("sip:{}", self.user.aor.host());
        Outgoing::new(Method::Register, &registrar, &headers, Bytes::new())
    }

    fn headers(&self, to: &str, call_id: &str, tag: &str, cseq: String) -> Headers {
        let mut headers = Headers::default();
        headers.push(MaxForwards::new("70").into());
        headers.push(From::new(format!("<{}>;tag={tag}", self.user.uri)).into());
        headers.push(To::new(format!("<{to}>")).into());
        headers.push(CallId::new(call_id).into());
        headers.push(CSeq::new(cseq).into());
        headers
    }

    /// Sends a request, in a new transaction.
    pub(super) fn send(&mut self, request: &Outgoing, page: &mut Page) -> anyhow::Result<()> {
        self.sent += 1;
        self.agent.send(request, ClientToken(self.sent))?;
        self.show_sent(page)
    }

    /// Waits for the end of the newest request: the code of its answer.
    pub(super) async fn answer(&mut self, page: &mut Page) -> anyhow::Result<u16> {
        match self.hear(page).await? {
            Heard::Outcome { token: ClientToken(token), result: ClientResult::Final(answer) }
                if token == self.sent =>
            {
                Ok(answer.code())
            }
            Heard::Outcome { result: ClientResult::Timeout, .. } => {
                bail!("{} got no answer", self.name)
            }
            other => bail!("{} waited for an answer and heard {other:?}", self.name),
        }
    }

    /// Waits for a MESSAGE.
    pub(super) async fn next(
        &mut self,
        page: &mut Page,
    ) -> anyhow::Result<(ServerKey, Arc<Message>)> {
        match self.hear(page).await? {
            Heard::Request { key, message } if message.method() == b"MESSAGE" => Ok((key, message)),
            other => bail!("{} waited for a MESSAGE and heard {other:?}", self.name),
        }
    }

    /// Takes a message: 200.
    pub(super) fn take(&mut self, key: ServerKey, page: &mut Page) -> anyhow::Result<()> {
        self.agent.answer(key, &Reply::new(200));
        self.show_sent(page)
    }

    /// Listens for something that is not to come.
    pub(super) async fn hears_nothing(&mut self, how_long: Duration) -> anyhow::Result<()> {
        match timeout(how_long, self.agent.next()).await {
            Ok(heard) => bail!("{} was to hear nothing and heard {heard:?}", self.name),
            Err(_) => Ok(()),
        }
    }

    async fn hear(&mut self, page: &mut Page) -> anyhow::Result<Heard> {
        let Ok(heard) = timeout(PATIENCE, self.agent.next()).await else {
            bail!("{} heard nothing for {} s", self.name, PATIENCE.as_secs());
        };
        self.show_sent(page)?;
        if let Heard::Request { message, .. }
        | Heard::Outcome { result: ClientResult::Final(message), .. } = &heard
        {
            page.sip(self.name, Way::In, message)?;
        }
        Ok(heard)
    }

    fn show_sent(&mut self, page: &mut Page) -> anyhow::Result<()> {
        for bytes in self.agent.take_tape() {
            if let Ok(message) = Message::parse_datagram(bytes) {
                page.sip(self.name, Way::Out, &message)?;
            }
        }
        Ok(())
    }
}

/// A name that nobody else draws while the story lasts, and that is short on screen.
fn short() -> String {
    format!("{:016x}", rand::random::<u64>())
}
