//! Responses of ours.

use super::phrase::phrase;
use super::text::{put_clean, put_headers, put_number, put_received};
use crate::sip::codec::{Message, Name};
use crate::sip::headers::List;
use bytes::{BufMut, Bytes, BytesMut};
use rsip::{Header, Headers, StatusCode};
use std::net::SocketAddr;

/// What we answer: a status and the headers that are not copied from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers besides Via, From, To, Call-ID, CSeq and Content-Length.
    pub headers: Headers,
}

impl Reply {
    /// An answer with the registered reason phrase.
    #[must_use]
    pub fn new(code: u16) -> Self {
        let status = match StatusCode::from(code) {
            // rsip gives this name to 201 and has none for 202.
            StatusCode::Accepted | StatusCode::Other(..) => {
                StatusCode::Other(code, phrase(code).to_owned())
            }
            registered => registered,
        };
        Self { status, headers: Headers::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, header: impl Into<Header>) -> Self {
        self.headers.push(header.into());
        self
    }

    /// The status code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status.code()
    }

    /// The reason phrase, as it will be printed.
    #[must_use]
    pub fn phrase(&self) -> &str {
        match &self.status {
            StatusCode::Other(_, own) if !own.is_empty() => own,
            registered => phrase(registered.code()),
        }
    }
}

/// Prints the answer to `request` (RFC 3261 section 8.2.6): all Via in order, From, To, Call-ID
/// and CSeq as they came. `to_tag` is added to a To that has none; an empty one adds nothing.
///
/// When the request knows its source ([`Message::set_source`]), `received` and `rport` of the
/// topmost Via are written.
#[must_use]
pub fn print_response(request: &Message, reply: &Reply, to_tag: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(request.raw().len().min(4_096) + 256);
    out.put_slice(b"SIP/2.0 ");
    put_number(&mut out, usize::from(reply.code()));
    out.put_u8(b' ');
    put_clean(&mut out, reply.phrase().as_bytes());
    out.put_slice(b"\r\n");
    put_vias(&mut out, request);
    put_field(&mut out, request, Name::From);
    put_to(&mut out, request, to_tag);
    put_field(&mut out, request, Name::CallId);
    put_field(&mut out, request, Name::CSeq);
    put_headers(&mut out, &reply.headers);
    out.put_slice(b"Content-Length: 0\r\n\r\n");
    out.freeze()
}

fn put_field(out: &mut BytesMut, request: &Message, name: Name) {
    if let Some(value) = request.field(name) {
        put_named(out, name, value);
    }
}

fn put_named(out: &mut BytesMut, name: Name, value: &[u8]) {
    out.put_slice(name.text().as_bytes());
    out.put_slice(b": ");
    put_received(out, value);
    out.put_slice(b"\r\n");
}

fn put_to(out: &mut BytesMut, request: &Message, tag: &str) {
    let Some(value) = request.field(Name::To) else { return };
    out.put_slice(b"To: ");
    put_received(out, value);
    if request.to_tag().is_none() && !tag.is_empty() {
        out.put_slice(b";tag=");
        put_clean(out, tag.as_bytes());
    }
    out.put_slice(b"\r\n");
}

/// Writes every Via; the topmost with what is known of the request's source.
pub(super) fn put_vias(out: &mut BytesMut, request: &Message) {
    let mut source = request.source();
    for value in request.fields(Name::Via) {
        match source.take() {
            None => put_named(out, Name::Via, value),
            Some(source) => put_top_via(out, request, value, source),
        }
    }
}

/// Writes the field that begins with the topmost Via (RFC 3261 section 18.2.1: `received` when
/// sent-by is not the source address; RFC 3581 section 4: `rport` when asked for, and then
/// always `received`).
pub(super) fn put_top_via(out: &mut BytesMut, request: &Message, value: &[u8], source: SocketAddr) {
    let via = request.top_via();
    let asked = via.rport.is_some();
    let first = List::new(value).next().unwrap_or_default();
    let params = via.params.as_bytes();
    let sent = &first[..first.len() - params.len().min(first.len())];
    out.put_slice(b"Via: ");
    put_received(out, sent.trim_ascii_end());
    for (name, value) in via.params.raw() {
        if name.eq_ignore_ascii_case(b"received") || (asked && name.eq_ignore_ascii_case(b"rport"))
        {
            continue;
        }
        out.put_u8(b';');
        put_received(out, name);
        if let Some(value) = value {
            out.put_u8(b'=');
            put_received(out, value);
        }
    }
    if asked {
        out.put_slice(b";rport=");
        put_number(out, usize::from(source.port()));
    }
    let ip = source.ip().to_canonical();
    if asked || via.ip() != Some(ip) {
        out.put_slice(format!(";received={ip}").as_bytes());
    }
    let below = &value[(first.as_ptr() as usize - value.as_ptr() as usize) + first.len()..];
    put_received(out, below);
    out.put_slice(b"\r\n");
}
