//! What must hold for any input whatever: the bodies of the fuzz targets under `fuzz/`, which the
//! test suite runs over the corpus and over random input as well.

use super::build::{Edit, Outgoing, Reply, forward_lines, print_request, print_response};
use super::codec::{Frame, Framer, Malformed, Message, Name};
use super::uri::Uri;
use bytes::Bytes;
use std::net::SocketAddr;

/// Reads a datagram; what was read must survive being answered and being passed on.
///
/// # Panics
///
/// When it does not.
pub fn datagram(data: &[u8]) {
    match Message::parse_datagram(Bytes::copy_from_slice(data)) {
        Ok(message) => {
            touch(&message);
            if message.is_request() {
                is_answered(&message);
                is_passed_on(&message);
            }
        }
        Err(Malformed::Answer { code, message, .. }) => {
            touch(&message);
            assert!(matches!(code, 400 | 501 | 505 | 513), "unexpected code {code}");
            let answer = print_response(&message, &Reply::new(code), "t");
            assert!(answer.starts_with(b"SIP/2.0 "), "an answer is a response");
        }
        Err(Malformed::Drop(_)) => {}
    }
}

/// Cuts a stream up; how it was cut by the network must not matter. The first byte chooses the
/// length of the pieces.
///
/// # Panics
///
/// When it does.
pub fn stream(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let whole = frames(data, data.len().max(1));
    let pieces = frames(data, usize::from(first).max(1));
    assert_eq!(whole, pieces, "the pieces of a stream change what is read");
}

/// Reads a URI; its address of record must be a fixed point and it must equal itself.
///
/// # Panics
///
/// When it is not, or does not.
pub fn uri(data: &[u8]) {
    let Some(uri) = Uri::parse(data) else { return };
    assert!(uri.equals(&uri), "a URI equals itself");
    let _ = uri.next_hop();
    let Some(aor) = uri.aor() else { return };
    let text = format!("sip:{}", aor.as_str().trim_start_matches('@'));
    let again = Uri::parse(text.as_bytes()).expect("an address of record is a URI");
    assert_eq!(again.aor(), Some(aor), "canonical text is its own canonical text");
}

/// Asks a message for everything it can tell.
fn touch(message: &Message) {
    let _ = (message.top_via().ip(), message.top_via().received_ip(), message.cseq());
    let _ = (message.from().tag(), message.to().params.iter().count(), message.body());
    for field in message.all_fields() {
        let _ = (message.list(field.name).count(), message.other(field.name_text));
        assert!(!field.value.contains(&b'\n'), "a value is one line");
    }
    let _ = format!("{message:?}");
}

fn is_answered(request: &Message) {
    let mut request = request.clone();
    request.set_source(SocketAddr::from(([192, 0, 2, 1], 5099)));
    let answer = print_response(&request, &Reply::new(202), "ours");
    let Ok(answer) = Message::parse_datagram(answer) else {
        // An answer repeats every Via; it can be too large when the request nearly was.
        assert!(request.raw().len() > 16_000, "our own answer cannot be read");
        return;
    };
    assert_eq!(answer.code(), 202);
    assert_eq!(answer.call_id(), request.call_id());
    assert_eq!(answer.cseq(), request.cseq());
    assert_eq!(answer.from_tag(), request.from_tag());
    assert_eq!(answer.to_tag(), request.to_tag().or(Some(b"ours")));
    assert_eq!(answer.top_via().branch, request.top_via().branch);
    assert_eq!(answer.fields(Name::Via).count(), request.fields(Name::Via).count());
}

fn is_passed_on(request: &Message) {
    let sent = Outgoing {
        method: Bytes::copy_from_slice(request.method()),
        uri: Bytes::copy_from_slice(request.request_uri()),
        lines: forward_lines(request, &Edit::default()),
        body: request.body(),
        via_params: Bytes::new(),
    };
    let bytes = print_request(&sent, "SIP/2.0/UDP silo.example.com;branch=z9hG4bKours");
    let Ok(passed) = Message::parse_datagram(bytes) else {
        let many = request.all_fields().count() > 250;
        assert!(many || request.raw().len() > 16_000, "our own request cannot be read");
        return;
    };
    assert_eq!(passed.top_via().branch, Some(&b"z9hG4bKours"[..]));
    assert_eq!(passed.request_uri(), request.request_uri());
    assert_eq!(passed.body(), request.body());
    let others = |message: &Message, skip: usize| -> Vec<(Vec<u8>, Vec<u8>)> {
        let fields = message.all_fields().skip(skip);
        let fields = fields.filter(|field| field.name != Name::ContentLength);
        fields.map(|field| (field.name_text.to_vec(), field.value.to_vec())).collect()
    };
    assert_eq!(others(&passed, 1), others(request, 0), "headers are passed on in order");
}

/// What comes out of a stream that comes in pieces of that length.
fn frames(data: &[u8], piece: usize) -> Vec<String> {
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    for piece in data.chunks(piece) {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            seen.push(match frame {
                Frame::Message(bytes) => {
                    let _ = Message::parse_framed(bytes.clone());
                    format!("message {}", bytes.escape_ascii())
                }
                Frame::Ping => "ping".to_owned(),
                Frame::Bad { code, .. } => format!("bad {code}"),
            });
        }
    }
    seen
}
