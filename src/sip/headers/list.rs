//! Comma lists.

use super::text::{is_blank, quoted_len, trim};

/// The elements of a comma list, trimmed; a comma inside quotes, angle brackets or a comment
/// separates nothing. An element may be empty.
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> List<'a> {
    /// Reads the value of one header field.
    #[must_use]
    pub const fn new(value: &'a [u8]) -> Self {
        Self { rest: Some(value) }
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        trim(self.rest.unwrap_or_default())
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let end = element_len(text);
        self.rest = text.get(end + 1..);
        Some(trim(&text[..end]))
    }
}

/// Where the first element ends: at a comma, or at the end of the text, which is also the end of
/// whatever is opened and never closed.
fn element_len(text: &[u8]) -> usize {
    // Nearly every value is a list of one.
    if memchr::memchr(b',', text).is_none() {
        return text.len();
    }
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let skip = match byte {
            b',' => return at,
            b'"' => quoted_len(&text[at..]),
            b'<' => memchr::memchr(b'>', &text[at..]).map(|end| end + 1),
            // Only after white space: `(` is also a legal character of a URI.
            b'(' if at == 0 || is_blank(text[at - 1]) => comment_len(&text[at..]),
            _ => Some(1),
        };
        match skip {
            Some(len) => at += len,
            None => return text.len(),
        }
    }
    at
}

/// The length of the comment that `text` begins with, nested ones included (RFC 3261 section 25.1).
fn comment_len(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        List::new(text.as_bytes()).map(|part| std::str::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn commas_separate_only_outside_of_quotes_brackets_and_comments() {
        assert_eq!(split("a, b ,c"), ["a", "b", "c"]);
        assert_eq!(
            split(r#""x, \", y" <sip:a,b@h>;p="1,2", <sip:c@h>"#),
            [r#""x, \", y" <sip:a,b@h>;p="1,2""#, "<sip:c@h>"]
        );
        assert_eq!(split("a (one, (two, two)) , b"), ["a (one, (two, two))", "b"]);
        assert_eq!(split("sip:a(b@h, sip:c@h"), ["sip:a(b@h", "sip:c@h"]);
    }

    #[test]
    fn empty_elements_are_shown_and_open_ends_take_the_rest() {
        assert_eq!(split(""), [""]);
        assert_eq!(split(",a,"), ["", "a", ""]);
        assert_eq!(split("a, \"b, c"), ["a", "\"b, c"]);
        assert_eq!(split("a, <b, c"), ["a", "<b, c"]);
    }
}
