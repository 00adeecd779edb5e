//! Requests of ours.

use super::text::{put_clean, put_headers, put_number};
use bytes::{BufMut, Bytes, BytesMut};
use rsip::{Headers, Method};

/// A request that only lacks the Via of the transaction that will carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The method.
    pub method: Bytes,
    /// The Request-URI.
    pub uri: Bytes,
    /// The header lines, each `Name: value` with its CRLF: no Via of ours, no `Content-Length`.
    pub lines: Bytes,
    /// The body.
    pub body: Bytes,
    /// Parameters that our Via gets besides those of the transaction, each with its `;` in front;
    /// empty for none.
    pub via_params: Bytes,
}

impl Outgoing {
    /// Puts a request together. A value cannot begin a header line: CR, LF and NUL in it become
    /// spaces; in the URI they, and what else may not stand in a request line, become escapes.
    #[must_use]
    pub fn new(method: Method, uri: &str, headers: &Headers, body: Bytes) -> Self {
        let mut lines = BytesMut::with_capacity(512);
        put_headers(&mut lines, headers);
        Self {
            method: method_text(method),
            uri: clean_uri(uri),
            lines: lines.freeze(),
            body,
            via_params: Bytes::new(),
        }
    }
}

/// Prints the request with `via` (a whole Via value) and its own Via parameters on top.
#[must_use]
pub fn print_request(out: &Outgoing, via: &str) -> Bytes {
    let room = out.method.len() + out.uri.len() + via.len() + out.lines.len() + out.body.len();
    let mut text = BytesMut::with_capacity(room + 64);
    text.put_slice(&out.method);
    text.put_u8(b' ');
    text.put_slice(&out.uri);
    text.put_slice(b" SIP/2.0\r\nVia: ");
    put_clean(&mut text, via.as_bytes());
    put_clean(&mut text, &out.via_params);
    text.put_slice(b"\r\n");
    text.put_slice(&out.lines);
    text.put_slice(b"Content-Length: ");
    put_number(&mut text, out.body.len());
    text.put_slice(b"\r\n\r\n");
    text.put_slice(&out.body);
    text.freeze()
}

/// The method's name, as it is sent.
const fn method_text(method: Method) -> Bytes {
    Bytes::from_static(match method {
        Method::Ack => b"ACK",
        Method::Bye => b"BYE",
        Method::Cancel => b"CANCEL",
        Method::Info => b"INFO",
        Method::Invite => b"INVITE",
        Method::Message => b"MESSAGE",
        Method::Notify => b"NOTIFY",
        Method::Options => b"OPTIONS",
        Method::PRack => b"PRACK",
        Method::Publish => b"PUBLISH",
        Method::Refer => b"REFER",
        Method::Register => b"REGISTER",
        Method::Subscribe => b"SUBSCRIBE",
        Method::Update => b"UPDATE",
    })
}

fn clean_uri(uri: &str) -> Bytes {
    let is_wrong = |byte: &u8| matches!(byte, 0..=32 | 127 | b'<' | b'>' | b'"');
    if !uri.as_bytes().iter().any(is_wrong) {
        return Bytes::copy_from_slice(uri.as_bytes());
    }
    let mut clean = Vec::with_capacity(uri.len() + 8);
    for byte in uri.bytes() {
        if is_wrong(&byte) {
            clean.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            clean.push(byte);
        }
    }
    clean.into()
}
