//! `sipsilo send`: writes one message and tells what became of it.

use super::agent::{self, Address, Agent, Heard, Server};
use super::screen::one_line;
use super::words::{meaning, phrase};
use crate::sip::build::{Outgoing, Reply};
use crate::sip::endpoint::{ClientResult, ClientToken};
use crate::sip::{Message, Name};
use crate::vocab::limits::MESSAGE_BYTES_MAX;
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use rsip::headers::UntypedHeader as _;
use rsip::headers::{
    CSeq, CallId, ContentType, Expires, From, MaxForwards, Subject, To, UserAgent,
};
use rsip::{Headers, Method};
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

/// The options of `send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sipsilo send sip:bob@localhost \"hello\"
  sipsilo send sip:bob@example.com \"hello\" --from sip:alice@example.com --via 192.0.2.1:5060
  sipsilo send bob@localhost \"by tonight\" --expires 3600 --subject dinner
  sipsilo send bob@localhost - --content-type application/json --transport tcp < note.json

It prints the final answer and what it means. The exit code is 0 for 2xx: the message was delivered
(200) or stored (202).")]
pub(super) struct Args {
    /// To whom, for example sip:bob@example.com
    #[arg(value_name = "ADDRESS", value_parser = agent::address)]
    to: Address,
    /// The message; - reads it from standard input
    text: String,
    /// Who sends; without it sip:anonymous at the domain of the recipient
    #[arg(long, value_name = "ADDRESS", value_parser = agent::address)]
    from: Option<Address>,
    #[command(flatten)]
    server: Server,
    /// How long the message may wait; 0 = deliver now or not at all
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u32>,
    /// A subject
    #[arg(long)]
    subject: Option<String>,
    /// The type of the content
    #[arg(long, value_name = "TYPE", default_value = "text/plain")]
    content_type: String,
}

/// Sends the message.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let request = args.request()?;
    let mut agent = Agent::start(&args.server).await?;
    let server = agent.server();
    agent.send(&request, ClientToken(0))?;
    let refused = Agent::refused(server);
    tokio::pin!(refused);
    let result = loop {
        tokio::select! {
            heard = agent.next() => match heard {
                Heard::Outcome { result, .. } => break result,
                Heard::Request { key, .. } => agent.answer(key, &Reply::new(405)),
                Heard::FlowClosed => {}
            },
            () = &mut refused => break ClientResult::TransportError,
        }
    };
    let place = format!("{} by {}", server.remote, server.transport);
    match result {
        ClientResult::Final(answer) => tell(&answer),
        ClientResult::Timeout => bail!("no answer from {place} within 32 s"),
        ClientResult::TransportError => bail!("cannot reach {place}: is a server running there?"),
    }
}

impl Args {
    fn request(&self) -> anyhow::Result<Outgoing> {
        let from = match &self.from {
            Some(from) => from.field.clone(),
            None => format!("<sip:anonymous@{}>", self.to.aor.host()),
        };
        let mut headers = Headers::default();
        headers.push(MaxForwards::new("70").into());
        headers.push(From::new(format!("{from};tag={}", agent::fresh())).into());
        headers.push(To::new(format!("<{}>", self.to.uri)).into());
        headers.push(CallId::new(agent::fresh()).into());
        headers.push(CSeq::new("1 MESSAGE").into());
        headers.push(UserAgent::new(concat!("sipsilo/", env!("CARGO_PKG_VERSION"))).into());
        if let Some(expires) = self.expires {
            headers.push(Expires::new(expires.to_string()).into());
        }
        if let Some(subject) = &self.subject {
            headers.push(Subject::new(subject.as_str()).into());
        }
        headers.push(ContentType::new(self.content_type.as_str()).into());
        Ok(Outgoing::new(Method::Message, &self.to.uri, &headers, self.body()?))
    }

    fn body(&self) -> anyhow::Result<Bytes> {
        if self.text != "-" {
            return Ok(Bytes::copy_from_slice(self.text.as_bytes()));
        }
        let mut body = Vec::new();
        let limit = MESSAGE_BYTES_MAX as u64 + 1;
        std::io::stdin().take(limit).read_to_end(&mut body).context("cannot read the message")?;
        ensure!(
            body.len() <= MESSAGE_BYTES_MAX,
            "the message is longer than a SIP message can be ({MESSAGE_BYTES_MAX} bytes)"
        );
        Ok(body.into())
    }
}

/// Prints the answer and what it means.
fn tell(answer: &Message) -> anyhow::Result<ExitCode> {
    let code = answer.code();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{code} {}: {}", phrase(answer), meaning(code))?;
    for name in [Name::Warning, Name::RetryAfter] {
        if let Some(value) = answer.field(name) {
            writeln!(out, "{}: {}", name.text(), one_line(value))?;
        }
    }
    Ok(if matches!(code, 200..=299) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
