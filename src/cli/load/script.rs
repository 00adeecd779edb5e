//! The requests of a run: written once, then only the digits that vary are patched.

use super::Options;
use std::net::SocketAddr;

/// A body that holds the name of its message.
pub(super) const BODY_MIN: usize = 40;
/// What a body begins with.
const MARK: &[u8] = b"load ";

/// A request with places for digits.
#[derive(Clone)]
struct Template {
    bytes: Vec<u8>,
    places: Vec<(usize, Place)>,
}

#[derive(Clone, Copy)]
enum Place {
    User,
    Number,
    Transaction,
    CSeq,
}

/// The digits of one request.
#[derive(Clone, Copy, Default)]
pub(super) struct Digits {
    pub(super) user: u32,
    pub(super) number: u32,
    pub(super) transaction: u32,
    pub(super) cseq: u32,
}

const WIDTH: usize = 10;

impl Template {
    /// `{u}`, `{n}`, `{t}` and `{c}` become ten digits each.
    fn new(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 64);
        let mut places = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            let place = match &rest[at..at + 3] {
                "{u}" => Place::User,
                "{n}" => Place::Number,
                "{t}" => Place::Transaction,
                _ => Place::CSeq,
            };
            places.push((bytes.len(), place));
            bytes.extend_from_slice(&[b'0'; WIDTH]);
            rest = &rest[at + 3..];
        }
        bytes.extend_from_slice(rest.as_bytes());
        Self { bytes, places }
    }

    fn fill(&self, digits: Digits) -> Vec<u8> {
        let mut out = self.bytes.clone();
        for &(at, place) in &self.places {
            let mut value = match place {
                Place::User => digits.user,
                Place::Number => digits.number,
                Place::Transaction => digits.transaction,
                Place::CSeq => digits.cseq,
            };
            for byte in out[at..at + WIDTH].iter_mut().rev() {
                *byte = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        out
    }
}

/// All requests of a run.
#[derive(Clone)]
pub(super) struct Script {
    message: Template,
    register: Template,
    unregister: Template,
}

impl Script {
    pub(super) fn new(options: &Options, contact: SocketAddr, run: u32) -> Self {
        let domain = &options.domain;
        let filler: String =
            "all work and no play makes a dull load ".chars().cycle().take(options.body).collect();
        let name = format!("load {run:010} {{u}} {{n}} ");
        // The braces of the two places stand for ten digits each.
        let body = format!("{name}{}", &filler[..options.body - BODY_MIN + 2]);
        let length = body.len() - 6 + 2 * WIDTH;
        let head = |method: &str, uri: &str, from: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {contact};rport;branch=z9hG4bKload{run:010}x{{t}}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{from}{{u}}@{domain}>;tag=f{{t}}\r\n\
                 To: <sip:u{{u}}@{domain}>\r\n"
            )
        };
        let message = format!(
            "{}Call-ID: m{run:010}x{{t}}\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            head("MESSAGE", &format!("sip:u{{u}}@{domain}"), "s")
        );
        let register = |expires: u32| {
            format!(
                "{}Call-ID: r{run:010}u{{u}}\r\nCSeq: {{c}} REGISTER\r\n\
                 Contact: <sip:u{{u}}@{contact}>;expires={expires}\r\nContent-Length: 0\r\n\r\n",
                head("REGISTER", &format!("sip:{domain}"), "u")
            )
        };
        Self {
            message: Template::new(&message),
            register: Template::new(&register(3_600)),
            unregister: Template::new(&register(0)),
        }
    }

    pub(super) fn message(&self, digits: Digits) -> Vec<u8> {
        self.message.fill(digits)
    }

    pub(super) fn register(&self, digits: Digits) -> Vec<u8> {
        self.register.fill(digits)
    }

    pub(super) fn unregister(&self, digits: Digits) -> Vec<u8> {
        self.unregister.fill(digits)
    }
}

/// The status code and the transaction of a response to this run.
pub(super) fn response(bytes: &[u8], run: u32) -> Option<(u16, u32)> {
    let code = bytes.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    let branch = memchr::memmem::find(bytes, b"z9hG4bKload")? + 11;
    let ours = number(bytes.get(branch..branch + WIDTH)?)? == u64::from(run);
    let transaction = number(bytes.get(branch + WIDTH + 1..branch + 2 * WIDTH + 1)?)?;
    let code = u16::try_from(number(code)?).ok()?;
    ours.then_some((code, u32::try_from(transaction).ok()?))
}

/// The user and the number that the body of a MESSAGE of this run names.
pub(super) fn named(bytes: &[u8], run: u32) -> Option<(u32, u32)> {
    let body = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let at = body + memchr::memmem::find(&bytes[body..], MARK)? + MARK.len();
    let field = |n: usize| number(bytes.get(at + n * 11..at + n * 11 + WIDTH)?);
    if field(0)? != u64::from(run) {
        return None;
    }
    Some((u32::try_from(field(1)?).ok()?, u32::try_from(field(2)?).ok()?))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// A 200 to a MESSAGE, and what tells its transaction from others; `None` for anything else.
pub(super) fn accept(bytes: &[u8]) -> Option<(Vec<u8>, u64)> {
    if !bytes.starts_with(b"MESSAGE ") {
        return None;
    }
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let mut out = Vec::with_capacity(end + 64);
    out.extend_from_slice(b"SIP/2.0 200 OK\r\n");
    let mut key = None;
    for line in bytes[..end].split(|&b| b == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is =
            |name: &[u8]| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name);
        if is(b"via:") {
            key.get_or_insert_with(|| hash(line));
        } else if !(is(b"from:") || is(b"to:") || is(b"call-id:") || is(b"cseq:")) {
            continue;
        }
        out.extend_from_slice(line);
        if is(b"to:") && memchr::memmem::find(line, b";tag=").is_none() {
            out.extend_from_slice(b";tag=load");
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    Some((out, key?))
}

fn hash(bytes: &[u8]) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::load::Job;

    fn script(body: usize) -> Script {
        let options = Options {
            job: Job::Store,
            target: SocketAddr::from(([127, 0, 0, 1], 5060)),
            domain: "example.com".into(),
            rate: 1.0,
            seconds: 1.0,
            users: None,
            first_user: 0,
            each: 1,
            body,
            window: 1,
            loss: 0.0,
            malformed: 0.0,
            seed: 1,
            plain: true,
        };
        Script::new(&options, SocketAddr::from(([127, 0, 0, 1], 6000)), 77)
    }

    #[test]
    fn a_message_has_the_body_that_was_asked_for_and_names_itself() {
        for body in [40, 100, 1_000] {
            let digits = Digits { user: 12, number: 34, transaction: 56, cseq: 0 };
            let bytes = script(body).message(digits);
            let end = memchr::memmem::find(&bytes, b"\r\n\r\n").unwrap() + 4;
            assert_eq!(bytes.len() - end, body);
            assert!(
                memchr::memmem::find(&bytes, format!("Content-Length: {body}\r\n").as_bytes())
                    .is_some()
            );
            assert_eq!(named(&bytes, 77), Some((12, 34)));
            assert_eq!(named(&bytes, 78), None);
        }
    }

    #[test]
    fn a_response_is_known_by_its_branch() {
        let bytes = script(100).register(Digits { transaction: 9, ..Digits::default() });
        let via = std::str::from_utf8(&bytes).unwrap().lines().nth(1).unwrap();
        let answer = format!("SIP/2.0 200 OK\r\n{via}\r\n\r\n");
        assert_eq!(response(answer.as_bytes(), 77), Some((200, 9)));
        assert_eq!(response(answer.as_bytes(), 76), None);
    }

    #[test]
    fn a_retransmission_is_known_and_another_transaction_is_not() {
        let one = script(100).message(Digits { transaction: 1, ..Digits::default() });
        let two = script(100).message(Digits { transaction: 2, ..Digits::default() });
        assert_eq!(accept(&one).unwrap().1, accept(&one).unwrap().1);
        assert_ne!(accept(&one).unwrap().1, accept(&two).unwrap().1);
    }
}
