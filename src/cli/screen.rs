//! What others wrote, on a terminal.

use chrono::{DateTime, Local, Utc};
use std::fmt::Write as _;

/// Makes text of others harmless: what could move the cursor, change colours, reorder the line or
/// begin a new one is shown as its code instead. A tab stays.
pub(super) fn one_line(text: &[u8]) -> String {
    let mut shown = String::new();
    for c in String::from_utf8_lossy(text).chars() {
        if c != '\t' && (c.is_control() || reorders(c)) {
            // Writing to a String does not fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Makes a body harmless and indents each of its lines, so that none can pass for one of ours. A
/// body that is no text is only counted.
pub(super) fn body(body: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(body) else {
        return format!("  ({} bytes that are no text)\n", body.len());
    };
    text.lines().fold(String::new(), |mut shown, line| {
        let _ = writeln!(shown, "  {}", one_line(line.as_bytes()));
        shown
    })
}

/// Marks of Unicode that change the direction of what follows or separate lines.
const fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A time in the zone of this machine.
pub(super) fn time(unix_us: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_micros(unix_us).unwrap_or_default();
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(one_line(b"\x1b[2Jhi\x07\ttab"), "\\u{1b}[2Jhi\\u{7}\ttab");
        assert_eq!(one_line("a\u{202e}b\u{85}".as_bytes()), "a\\u{202e}b\\u{85}");
        assert_eq!(one_line("grüß dich".as_bytes()), "grüß dich");
    }

    #[test]
    fn a_message_cannot_forge_a_line_of_ours() {
        assert_eq!(body(b"one\r\n2026-01-01 from mallory\n"), "  one\n  2026-01-01 from mallory\n");
        assert_eq!(body(b"one\rtwo"), "  one\\u{d}two\n");
    }

    #[test]
    fn a_body_that_is_no_text_is_counted() {
        assert_eq!(body(&[0xff, 0xfe, 0]), "  (3 bytes that are no text)\n");
    }
}
