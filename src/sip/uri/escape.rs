//! `%HH`.

use crate::sip::headers::text::{Set, alphanumeric_and, is_all};
use smallvec::SmallVec;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// True when every byte may stand in a URI and every `%` has its two digits. Bytes above ASCII are
/// let pass: some phones send UTF-8 as it is.
pub(super) fn is_clean(text: &[u8]) -> bool {
    if !is_all(text, &CLEAN) {
        return false;
    }
    let mut rest = text;
    while let Some(percent) = memchr::memchr(b'%', rest) {
        rest = &rest[percent + 1..];
        if decode(Some(rest)).is_none() {
            return false;
        }
    }
    true
}

/// Reads two hexadecimal digits.
fn decode(text: Option<&[u8]>) -> Option<u8> {
    let [high, low, ..] = text? else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => return None,
    })
}

/// The bytes that `text` means, escapes decoded.
pub(super) fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        if byte == b'%'
            && let Some(byte) = decode(Some(after))
        {
            rest = &after[2..];
            return Some(byte);
        }
        Some(byte)
    })
}

/// Writes a user part so that two spellings of one user are the same bytes, all of them ASCII.
pub(super) fn canonical(user: &[u8], out: &mut SmallVec<[u8; 128]>) {
    if is_all(user, &USER) {
        out.extend_from_slice(user);
        return;
    }
    for byte in decoded(user) {
        if USER[usize::from(byte)] {
            out.push(byte);
        } else {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
        }
    }
}

/// `unreserved` and `user-unreserved` of RFC 3261 section 25.1.
static USER: Set = alphanumeric_and(b"-_.!~*'()&=+$,;?/");

/// All but white space, control characters, quotes and angle brackets.
static CLEAN: Set = {
    let mut set = [true; 256];
    let mut byte = 0_u8;
    while byte <= b' ' {
        set[byte as usize] = false;
        byte += 1;
    }
    set[127] = false;
    set[b'"' as usize] = false;
    set[b'<' as usize] = false;
    set[b'>' as usize] = false;
    set
};
