//! What comes, and what is answered.

use bytes::Bytes;
use std::sync::Arc;

use super::{ClientResult, ClientToken, Effect, Endpoint, ServerKey, via};
use crate::sip::build::{Reply, print_response};
use crate::sip::codec::{Malformed, Message};
use crate::sip::transaction::client::Match;
use crate::sip::transaction::server::{Arrival, ReplyPath};
use crate::vocab::{Now, Packet, Path, Transport};

/// The methods a CANCEL may be about. It names none itself (RFC 3261 section 9.1).
const CANCELLED: [&[u8]; 12] = [
    b"MESSAGE",
    b"INVITE",
    b"REGISTER",
    b"OPTIONS",
    b"SUBSCRIBE",
    b"NOTIFY",
    b"PUBLISH",
    b"INFO",
    b"REFER",
    b"UPDATE",
    b"PRACK",
    b"BYE",
];

impl Endpoint {
    /// Takes in a datagram, or a message cut from a stream.
    pub fn receive(&mut self, packet: Packet, now: Now, out: &mut Vec<Effect>) {
        let Packet { bytes, path } = packet;
        let read = match path.transport {
            Transport::Udp => Message::parse_datagram(bytes),
            Transport::Tcp => Message::parse_framed(bytes),
        };
        match read {
            Ok(message) if message.is_request() => self.request(message, path, now, out),
            Ok(message) => self.response(message, path, out),
            Err(Malformed::Drop(reason)) => self.malformed(reason, path, out),
            Err(Malformed::Answer { code, reason, message }) => {
                self.refuse(*message, code, reason, path, out);
            }
        }
    }

    /// Answers a message that cannot be taken, without a transaction: once for each copy, and the
    /// same each time. A response and an ACK get no answer.
    pub fn refuse(
        &mut self,
        mut message: Message,
        code: u16,
        reason: &'static str,
        path: Path,
        out: &mut Vec<Effect>,
    ) {
        self.malformed(reason, path, out);
        if !message.is_request() || message.method() == b"ACK" {
            return;
        }
        let Some(reply) = via::reply_path(&message, path) else { return };
        message.set_source(path.remote);
        let tag = self.keys.stateless_tag(message.raw());
        let bytes = print_response(&message, &Reply::new(code), tag.as_str());
        out.push(Effect::Transmit { path: reply.path, bytes, tag: None });
    }

    /// Answers a request. Provisional responses and 408 are kept back (RFC 4320); a transaction
    /// that has its answer, or is gone, takes no other.
    pub fn respond(&mut self, key: ServerKey, reply: &Reply, now: Now, out: &mut Vec<Effect>) {
        let Some(request) = self.servers.request(key) else {
            self.counts.late_responses += 1;
            return;
        };
        let bytes = print_response(request, reply, self.keys.tag(key).as_str());
        self.respond_raw(key, bytes, now, out);
    }

    /// Answers a request with a response that is already printed: another server's, without our
    /// own Via. The rules of [`Endpoint::respond`] hold.
    pub fn respond_raw(
        &mut self,
        key: ServerKey,
        response: Bytes,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        let Some(request) = self.servers.request(key) else {
            self.counts.late_responses += 1;
            return;
        };
        // "SIP/2.0 " and the code: what is printed by us, or was read by us, begins with it.
        let code = response.get(8..11).unwrap_or_default();
        let is_final = matches!(code, [b'2'..=b'6', _, _]);
        if !is_final || (code == b"408" && request.method() != b"INVITE") {
            self.counts.withheld += 1;
            return;
        }
        if let Some(path) = self.servers.finish(key, &response, now.mono_us) {
            out.push(Effect::Transmit { path, bytes: response, tag: None });
        }
    }

    fn malformed(&mut self, reason: &'static str, path: Path, out: &mut Vec<Effect>) {
        self.counts.malformed += 1;
        out.push(Effect::Malformed { reason, path });
    }

    fn request(&mut self, mut message: Message, path: Path, now: Now, out: &mut Vec<Effect>) {
        if message.method() == b"ACK" {
            self.counts.acks += 1;
            return;
        }
        let Some(reply) = via::reply_path(&message, path) else {
            self.malformed("a Via by which nobody may be answered", path, out);
            return;
        };
        message.set_source(path.remote);
        if message.method() == b"CANCEL" {
            self.cancel_request(&message, reply, now, out);
            return;
        }
        let key = self.keys.key(self.keys.stem(&message), message.method());
        let message = Arc::new(message);
        match self.servers.arrive(key, &message, reply, now.mono_us) {
            Arrival::New => {
                self.counts.requests += 1;
                out.push(Effect::Request { key, message, path });
            }
            Arrival::Absorbed => self.counts.absorbed += 1,
            Arrival::Replay(path, bytes) => {
                self.counts.replayed += 1;
                out.push(Effect::Transmit { path, bytes, tag: None });
            }
            Arrival::Full => {
                // Without Retry-After: a client must not leave the server for good because it is
                // busy just now (RFC 7339 section 5.10.2).
                self.counts.refused_full += 1;
                self.answer_statelessly(&message, reply, 503, key, out);
            }
        }
    }

    /// RFC 3261 section 9.2: a CANCEL of anything but an INVITE has no effect, and an INVITE is
    /// refused before a CANCEL can come.
    fn cancel_request(
        &mut self,
        message: &Message,
        reply: ReplyPath,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.counts.cancels += 1;
        let stem = self.keys.stem(message);
        let mut keys = CANCELLED.iter().map(|method| self.keys.key(stem, method));
        match keys.find(|&key| self.servers.knows(key, now.mono_us)) {
            Some(key) => self.answer_statelessly(message, reply, 200, key, out),
            None => {
                let own = self.keys.key(stem, b"CANCEL");
                self.answer_statelessly(message, reply, 481, own, out);
            }
        }
    }

    fn answer_statelessly(
        &self,
        request: &Message,
        reply: ReplyPath,
        code: u16,
        key: ServerKey,
        out: &mut Vec<Effect>,
    ) {
        let tag = self.keys.tag(key);
        let bytes = print_response(request, &Reply::new(code), tag.as_str());
        out.push(Effect::Transmit { path: reply.path, bytes, tag: None });
    }

    fn response(&mut self, message: Message, path: Path, out: &mut Vec<Effect>) {
        let Some((worker, serial)) = message.top_via().branch.and_then(via::read_branch) else {
            self.counts.unmatched_responses += 1;
            return;
        };
        if worker != self.settings.worker {
            self.counts.misdirected += 1;
            let packet = Packet { bytes: message.raw().clone(), path };
            out.push(Effect::Misdirected { worker, packet });
            return;
        }
        let matched = self.clients.answered(serial, message.code(), |call| {
            call.method == message.method()
                && via::is_sent_by(&message, call.sent_by, call.path.transport)
        });
        match matched {
            Match::Nothing => self.counts.unmatched_responses += 1,
            Match::Provisional => {}
            Match::Final(token) => {
                self.counts.client_answers += 1;
                let result = ClientResult::Final(Arc::new(message));
                out.push(Effect::Outcome { token: ClientToken(token), result });
            }
        }
    }
}
