//! Parameters: `;name`, `;name=value`, `;name="quoted value"`.

use super::text::{is_token, quoted_len, trim, trim_end, trim_start};

/// The parameters of a header value or of a URI, read when asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    /// From the first `;` on; empty when there are none.
    text: &'a [u8],
}

/// One parameter as it stands: the value still has its quotes.
type Raw<'a> = (&'a [u8], Option<&'a [u8]>);

impl<'a> Params<'a> {
    /// Wraps text that is empty or begins with `;`.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self { text }
    }

    /// Wraps header parameters after reading them through. `None` when one is empty (`;;`), is not
    /// named by a token, has no value after its `=`, or has a quote that does not end.
    #[must_use]
    pub fn checked(text: &'a [u8]) -> Option<Self> {
        let text = trim(text);
        let mut rest = text;
        while !rest.is_empty() {
            let (param, after) = next(rest)?;
            if !is_sound(param?) {
                return None;
            }
            rest = after;
        }
        Some(Self { text })
    }

    /// Shows `each` every parameter, as [`Params::iter`] would, and tells what [`Params::checked`]
    /// would say of them: both in one walk.
    pub(super) fn check_each(self, mut each: impl FnMut(&'a [u8], Option<&'a [u8]>)) -> bool {
        let mut sound = true;
        let mut rest = self.text;
        while let Some((param, after)) = next(rest) {
            rest = after;
            sound &= param.is_some_and(is_sound);
            if let Some((name, value)) = param {
                each(name, value.map(inside_quotes));
            }
        }
        sound && rest.is_empty()
    }

    /// The value of the first parameter of that name, in any case: `None` = it is not there,
    /// `Some(None)` = it is there without a value. Quotes around the value are removed.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        self.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first parameter of that name, if it has one.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.get(name).flatten()
    }

    /// All parameters in order, names as they came, quotes around values removed (backslashes in
    /// them stay: see [`super::text::unquote`]). Stops at text that is no parameter.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        self.raw().map(|(name, value)| (name, value.map(inside_quotes)))
    }

    /// As [`Params::iter`], with the quotes.
    pub fn raw(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.text;
        std::iter::from_fn(move || {
            loop {
                let (param, after) = next(rest)?;
                rest = after;
                if param.is_some() {
                    return param;
                }
            }
        })
    }

    /// The text as it came, from the first `;` on.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// True when there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Takes the first parameter off `text`, which begins with `;`. The parameter is `None` when
/// nothing stands between two semicolons; the whole is `None` at the end and at a broken quote.
fn next(text: &[u8]) -> Option<(Option<Raw<'_>>, &[u8])> {
    let [b';', text @ ..] = text else { return None };
    let end = memchr::memchr3(b';', b'=', b'"', text).unwrap_or(text.len());
    if text.get(end) == Some(&b'"') {
        return None;
    }
    let (name, rest) = text.split_at(end);
    let name = trim(name);
    let [b'=', value @ ..] = rest else {
        let param = if name.is_empty() { None } else { Some((name, None)) };
        return Some((param, rest));
    };
    let value = trim_start(value);
    if value.first() == Some(&b'"') {
        let (value, rest) = value.split_at(quoted_len(value)?);
        let rest = trim_start(rest);
        let ends = rest.is_empty() || rest.first() == Some(&b';');
        return ends.then_some((Some((name, Some(value))), rest));
    }
    let end = memchr::memchr2(b';', b'"', value).unwrap_or(value.len());
    let (value, rest) = value.split_at(end);
    if rest.first() == Some(&b'"') {
        return None;
    }
    Some((Some((name, Some(trim_end(value)))), rest))
}

/// True for a parameter named by a token, without a value, with one in quotes, or with text that
/// cannot be more than one value.
fn is_sound((name, value): Raw<'_>) -> bool {
    let is_wrong = |byte: &u8| matches!(byte, 0..=32 | 127 | b'<' | b'>' | b',');
    let is_value = |value: &[u8]| {
        value.first() == Some(&b'"') || (!value.is_empty() && !value.iter().any(is_wrong))
    };
    is_token(name) && value.is_none_or(is_value)
}

fn inside_quotes(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, Option<String>)> {
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Params::new(text.as_bytes()).iter().map(|(n, v)| (own(n), v.map(own))).collect()
    }

    #[test]
    fn parameters_are_found_in_any_case_and_around_white_space() {
        let params = Params::new(b" ;A = 1 ; b;c=\"x;y\\\"z\"".trim_ascii_start());
        assert_eq!(params.get(b"a"), Some(Some(&b"1"[..])));
        assert_eq!(params.get(b"B"), Some(None));
        assert_eq!(params.value(b"c"), Some(&br#"x;y\"z"#[..]));
        assert_eq!(params.get(b"d"), None);
    }

    #[test]
    fn empty_parameters_are_passed_over_but_not_checked_as_good() {
        assert_eq!(all(";;a;;"), [("a".to_owned(), None)]);
        for bad in
            [";;a", ";a;", ";a=", ";=1", ";a=\"1", ";a=\"1\"x", ";a b=1", ";a=b\"c\"", ";a=b c"]
        {
            assert!(Params::checked(bad.as_bytes()).is_none(), "{bad}");
        }
        for good in ["", ";a", ";a=1;b=\"\";c=[::1]:5;+sip.instance=\"<urn:uuid:1>\""] {
            assert!(Params::checked(good.as_bytes()).is_some(), "{good}");
        }
    }
}
