//! CSeq: a number and a method.

use super::text::{is_blank, is_token, number, trim, trim_start};

/// Reads `4711 MESSAGE`. `None` when the number is not one, is above 2^32-1, or no method follows.
#[must_use]
pub fn parse(value: &[u8]) -> Option<(u32, &[u8])> {
    let value = trim(value);
    let end = value.iter().position(|&byte| is_blank(byte))?;
    let (digits, method) = value.split_at(end);
    let method = trim_start(method);
    let serial = u32::try_from(number(digits)?).ok()?;
    is_token(method).then_some((serial, method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_fits_32_bits() {
        assert_eq!(parse(b"0009 \t MESSAGE"), Some((9, &b"MESSAGE"[..])));
        assert_eq!(parse(b"4294967295 X"), Some((u32::MAX, &b"X"[..])));
        for bad in [&b"4294967296 X"[..], b"-1 X", b"1", b"X", b"1 ", b"1 X Y", b"1X", b""] {
            assert_eq!(parse(bad), None, "{}", bad.escape_ascii());
        }
    }
}
