//! 200 and the refusals.

use super::binding::Binding;
use crate::sip::build::Reply;
use chrono::DateTime;
use rsip::headers::UntypedHeader as _;
use rsip::{Header, headers};

/// Why a REGISTER is turned down. It then has no effect at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400.
    Bad(&'static str),
    /// 403: the user would have more bindings than allowed.
    TooManyContacts,
    /// 420 for `path`.
    PathUnsupported,
    /// 423.
    TooBrief {
        /// The shortest time that would be granted.
        min_s: u32,
    },
}

impl Refusal {
    /// The response. Never a 6xx (RFC 3261 section 10.3).
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Bad(why) => Reply::new(400).with(warning(why)),
            Self::TooManyContacts => Reply::new(403).with(warning("too many contacts")),
            Self::PathUnsupported => {
                Reply::new(420).with(Header::Unsupported(headers::Unsupported::new("path")))
            }
            Self::TooBrief { min_s } => Reply::new(423)
                .with(Header::MinExpires(headers::MinExpires::new(min_s.to_string()))),
        }
    }
}

/// A line that tells the person at the client what was wrong (RFC 3261 section 20.43).
fn warning(why: &str) -> Header {
    Header::Warning(headers::Warning::new(format!("399 sipsilo \"{why}\"")))
}

/// The 200: all live bindings, best first, and the date.
pub(super) fn ok(live: &[&Binding], paths: Option<&str>, date: &str, unix_us: i64) -> Reply {
    let mut reply = Reply::new(200);
    for binding in live {
        let value = binding.contact_value(unix_us);
        reply = reply.with(Header::Contact(headers::Contact::new(value)));
    }
    for path in paths.unwrap_or_default().lines() {
        reply = reply.with(Header::Other("Path".into(), path.into()));
    }
    reply.with(Header::Date(headers::Date::new(date)))
}

/// `Date` is the same for a whole second: written once.
#[derive(Debug, Default)]
pub(super) struct DateLine {
    text: String,
    unix_s: i64,
}

impl DateLine {
    /// The value of `Date` at `unix_s` (RFC 3261 section 20.17).
    pub(super) fn at(&mut self, unix_s: i64) -> &str {
        if self.unix_s != unix_s || self.text.is_empty() {
            let date = DateTime::from_timestamp(unix_s, 0).unwrap_or_default();
            self.text = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            self.unix_s = unix_s;
        }
        &self.text
    }

    /// Bytes of the text.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        self.text.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_written_as_the_rfc_wants_it() {
        let mut line = DateLine::default();
        assert_eq!(line.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(line.at(1_289_688_541), "Sat, 13 Nov 2010 22:49:01 GMT");
        assert_eq!(line.at(1_289_688_541), "Sat, 13 Nov 2010 22:49:01 GMT");
    }
}
