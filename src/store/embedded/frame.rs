//! What the log says: one frame for each operation.
//!
//! A put is `1, len u32, record`; any other operation is
//! `verb, attempts u16, inc_us i64, mid [16], owner_len u32, owner`.

use super::record::{Record, array};
use crate::vocab::{Aor, Key, MessageId};

const PUT: u8 = 1;
const CHANGE_HEAD: usize = 1 + 2 + 8 + 16 + 4;

/// What can happen to a message that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// It goes.
    Delete,
    /// Its failed deliveries are counted.
    Attempts(u16),
    /// It becomes a dead letter.
    Bury,
    /// It comes back.
    Exhume,
}

impl Verb {
    const fn code(self) -> (u8, u16) {
        match self {
            Self::Delete => (2, 0),
            Self::Attempts(attempts) => (3, attempts),
            Self::Bury => (4, 0),
            Self::Exhume => (5, 0),
        }
    }

    const fn read(code: u8, attempts: u16) -> Option<Self> {
        match code {
            2 => Some(Self::Delete),
            3 => Some(Self::Attempts(attempts)),
            4 => Some(Self::Bury),
            5 => Some(Self::Exhume),
            _ => None,
        }
    }
}

/// One operation read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Put(Record),
    Change { aor: Aor, key: Key, verb: Verb },
}

/// Writes a put.
pub(super) fn push_put(out: &mut Vec<u8>, record: &Record) {
    out.push(PUT);
    push_len(out, record.len());
    out.extend_from_slice(record.bytes());
}

/// Writes any other operation.
pub(super) fn push_change(out: &mut Vec<u8>, aor: &Aor, key: Key, verb: Verb) {
    let (code, attempts) = verb.code();
    out.push(code);
    out.extend_from_slice(&attempts.to_le_bytes());
    out.extend_from_slice(&key.inc_us.to_le_bytes());
    out.extend_from_slice(&key.id.0);
    push_len(out, aor.as_str().len());
    out.extend_from_slice(aor.as_str().as_bytes());
}

fn push_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).expect("no SIP message reaches 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
}

/// Reads the frame at the front of `bytes` and moves behind it; `None` when it makes no sense.
pub(super) fn read(bytes: &mut &[u8]) -> Option<Frame> {
    let code = *bytes.first()?;
    let head = if code == PUT { PUT_HEAD } else { CHANGE_HEAD };
    if bytes.len() < head {
        return None;
    }
    let end = head + u32::from_le_bytes(array(bytes, head - 4)) as usize;
    let tail = bytes.get(head..end)?;
    let frame = if code == PUT {
        Frame::Put(Record::read(tail)?)
    } else {
        let key =
            Key { inc_us: i64::from_le_bytes(array(bytes, 3)), id: MessageId(array(bytes, 11)) };
        let aor = Aor::from_canonical(std::str::from_utf8(tail).ok()?)?;
        Frame::Change { aor, key, verb: Verb::read(code, u16::from_le_bytes(array(bytes, 1)))? }
    };
    *bytes = &bytes[end..];
    Some(frame)
}

/// Bytes of a put in front of its record.
pub(super) const PUT_HEAD: usize = 5;

/// The records of the puts in `frames`, with where they stand when `frames` stands at `from`.
pub(super) fn put_records(frames: &[u8], from: usize) -> Vec<(usize, Record)> {
    let mut found = Vec::new();
    let mut rest = frames;
    loop {
        let at = from + frames.len() - rest.len() + PUT_HEAD;
        match read(&mut rest) {
            Some(Frame::Put(record)) => found.push((at, record)),
            Some(Frame::Change { .. }) => {}
            None => return found,
        }
    }
}

/// The records that stand back to back in `bytes`, likewise.
pub(super) fn records(bytes: &[u8], from: usize) -> Vec<(usize, Record)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(record) = bytes.get(at..).and_then(Record::read_first) {
        let len = record.len();
        found.push((from + at, record));
        at += len;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_comes_back() {
        let aor = Aor::from_parts("bob", "example.com");
        let key = Key { inc_us: 77, id: MessageId([3; 16]) };
        let mut out = Vec::new();
        let verbs = [Verb::Delete, Verb::Attempts(9), Verb::Bury, Verb::Exhume];
        for verb in verbs {
            push_change(&mut out, &aor, key, verb);
        }
        let mut rest = out.as_slice();
        for verb in verbs {
            assert_eq!(read(&mut rest), Some(Frame::Change { aor: aor.clone(), key, verb }));
        }
        assert_eq!(read(&mut rest), None);
    }
}
