//! Passing on messages of others.

use super::reply::put_top_via;
use super::text::{put_line, put_number, put_received};
use crate::sip::codec::{Field, Message, Name};
use crate::sip::headers::List;
use bytes::{BufMut, Bytes, BytesMut};

/// What is changed in a request that is passed on; everything else stays, in its order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edit<'a> {
    /// The new `Max-Forwards`: replaced, or added where there was none.
    pub max_forwards: Option<u8>,
    /// Fields that go, all of that name.
    pub without: &'a [Name],
    /// Lists that lose their first element (`Route`).
    pub without_first: &'a [Name],
    /// Lines that are put in front of all others, in this order.
    pub with: &'a [(&'a str, &'a str)],
}

/// The header lines of a request that is passed on, for [`super::Outgoing`]: all fields in their
/// order and spelling but `Content-Length`, edited. All Via are kept: they go below ours. The
/// topmost gets `received` and `rport` if the request knows its source.
#[must_use]
pub fn forward_lines(request: &Message, edit: &Edit<'_>) -> Bytes {
    let mut out = BytesMut::with_capacity(request.raw().len() - request.body().len() + 128);
    for (name, value) in edit.with {
        put_line(&mut out, name.as_bytes(), value.as_bytes());
    }
    let mut source = request.source();
    let mut hops = edit.max_forwards;
    let mut shortened = Shortened::default();
    for field in request.all_fields() {
        if field.name == Name::ContentLength || edit.without.contains(&field.name) {
            continue;
        }
        if field.name == Name::Via
            && let Some(source) = source.take()
        {
            put_top_via(&mut out, request, field.value, source);
        } else if field.name == Name::MaxForwards && edit.max_forwards.is_some() {
            if let Some(hops) = hops.take() {
                put_hops(&mut out, hops);
            }
        } else if edit.without_first.contains(&field.name) && shortened.is_first(field.name) {
            put_rest(&mut out, field);
        } else {
            put_field(&mut out, field, field.value);
        }
    }
    if let Some(hops) = hops {
        put_hops(&mut out, hops);
    }
    out.freeze()
}

/// A response that is passed on: as it came, without its topmost Via, which was ours.
#[must_use]
pub fn relay_response(response: &Message) -> Bytes {
    let raw = response.raw();
    let body = response.body();
    let mut out = BytesMut::with_capacity(raw.len() + 32);
    out.put_slice(response.start_line());
    out.put_slice(b"\r\n");
    let mut shortened = Shortened::default();
    for field in response.all_fields() {
        match field.name {
            Name::ContentLength => {}
            Name::Via if shortened.is_first(Name::Via) => put_rest(&mut out, field),
            _ => put_field(&mut out, field, field.value),
        }
    }
    out.put_slice(b"Content-Length: ");
    put_number(&mut out, body.len());
    out.put_slice(b"\r\n\r\n");
    out.put_slice(&body);
    out.freeze()
}

/// Remembers which lists have lost their first element.
#[derive(Default)]
struct Shortened(smallvec::SmallVec<[Name; 4]>);

impl Shortened {
    /// True the first time a name is asked for.
    fn is_first(&mut self, name: Name) -> bool {
        let first = !self.0.contains(&name);
        if first {
            self.0.push(name);
        }
        first
    }
}

fn put_hops(out: &mut BytesMut, hops: u8) {
    out.put_slice(b"Max-Forwards: ");
    put_number(out, usize::from(hops));
    out.put_slice(b"\r\n");
}

fn put_field(out: &mut BytesMut, field: Field<'_>, value: &[u8]) {
    put_received(out, field.name_text);
    out.put_slice(b": ");
    put_received(out, value);
    out.put_slice(b"\r\n");
}

/// Writes a field without its first element, and nothing when there is no other.
fn put_rest(out: &mut BytesMut, field: Field<'_>) {
    let mut list = List::new(field.value);
    list.next();
    let rest = list.rest();
    if !rest.is_empty() {
        put_field(out, field, rest);
    }
}
