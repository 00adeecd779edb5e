//! A message: an index over the bytes that came.

use super::check::{Address, Core, check};
use super::name::{Name, canonical};
use super::scan::{self, Line, LineEnds, Problem, Span};
use super::start::{self, Start};
use crate::sip::headers::{List, NameAddr, Params, Via};
use crate::vocab::limits::{LIST_VALUES_MAX, MESSAGE_BYTES_MAX};
use bytes::{Buf, Bytes};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A request or a response, as it was received. Cloning counts references.
#[derive(Clone)]
pub struct Message {
    raw: Bytes,
    start_line: Span,
    start: Start,
    lines: Arc<[Line]>,
    core: Core,
    /// The body is `raw[body_start..]`.
    body_start: usize,
    source: Option<SocketAddr>,
}

/// Why bytes are not taken as a message.
#[derive(Clone, Debug)]
pub enum Malformed {
    /// Not answerable: not SIP, a bad response, or no Via to answer by.
    Drop(&'static str),
    /// A request to be answered with `code`. Of `message` only the Via is sure to be there.
    Answer {
        /// 400, 501, 505 or 513.
        code: u16,
        /// What is wrong, for a log.
        reason: &'static str,
        /// What could be read, for building the answer.
        message: Box<Message>,
    },
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What it is.
    pub name: Name,
    /// The name as it came.
    pub name_text: &'a [u8],
    /// The whole value, trimmed and on one line.
    pub value: &'a [u8],
}

impl Message {
    /// Reads a datagram (RFC 3261 section 18.3): bytes after `Content-Length` are cut off, fewer
    /// are an error, and without the header the body goes to the end. Lines may end in LF alone.
    ///
    /// # Errors
    ///
    /// [`Malformed`] says whether to answer.
    pub fn parse_datagram(raw: Bytes) -> Result<Self, Malformed> {
        Self::parse(raw, LineEnds::Lenient)
    }

    /// Reads one message that [`super::Framer`] cut out. Lines end in CRLF.
    ///
    /// # Errors
    ///
    /// [`Malformed`] says whether to answer.
    pub fn parse_framed(raw: Bytes) -> Result<Self, Malformed> {
        Self::parse(raw, LineEnds::Strict)
    }

    fn parse(mut raw: Bytes, ends: LineEnds) -> Result<Self, Malformed> {
        let oversize = raw.len() > MESSAGE_BYTES_MAX;
        raw.truncate(MESSAGE_BYTES_MAX);
        raw.advance(scan::leading_line_ends(&raw));
        let head = match scan::scan(&raw, ends) {
            Some(head) => head,
            None => {
                raw = scan::unfold(&raw).into();
                scan::scan(&raw, ends).ok_or(Malformed::Drop("white space before the headers"))?
            }
        };
        let (start, start_problem) = start::parse(&raw, head.start).map_err(Malformed::Drop)?;
        let (core, field_problem) = check(&raw, &head, start).map_err(Malformed::Drop)?;
        let size_problem = oversize.then_some(Problem { code: 513, reason: "too large" });
        let lines = Arc::from(&head.lines[..]);
        let (start_line, body_start) = (head.start, head.body);
        let mut message = Self { raw, start_line, start, lines, core, body_start, source: None };
        let length_problem = message.cut_body();
        let version = start_problem.filter(|problem| problem.code == 505);
        let problem = version
            .or(size_problem)
            .or(start_problem)
            .or(head.problem)
            .or(field_problem)
            .or(length_problem);
        match (problem, message.is_request()) {
            (None, _) => Ok(message),
            (Some(problem), false) => Err(Malformed::Drop(problem.reason)),
            (Some(Problem { code, reason }), true) => {
                Err(Malformed::Answer { code, reason, message: Box::new(message) })
            }
        }
    }

    /// Cuts off what follows the body.
    fn cut_body(&mut self) -> Option<Problem> {
        let there = self.raw.len() - self.body_start;
        let length = self.core.content_length?;
        match usize::try_from(length) {
            Ok(length) if length <= there => {
                self.raw.truncate(self.body_start + length);
                None
            }
            _ => Some(Problem::bad("the body is shorter than Content-Length")),
        }
    }

    /// True for a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method as it came; of a response, the one its CSeq names.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.at(match self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => self.core.cseq_method,
        })
    }

    /// The method, when it is a registered one; case counts.
    #[must_use]
    pub fn known_method(&self) -> Option<rsip::Method> {
        super::known_method(self.method())
    }

    /// The Request-URI; empty for a response.
    #[must_use]
    pub fn request_uri(&self) -> &[u8] {
        match self.start {
            Start::Request { uri, .. } => self.at(uri),
            Start::Response { .. } => b"",
        }
    }

    /// The status code; 0 for a request.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self.start {
            Start::Request { .. } => 0,
            Start::Response { code } => code,
        }
    }

    /// The start line without its end.
    #[must_use]
    pub fn start_line(&self) -> &[u8] {
        self.at(self.start_line)
    }

    /// The whole value of the first field of that name, trimmed and on one line.
    #[must_use]
    pub fn field(&self, name: Name) -> Option<&[u8]> {
        self.line(name).map(|line| self.at(line.value))
    }

    /// As [`Message::field`], sharing the received bytes.
    #[must_use]
    pub fn field_bytes(&self, name: Name) -> Option<Bytes> {
        self.line(name).map(|line| self.raw.slice(line.value.range()))
    }

    /// The values of all fields of that name, in order.
    pub fn fields(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter(move |line| line.name == name).map(|line| self.at(line.value))
    }

    /// The value of the first field of that name in text, in any case, long or compact.
    #[must_use]
    pub fn other(&self, name: &[u8]) -> Option<&[u8]> {
        match Name::of(name) {
            Name::Other => {
                let name = canonical(name);
                self.all_fields()
                    .filter(|field| field.name == Name::Other)
                    .find(|field| canonical(field.name_text).eq_ignore_ascii_case(name))
                    .map(|field| field.value)
            }
            known => self.field(known),
        }
    }

    /// The elements of a comma list over all fields of that name, in order, empty ones left out;
    /// not more than [`LIST_VALUES_MAX`].
    pub fn list(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.fields(name)
            .flat_map(List::new)
            .filter(|element| !element.is_empty())
            .take(LIST_VALUES_MAX)
    }

    /// All fields, in order.
    pub fn all_fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.lines.iter().map(|line| Field {
            name: line.name,
            name_text: self.at(line.name_text),
            value: self.at(line.value),
        })
    }

    /// The body, byte for byte.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.raw.slice(self.body_start..)
    }

    /// The message as it came, without what followed its body; continued header lines are joined.
    #[must_use]
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The topmost Via.
    #[must_use]
    pub fn top_via(&self) -> Via<'_> {
        let via = &self.core.via;
        let mut top = Via::default();
        (top.transport, top.host, top.port) = (self.at(via.transport), self.at(via.host), via.port);
        top.branch = via.branch.map(|span| self.at(span));
        top.rport = via.rport;
        top.received = via.received.map(|span| self.at(span));
        top.maddr = via.maddr.map(|span| self.at(span));
        top.params = Params::new(self.at(via.params));
        top
    }

    /// From.
    #[must_use]
    pub fn from(&self) -> NameAddr<'_> {
        self.address(&self.core.from)
    }

    /// To.
    #[must_use]
    pub fn to(&self) -> NameAddr<'_> {
        self.address(&self.core.to)
    }

    /// The tag of From; requests of RFC 2543 have none.
    #[must_use]
    pub fn from_tag(&self) -> Option<&[u8]> {
        self.core.from.tag.map(|span| self.at(span))
    }

    /// The tag of To: there within a dialog.
    #[must_use]
    pub fn to_tag(&self) -> Option<&[u8]> {
        self.core.to.tag.map(|span| self.at(span))
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.at(self.core.call_id)
    }

    /// The number and the method of CSeq.
    #[must_use]
    pub fn cseq(&self) -> (u32, &[u8]) {
        (self.core.cseq, self.at(self.core.cseq_method))
    }

    /// Max-Forwards, if it was there.
    #[must_use]
    pub const fn max_forwards(&self) -> Option<u8> {
        self.core.max_forwards
    }

    /// Notes where the request came from: printing writes `received` and `rport` of the topmost
    /// Via accordingly (RFC 3261 section 18.2.1, RFC 3581 section 4).
    pub const fn set_source(&mut self, source: SocketAddr) {
        self.source = Some(source);
    }

    /// What [`Message::set_source`] noted.
    #[must_use]
    pub const fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    fn line(&self, name: Name) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    fn address(&self, address: &Address) -> NameAddr<'_> {
        NameAddr {
            display: self.at(address.display),
            uri: self.at(address.uri),
            params: Params::new(self.at(address.params)),
        }
    }

    fn at(&self, span: Span) -> &[u8] {
        span.of_raw(&self.raw)
    }
}

/// Shows the start line and the Call-ID: bodies and names of users are not for logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Message");
        match self.start {
            Start::Request { .. } => {
                shown.field("method", &self.method().escape_ascii().to_string())
            }
            Start::Response { code } => shown.field("code", &code),
        };
        shown.field("call_id", &self.call_id().escape_ascii().to_string()).finish_non_exhaustive()
    }
}
