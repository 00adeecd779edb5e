//! `name-addr` and `addr-spec`: the values of From, To, Contact, Route, Path and the identities.

use super::params::Params;
use super::text::{quoted_len, trim, trim_end, trim_start};

/// `"Bob" <sip:bob@example.com>;tag=1`, or `sip:bob@example.com;tag=1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name as it came, quotes included; empty when there is none.
    pub display: &'a [u8],
    /// The URI without angle brackets; `*` for the Contact that means all bindings.
    pub uri: &'a [u8],
    /// The header parameters; without angle brackets every parameter is one of these
    /// (RFC 3261 section 20).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value (one element of a list). `None` for what must be answered with 400: quotes
    /// or brackets that do not close, broken parameters, a comma, or a `?` in a URI that has no
    /// brackets (RFC 3261 section 20.10).
    ///
    /// A display name without quotes may hold more than the grammar's tokens, for phones send
    /// that, but nothing that would give the value another meaning.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = trim(value);
        if value.first() == Some(&b'"') {
            let (display, rest) = value.split_at(quoted_len(value)?);
            let [b'<', rest @ ..] = trim_start(rest) else { return None };
            return Self::bracketed(display, rest);
        }
        let Some(open) = memchr::memchr(b'<', value) else {
            return Self::bare(value);
        };
        let display = trim_end(&value[..open]);
        let is_plain = |byte: &u8| !matches!(byte, b'"' | b'>' | b',' | b';' | 0..=8 | 10..=31);
        if !display.iter().all(is_plain) {
            // A `<` behind a `;` belongs to a parameter's quoted value.
            return if display.contains(&b';') { Self::bare(value) } else { None };
        }
        Self::bracketed(display, &value[open + 1..])
    }

    /// The `tag` parameter (RFC 3261 section 19.3).
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value(b"tag")
    }

    fn bracketed(display: &'a [u8], rest: &'a [u8]) -> Option<Self> {
        let close = memchr::memchr(b'>', rest)?;
        let uri = trim(&rest[..close]);
        let after = trim_start(&rest[close + 1..]);
        if uri.is_empty() {
            return None;
        }
        if !after.is_empty() && after.first() != Some(&b';') {
            return None;
        }
        Some(Self { display, uri, params: Params::checked(after)? })
    }

    fn bare(value: &'a [u8]) -> Option<Self> {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let (uri, params) = value.split_at(end);
        let uri = trim_end(uri);
        let is_wrong = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'<' | b'>' | b',' | b'?');
        if uri.is_empty() || uri.iter().any(is_wrong) {
            return None;
        }
        Some(Self { display: b"", uri, params: Params::checked(params)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(&str, &str, Option<&str>)> {
        let text_of = |bytes| std::str::from_utf8(bytes).unwrap();
        let address = NameAddr::parse(text.as_bytes())?;
        Some((text_of(address.display), text_of(address.uri), address.tag().map(text_of)))
    }

    #[test]
    fn a_display_name_is_quoted_or_plain_or_not_there() {
        for (text, display) in [
            ("<sip:a@h>;tag=1", ""),
            (" Ann  Archer <sip:a@h> ; tag=1", "Ann  Archer"),
            ("Ann (home) <sip:a@h>;tag=1", "Ann (home)"),
            ("Jürgen<sip:a@h>;tag=1", "Jürgen"),
            (r#""a <b>; \" c"<sip:a@h>;tag=1"#, r#""a <b>; \" c""#),
        ] {
            assert_eq!(read(text), Some((display, "sip:a@h", Some("1"))), "{text}");
        }
    }

    #[test]
    fn without_brackets_every_parameter_is_the_headers() {
        assert_eq!(read("sip:a@h;tag=1"), Some(("", "sip:a@h", Some("1"))));
        assert_eq!(read("<sip:a@h;tag=1>"), Some(("", "sip:a@h;tag=1", None)));
        assert_eq!(read("sip:a@h;x=\"<y>\";tag=1"), Some(("", "sip:a@h", Some("1"))));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for text in [
            "",
            "<>",
            "<sip:a@h",
            "sip:a@h>",
            "\"Ann <sip:a@h>",
            "\"Ann\" sip:a@h",
            "\"A\" b <sip:a@h>",
            "Bell, A <sip:a@h>",
            "a;b <sip:a@h>",
            "<sip:a@h> tag=1",
            "<sip:a@h>;;tag=1",
            "<sip:a@h>;",
            "sip:a@h?x=y",
            "sip:a@h,sip:b@h",
            "sip:a@h x",
            "<sip:a@h>;tag=\"1",
            "a\u{0}b <sip:a@h>",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
