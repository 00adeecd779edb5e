//! Cutting messages out of a byte stream (RFC 3261 section 18.3).

use super::message::{Malformed, Message};
use super::scan;
use crate::sip::codec::Name;
use crate::sip::headers::text::{number, split_once, trim, trim_end};
use crate::vocab::limits::{LINE_BYTES_MAX, MESSAGE_BYTES_MAX};
use bytes::{Buf, Bytes, BytesMut};

/// What was cut out.
#[derive(Debug)]
pub enum Frame {
    /// One whole message, for [`Message::parse_framed`].
    Message(Bytes),
    /// CRLFCRLF between messages: a keep-alive, to be answered with CRLF (RFC 5626 section 3.5.1).
    Ping,
    /// The stream cannot be read on: answer if there is something to answer, then close.
    Bad {
        /// What could be read of the request.
        answer: Option<Box<Message>>,
        /// The code to answer with.
        code: u16,
        /// What is wrong, for a log.
        reason: &'static str,
    },
}

/// The framing of one connection.
///
/// Push what was read, then call [`Framer::next`] until it gives nothing. It then holds less than
/// one message, at most [`MESSAGE_BYTES_MAX`] bytes, and nothing at all between messages. Every
/// byte is looked at once, however the stream is cut.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// No head ends before this place.
    scanned: usize,
    /// The start line was looked at and may be one.
    started: bool,
    /// The length of the message, once its head is complete.
    length: Option<usize>,
    /// A CRLF came since the last message, which may be the first half of a ping.
    half_ping: bool,
    /// The stream is lost.
    lost: bool,
}

const HEAD_END: &[u8] = b"\r\n\r\n";

impl Framer {
    /// A framer at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.lost {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// True when part of a message is here and the rest is awaited.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Cuts out the next message or event; `None` until more is pushed, and for ever after
    /// [`Frame::Bad`].
    #[expect(clippy::should_implement_trait, reason = "more may come after `None`")]
    pub fn next(&mut self) -> Option<Frame> {
        if self.lost {
            return None;
        }
        if self.length.is_none() {
            if !self.started && self.take_line_ends() {
                return Some(Frame::Ping);
            }
            if let Err(bad) = self.look_for_head() {
                self.lost = true;
                self.buffer = BytesMut::new();
                return Some(bad);
            }
        }
        let length = self.length?;
        if self.buffer.len() < length {
            return None;
        }
        // Between messages nothing is held, not even room.
        let rest = if self.buffer.len() == length {
            BytesMut::new()
        } else {
            self.buffer.split_off(length)
        };
        let message = std::mem::replace(&mut self.buffer, rest).freeze();
        (self.scanned, self.started, self.length, self.half_ping) = (0, false, None, false);
        Some(Frame::Message(message))
    }

    /// Takes line ends off the front; true when two made a ping.
    fn take_line_ends(&mut self) -> bool {
        while self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            self.half_ping = !self.half_ping;
            if !self.half_ping {
                return true;
            }
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        false
    }

    /// Finds the end of the head and with it the length of the message.
    fn look_for_head(&mut self) -> Result<(), Frame> {
        self.check_start_line()?;
        let from = self.scanned.saturating_sub(HEAD_END.len() - 1);
        let Some(found) = memchr::memmem::find(&self.buffer[from..], HEAD_END) else {
            self.scanned = self.buffer.len();
            if self.buffer.len() >= MESSAGE_BYTES_MAX {
                return Err(bad(None, 513, "no end of the headers"));
            }
            return Ok(());
        };
        let head = from + found + HEAD_END.len();
        if head > MESSAGE_BYTES_MAX {
            return Err(bad(None, 513, "the headers are too large"));
        }
        let body = self.body_length(head)?;
        match head.checked_add(body).filter(|&length| length <= MESSAGE_BYTES_MAX) {
            Some(length) => {
                self.length = Some(length);
                Ok(())
            }
            None => Err(self.answer(head, 513, "the message is too large")),
        }
    }

    /// Refuses what is not SIP as soon as its first line is there.
    fn check_start_line(&mut self) -> Result<(), Frame> {
        if self.started || self.buffer.is_empty() {
            return Ok(());
        }
        let Some(found) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
            self.scanned = self.buffer.len();
            let too_long = self.buffer.len() > LINE_BYTES_MAX;
            return if too_long { Err(bad(None, 400, "not SIP")) } else { Ok(()) };
        };
        let end = self.scanned + found;
        if end >= LINE_BYTES_MAX {
            return Err(bad(None, 400, "not SIP"));
        }
        let line = trim_end(self.buffer[..end].trim_ascii_end());
        let last = memchr::memrchr(b' ', line).map_or(line, |space| &line[space + 1..]);
        let is_sip = |text: &[u8]| text.get(..4).is_some_and(|t| t.eq_ignore_ascii_case(b"SIP/"));
        if !is_sip(line) && !is_sip(last) {
            return Err(bad(None, 400, "not SIP"));
        }
        self.started = true;
        Ok(())
    }

    /// Reads Content-Length out of the head, as [`Message::parse_framed`] will.
    fn body_length(&self, head: usize) -> Result<usize, Frame> {
        let head_bytes = &self.buffer[..head];
        let unfolded;
        let lines = if scan::is_folded(head_bytes) {
            unfolded = scan::unfold(head_bytes);
            &unfolded[..]
        } else {
            head_bytes
        };
        let mut length = None;
        for line in scan::lines(lines).skip(1) {
            // `Content-Length` or `l`, before anything is compared.
            if !matches!(line.first(), Some(b'C' | b'c' | b'L' | b'l')) {
                continue;
            }
            let Some((name, value)) = split_once(line, b':') else { continue };
            if Name::of(trim_end(name)) != Name::ContentLength {
                continue;
            }
            match number(trim(value)).and_then(|value| usize::try_from(value).ok()) {
                Some(value) if length.is_none_or(|first| first == value) => length = Some(value),
                _ => return Err(self.answer(head, 400, "bad Content-Length")),
            }
        }
        length.ok_or_else(|| self.answer(head, 400, "no Content-Length on a stream"))
    }

    /// The end of the stream, with what can be read of the head.
    fn answer(&self, head: usize, code: u16, reason: &'static str) -> Frame {
        let head = Bytes::copy_from_slice(&self.buffer[..head]);
        match Message::parse_framed(head) {
            Ok(message) => {
                let answer = message.is_request().then(|| Box::new(message));
                bad(answer, code, reason)
            }
            Err(Malformed::Answer { message, .. }) => bad(Some(message), code, reason),
            Err(Malformed::Drop(_)) => bad(None, code, reason),
        }
    }
}

const fn bad(answer: Option<Box<Message>>, code: u16, reason: &'static str) -> Frame {
    Frame::Bad { answer, code, reason }
}

#[cfg(test)]
mod tests;
