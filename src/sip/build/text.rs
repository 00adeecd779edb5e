//! Writing text that came from somewhere else.

use crate::sip::headers::text::is_token;
use bytes::{BufMut, BytesMut};
use rsip::Headers;
use std::fmt::Write;

/// Writes a value of ours or of a user's; what could end a line or a string becomes a space.
pub(super) fn put_clean(out: &mut BytesMut, value: &[u8]) {
    put_replacing(out, value, memchr::memchr3(b'\r', b'\n', 0, value));
}

/// Writes a value as it was received. NUL may stand in a quoted pair; line ends may not stand in
/// it, but a request is answered even if they did.
pub(super) fn put_received(out: &mut BytesMut, value: &[u8]) {
    put_replacing(out, value, memchr::memchr2(b'\r', b'\n', value));
}

fn put_replacing(out: &mut BytesMut, value: &[u8], first: Option<usize>) {
    let Some(first) = first else {
        out.put_slice(value);
        return;
    };
    let (clean, rest) = value.split_at(first);
    out.put_slice(clean);
    for &byte in rest {
        out.put_u8(if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte });
    }
}

/// Writes the headers as lines. What is no header is left out: a name that is no token, and
/// `Content-Length`, which only the printer knows.
pub(super) fn put_headers(out: &mut BytesMut, headers: &Headers) {
    let mut scratch = String::new();
    for header in headers.iter() {
        scratch.clear();
        // Writing to a string cannot fail.
        let _ = write!(scratch, "{header}");
        let Some((name, value)) = scratch.split_once(':') else { continue };
        if is_token(name.as_bytes()) && !name.eq_ignore_ascii_case("Content-Length") {
            put_line(out, name.as_bytes(), value.trim().as_bytes());
        }
    }
}

/// Writes one header line.
pub(super) fn put_line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    put_clean(out, value);
    out.put_slice(b"\r\n");
}

/// Writes a number in decimal.
pub(super) fn put_number(out: &mut BytesMut, number: usize) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        // Below ten, so it fits.
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}
