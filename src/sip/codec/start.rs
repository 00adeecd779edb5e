//! Start lines.

use super::scan::{Problem, Span};
use crate::sip::headers::text::{is_token, number, trim_end};
use crate::sip::uri::Uri;

/// A start line that was understood, as far as it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Request { method: Span, uri: Span },
    Response { code: u16 },
}

/// Reads the start line of `raw`. An error is text that is not SIP, or a response nobody needs.
pub(super) fn parse(raw: &[u8], line: Span) -> Result<(Start, Option<Problem>), &'static str> {
    let text = line.of_raw(raw);
    if text.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(text).map(|start| (start, None));
    }
    request_line(raw, text)
}

fn status_line(text: &[u8]) -> Result<Start, &'static str> {
    let (version, rest) =
        text.split_at(memchr::memchr(b' ', text).ok_or("a status line without a code")?);
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Err("a response of another SIP version");
    }
    // RFC 3261 section 25.1: a space, three digits, a space, and any phrase. The second space is
    // forgotten by some when there is no phrase.
    let (digits, rest) = match rest.get(1..) {
        Some(rest) if rest.len() >= 3 => rest.split_at(3),
        _ => return Err("a status line without a code"),
    };
    let code = number(digits).and_then(|code| u16::try_from(code).ok());
    match code {
        Some(code @ 100..=699) if matches!(rest.first(), None | Some(b' ')) => {
            Ok(Start::Response { code })
        }
        _ => Err("a status code out of range"),
    }
}

fn request_line(raw: &[u8], text: &[u8]) -> Result<(Start, Option<Problem>), &'static str> {
    let trimmed = trim_end(text);
    let (first, last) = match (memchr::memchr(b' ', trimmed), memchr::memrchr(b' ', trimmed)) {
        (Some(first), Some(last)) if first < last => (first, last),
        _ => return Err("not SIP"),
    };
    let (method, uri, version) =
        (&trimmed[..first], &trimmed[first + 1..last], &trimmed[last + 1..]);
    let is_sip = version.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(b"SIP/"));
    if !is_token(method) || !is_sip {
        return Err("not SIP");
    }
    let problem = if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        Some(Problem { code: 505, reason: "not SIP/2.0" })
    } else if trimmed.len() != text.len() || uri.iter().any(u8::is_ascii_whitespace) {
        Some(Problem::bad("stray white space in the request line"))
    } else if uri.first() == Some(&b'<') {
        Some(Problem::bad("angle brackets around the Request-URI"))
    } else if Uri::parse(uri).is_none() {
        Some(Problem::bad("the Request-URI cannot be read"))
    } else {
        None
    };
    let start = Start::Request { method: Span::of(raw, method), uri: Span::of(raw, uri) };
    Ok((start, problem))
}
