//! The second walk: the fields every message must have are read, and judged.

use super::scan::{Head, Line, Problem, Span};
use super::start::Start;
use super::{Name, known_method};
use crate::sip::headers::text::number;
use crate::sip::headers::{Contact, List, NameAddr, Via, cseq};
use crate::sip::uri::Uri;
use crate::vocab::limits::LIST_VALUES_MAX;

/// A parsed From or To, as spans.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Address {
    pub(super) display: Span,
    pub(super) uri: Span,
    pub(super) params: Span,
    pub(super) tag: Option<Span>,
}

/// A parsed Via, as spans.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TopVia {
    pub(super) transport: Span,
    pub(super) host: Span,
    pub(super) port: Option<u16>,
    pub(super) branch: Option<Span>,
    pub(super) rport: Option<Option<u16>>,
    pub(super) received: Option<Span>,
    pub(super) maddr: Option<Span>,
    pub(super) params: Span,
}

/// The fields every message must have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Core {
    pub(super) via: TopVia,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) call_id: Span,
    pub(super) cseq: u32,
    pub(super) cseq_method: Span,
    pub(super) max_forwards: Option<u8>,
    pub(super) content_length: Option<u64>,
}

/// Reads the core fields of a scanned message, and what is wrong with it. `Err` when there is no
/// Via to send an answer by.
pub(super) fn check(
    raw: &[u8],
    head: &Head,
    start: Start,
) -> Result<(Core, Option<Problem>), &'static str> {
    let is_request = matches!(start, Start::Request { .. });
    let (core, seen) = (Core::default(), Seen::default());
    let mut check = Check { raw, is_request, core, seen, problem: None };
    for line in &head.lines {
        check.line(line);
    }
    if !check.seen.via {
        return Err("no usable Via");
    }
    for (seen, reason) in [
        (check.seen.from, "no From"),
        (check.seen.to, "no To"),
        (check.seen.call_id, "no Call-ID"),
        (check.seen.cseq, "no CSeq"),
    ] {
        if !seen {
            check.note(Problem::bad(reason));
        }
    }
    if let Start::Request { method, .. } = start {
        check.methods(method.of_raw(raw));
    }
    Ok((check.core, check.problem))
}

/// Which fields were there.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each field that may come once")]
struct Seen {
    via: bool,
    via_broken: bool,
    from: bool,
    to: bool,
    call_id: bool,
    cseq: bool,
    max_forwards: bool,
}

struct Check<'a> {
    raw: &'a [u8],
    is_request: bool,
    core: Core,
    seen: Seen,
    problem: Option<Problem>,
}

impl<'a> Check<'a> {
    /// Keeps the first problem.
    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    fn span(&self, part: &[u8]) -> Span {
        Span::of(self.raw, part)
    }

    fn line(&mut self, line: &Line) {
        let value = line.value.of_raw(self.raw);
        match line.name {
            Name::Via => self.via(value),
            Name::From => {
                let again = std::mem::replace(&mut self.seen.from, true);
                self.once(again, "two From");
                self.core.from = self.address(value, again, self.core.from, "From cannot be read");
            }
            Name::To => {
                let again = std::mem::replace(&mut self.seen.to, true);
                self.once(again, "two To");
                self.core.to = self.address(value, again, self.core.to, "To cannot be read");
            }
            Name::CallId => self.call_id(line.value),
            Name::CSeq => self.cseq(value),
            // A response is taken for what it answers, whatever else it holds.
            Name::MaxForwards if self.is_request => self.max_forwards(value),
            Name::ContentLength => self.content_length(value),
            Name::Contact if self.is_request => self.contact(value),
            _ => {}
        }
    }

    fn once(&mut self, again: bool, reason: &'static str) {
        if again {
            self.note(Problem::bad(reason));
        }
    }

    fn address(
        &mut self,
        value: &'a [u8],
        again: bool,
        first: Address,
        reason: &'static str,
    ) -> Address {
        if again {
            return first;
        }
        let Some(address) = NameAddr::parse(value).filter(|a| Uri::parse(a.uri).is_some()) else {
            self.note(Problem::bad(reason));
            return Address::default();
        };
        Address {
            display: self.span(address.display),
            uri: self.span(address.uri),
            params: self.span(address.params.as_bytes()),
            tag: address.tag().map(|tag| self.span(tag)),
        }
    }

    fn via(&mut self, value: &'a [u8]) {
        for element in List::new(value).take(LIST_VALUES_MAX) {
            let Some(via) = Via::parse(element) else {
                // A broken Via below the top does not stop the answer.
                self.seen.via_broken = true;
                self.note(Problem::bad("a Via cannot be read"));
                continue;
            };
            if !via.is_neat() {
                self.note(Problem::bad("stray semicolons in a Via"));
            }
            if !self.seen.via && !self.seen.via_broken {
                self.seen.via = true;
                self.core.via = self.top_via(&via);
            }
        }
    }

    fn top_via(&self, via: &Via<'_>) -> TopVia {
        TopVia {
            transport: self.span(via.transport),
            host: self.span(via.host),
            port: via.port,
            branch: via.branch.map(|part| self.span(part)),
            rport: via.rport,
            received: via.received.map(|part| self.span(part)),
            maddr: via.maddr.map(|part| self.span(part)),
            params: self.span(via.params.as_bytes()),
        }
    }

    fn call_id(&mut self, value: Span) {
        let again = std::mem::replace(&mut self.seen.call_id, true);
        self.once(again, "two Call-ID");
        let text = value.of_raw(self.raw);
        if text.is_empty() || text.iter().any(u8::is_ascii_whitespace) {
            self.note(Problem::bad("Call-ID cannot be read"));
        }
        if !again {
            self.core.call_id = value;
        }
    }

    fn cseq(&mut self, value: &'a [u8]) {
        let again = std::mem::replace(&mut self.seen.cseq, true);
        self.once(again, "two CSeq");
        match cseq::parse(value) {
            Some((serial, method)) if !again => {
                self.core.cseq = serial;
                self.core.cseq_method = self.span(method);
            }
            Some(_) => {}
            None => self.note(Problem::bad("CSeq cannot be read")),
        }
    }

    fn max_forwards(&mut self, value: &[u8]) {
        let again = std::mem::replace(&mut self.seen.max_forwards, true);
        self.once(again, "two Max-Forwards");
        let hops = number(value).and_then(|hops| u8::try_from(hops).ok());
        if hops.is_none() {
            self.note(Problem::bad("Max-Forwards is not a number up to 255"));
        }
        self.core.max_forwards = self.core.max_forwards.or(hops);
    }

    fn content_length(&mut self, value: &[u8]) {
        let Some(length) = number(value) else {
            self.note(Problem::bad("Content-Length is not a number"));
            return;
        };
        if self.core.content_length.is_some_and(|first| first != length) {
            self.note(Problem::bad("two different Content-Length"));
        }
        self.core.content_length.get_or_insert(length);
    }

    fn contact(&mut self, value: &[u8]) {
        for element in List::new(value).take(LIST_VALUES_MAX) {
            let read = Contact::parse(element);
            if !read.is_some_and(|c| c.is_all() || Uri::parse(c.addr.uri).is_some()) {
                self.note(Problem::bad("a Contact cannot be read"));
            }
        }
    }

    /// RFC 3261 section 8.1.1.5: the CSeq names the request's method. When we do not know the
    /// method, that is the better answer.
    fn methods(&mut self, method: &[u8]) {
        if !self.seen.cseq || self.core.cseq_method.of_raw(self.raw) == method {
            return;
        }
        if self.core.cseq_method.range().is_empty() {
            return;
        }
        self.note(if known_method(method).is_some() {
            Problem::bad("CSeq names another method")
        } else {
            Problem { code: 501, reason: "unknown method" }
        });
    }
}
