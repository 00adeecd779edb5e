//! The first walk over a message: where its lines are. Nothing is understood yet.

use super::name::Name;
use crate::sip::headers::text::{is_blank, is_token, trim, trim_end, trim_start};
use crate::vocab::limits::{HEADERS_MAX, LINE_BYTES_MAX};
use smallvec::SmallVec;

/// A range of the message's head. The head is at most 65,535 bytes long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// Where `part`, a subslice of `whole`, lies in it.
    pub(super) fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        Self::new(start, start.wrapping_add(part.len()))
    }

    /// The span from `start` to `end`; empty when that is beyond what a head can be.
    fn new(start: usize, end: usize) -> Self {
        match (u16::try_from(start), u16::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }

    /// As a range.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// The bytes of `raw` it covers.
    pub(super) fn of_raw(self, raw: &[u8]) -> &[u8] {
        raw.get(self.range()).unwrap_or_default()
    }
}

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: Name,
    pub(super) name_text: Span,
    pub(super) value: Span,
}

/// Something that makes a request wrong: the code to answer and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

impl Problem {
    /// A grammar error.
    pub(super) const fn bad(reason: &'static str) -> Self {
        Self { code: 400, reason }
    }

    const fn too_large(reason: &'static str) -> Self {
        Self { code: 513, reason }
    }
}

/// What may end a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// CRLF only: on a stream, whoever reads a bare LF as a line end sees other messages than
    /// whoever does not.
    Strict,
    /// LF also: a datagram is one message, whatever its line ends.
    Lenient,
}

/// The lines of a message.
#[derive(Debug)]
pub(super) struct Head {
    /// The start line, without its end.
    pub(super) start: Span,
    pub(super) lines: SmallVec<[Line; 40]>,
    /// Where the body begins.
    pub(super) body: usize,
    /// The first thing that was wrong.
    pub(super) problem: Option<Problem>,
}

/// Walks over the lines of `raw`, which begins with the start line. `None` when a line is
/// continued on the next: [`unfold`] first.
pub(super) fn scan(raw: &[u8], ends: LineEnds) -> Option<Head> {
    let mut head =
        Head { start: Span::default(), lines: SmallVec::new(), body: raw.len(), problem: None };
    let mut walk = Walk { raw, at: 0, ends, problem: None };
    let Some(start) = walk.line() else {
        head.problem = Some(Problem::bad("no line end"));
        return Some(head);
    };
    head.start = start;
    loop {
        let Some(line) = walk.line() else {
            walk.note(Problem::bad("no empty line after the headers"));
            break;
        };
        if line.range().is_empty() {
            head.body = walk.at;
            break;
        }
        if line.of_raw(raw).first().copied().is_some_and(is_blank) {
            return None;
        }
        if head.lines.len() == HEADERS_MAX {
            walk.note(Problem::too_large("too many header fields"));
            break;
        }
        match field(raw, line) {
            Some(line) => head.lines.push(line),
            None => walk.note(Problem::bad("a header line without a name")),
        }
    }
    head.problem = walk.problem;
    Some(head)
}

/// Reads `name: value`.
fn field(raw: &[u8], line: Span) -> Option<Line> {
    let text = line.of_raw(raw);
    let colon = memchr::memchr(b':', text)?;
    let name_text = trim_end(&text[..colon]);
    let name = Name::of(name_text);
    if name == Name::Other && !is_token(name_text) {
        return None;
    }
    let value = trim(&text[colon + 1..]);
    Some(Line { name, name_text: Span::of(raw, name_text), value: Span::of(raw, value) })
}

struct Walk<'a> {
    raw: &'a [u8],
    at: usize,
    ends: LineEnds,
    problem: Option<Problem>,
}

impl Walk<'_> {
    /// Keeps the first problem.
    fn note(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    /// The next line without its end; `None` when it does not end.
    fn line(&mut self) -> Option<Span> {
        let start = self.at;
        let mut from = start;
        loop {
            let end = from + memchr::memchr2(b'\r', b'\n', self.raw.get(from..)?)?;
            if self.raw[end] == b'\n' {
                if self.ends == LineEnds::Strict {
                    self.note(Problem::bad("a line that ends in LF alone"));
                }
                self.at = end + 1;
            } else if self.raw.get(end + 1) == Some(&b'\n') {
                self.at = end + 2;
            } else {
                // Whoever takes it for a line end sees other headers than we do.
                self.note(Problem::bad("CR without LF"));
                from = end + 1;
                continue;
            }
            if end - start > LINE_BYTES_MAX {
                self.note(Problem::too_large("a header line is too long"));
            }
            return Some(Span::new(start, end));
        }
    }
}

/// The lines of `text` without their ends, CRLF or LF.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest)?;
        let (line, after) = rest.split_at(end);
        rest = &after[1..];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// True when a line of `head` is continued on the next.
pub(super) fn is_folded(head: &[u8]) -> bool {
    lines(head).any(|line| line.first().copied().is_some_and(is_blank))
}

/// Joins continued lines (RFC 3261 section 7.3.1): each line end and the white space that follows
/// it become one space. The body is copied as it is.
pub(super) fn unfold(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    let mut is_continued = false;
    while let Some(found) = memchr::memchr(b'\n', &raw[at..]) {
        let lf = at + found;
        let line = &raw[at..lf];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() && !is_continued {
            break;
        }
        let next = &raw[lf + 1..];
        is_continued = next.first().copied().is_some_and(is_blank);
        if is_continued {
            out.extend_from_slice(trim_end(line));
            out.push(b' ');
            at = raw.len() - trim_start(next).len();
        } else {
            out.extend_from_slice(&raw[at..=lf]);
            at = lf + 1;
        }
    }
    out.extend_from_slice(&raw[at..]);
    out
}

/// How many bytes of empty lines stand before the start line (RFC 3261 section 7.5).
pub(super) fn leading_line_ends(raw: &[u8]) -> usize {
    raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfolded(text: &str) -> String {
        String::from_utf8(unfold(text.as_bytes())).unwrap()
    }

    #[test]
    fn continued_lines_are_joined_with_one_space_and_the_body_is_left_alone() {
        assert_eq!(
            unfolded("S\r\nA: 1\r\n \t 2 \r\n\t3\r\nB: 4\r\n\r\nx\r\n y\r\n"),
            "S\r\nA: 1 2 3\r\nB: 4\r\n\r\nx\r\n y\r\n"
        );
    }

    #[test]
    fn a_continuation_of_white_space_alone_does_not_end_the_headers() {
        assert_eq!(
            unfolded("S\r\nA: 1\r\n \r\nB: 2\r\n 3\r\n\r\nx\r\n y"),
            "S\r\nA: 1 \r\nB: 2 3\r\n\r\nx\r\n y"
        );
        assert_eq!(unfolded("S\r\nA: 1\r\n \r\n 2\r\n\r\n"), "S\r\nA: 1  2\r\n\r\n");
    }
}
