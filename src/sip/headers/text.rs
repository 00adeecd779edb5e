//! The small words of the grammar: tokens, white space, numbers, quotes.

use std::borrow::Cow;

/// True for SP and HT, the white space inside a line.
#[must_use]
pub const fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// A set of bytes, one look-up each: the parsers ask for every byte of a message.
pub(crate) type Set = [bool; 256];

/// The letters, the digits and `others`.
pub(crate) const fn alphanumeric_and(others: &[u8]) -> Set {
    let mut set = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        set[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        set[others[at] as usize] = true;
        at += 1;
    }
    set
}

/// True when every byte of `text` is in the set.
pub(crate) fn is_all(text: &[u8], set: &Set) -> bool {
    text.iter().all(|&byte| set[usize::from(byte)])
}

static TOKEN: Set = alphanumeric_and(b"-.!%*_+`'~");

/// True for a `token` (RFC 3261 section 25.1): one or more of its characters and nothing else.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && is_all(text, &TOKEN)
}

/// Removes white space at both ends; line ends count, for they are white space once folded.
#[must_use]
pub const fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// Removes white space in front.
#[must_use]
pub const fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

/// Removes white space at the end.
#[must_use]
pub const fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Reads one or more decimal digits and nothing else; `None` also when the number is above `u64`.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    Some(value)
}

/// Splits at the first `byte`, which belongs to neither side.
#[must_use]
pub fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The length of the quoted string that `text` begins with, both quotes counted; `None` when it
/// does not end. A backslash takes the next byte along, whatever it is (`quoted-pair`).
#[must_use]
pub fn quoted_len(text: &[u8]) -> Option<usize> {
    debug_assert_eq!(text.first(), Some(&b'"'));
    let mut at = 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..)?) {
        at += found;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
    None
}

/// Takes the quotes and the backslashes off; text without quotes comes back as it is.
#[must_use]
pub fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = text else {
        return Cow::Borrowed(text);
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        let byte = if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte };
        plain.push(byte);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_only_and_never_wraps() {
        assert_eq!(number(b"0000000000000000000000000000042"), Some(42));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"-1", b"+1", b" 1", b"1.0", b"18446744073709551616"] {
            assert_eq!(number(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_quoted_string_ends_at_the_first_quote_that_is_not_escaped() {
        assert_eq!(quoted_len(br#""a" b"#), Some(3));
        assert_eq!(quoted_len(br#""a\"b"c"#), Some(6));
        assert_eq!(quoted_len(br#""a\\"c"#), Some(5));
        assert_eq!(quoted_len(br#""a"#), None);
        assert_eq!(quoted_len(br#""a\"#), None);
    }

    #[test]
    fn unquoting_keeps_what_a_backslash_protects() {
        assert_eq!(&*unquote(br#""a\"b\\c""#), br#"a"b\c"#);
        assert_eq!(&*unquote(b"\"NUL:\\\0\""), b"NUL:\0");
        assert_eq!(&*unquote(b"plain"), b"plain");
    }
}
