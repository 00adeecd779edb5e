//! Names of header fields.

/// A header field's name, as far as the server has a use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the header of that name")]
pub enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    MaxForwards,
    Contact,
    ContentLength,
    ContentType,
    ContentEncoding,
    ContentDisposition,
    ContentLanguage,
    Expires,
    MinExpires,
    Date,
    Route,
    RecordRoute,
    Path,
    Require,
    ProxyRequire,
    Supported,
    Unsupported,
    Allow,
    Accept,
    Event,
    AllowEvents,
    Subject,
    Priority,
    RetryAfter,
    Warning,
    Authorization,
    ProxyAuthorization,
    WwwAuthenticate,
    ProxyAuthenticate,
    UserAgent,
    Server,
    PAssertedIdentity,
    PPreferredIdentity,
    Privacy,
    /// Any other; its text is in [`super::Field::name_text`].
    Other,
}

/// Each name with its registered spelling and its compact form (0 = none).
const NAMES: [(Name, &str, u8); 39] = [
    (Name::Via, "Via", b'v'),
    (Name::From, "From", b'f'),
    (Name::To, "To", b't'),
    (Name::CallId, "Call-ID", b'i'),
    (Name::CSeq, "CSeq", 0),
    (Name::MaxForwards, "Max-Forwards", 0),
    (Name::Contact, "Contact", b'm'),
    (Name::ContentLength, "Content-Length", b'l'),
    (Name::ContentType, "Content-Type", b'c'),
    (Name::ContentEncoding, "Content-Encoding", b'e'),
    (Name::ContentDisposition, "Content-Disposition", 0),
    (Name::ContentLanguage, "Content-Language", 0),
    (Name::Expires, "Expires", 0),
    (Name::MinExpires, "Min-Expires", 0),
    (Name::Date, "Date", 0),
    (Name::Route, "Route", 0),
    (Name::RecordRoute, "Record-Route", 0),
    (Name::Path, "Path", 0),
    (Name::Require, "Require", 0),
    (Name::ProxyRequire, "Proxy-Require", 0),
    (Name::Supported, "Supported", b'k'),
    (Name::Unsupported, "Unsupported", 0),
    (Name::Allow, "Allow", 0),
    (Name::Accept, "Accept", 0),
    (Name::Event, "Event", b'o'),
    (Name::AllowEvents, "Allow-Events", b'u'),
    (Name::Subject, "Subject", b's'),
    (Name::Priority, "Priority", 0),
    (Name::RetryAfter, "Retry-After", 0),
    (Name::Warning, "Warning", 0),
    (Name::Authorization, "Authorization", 0),
    (Name::ProxyAuthorization, "Proxy-Authorization", 0),
    (Name::WwwAuthenticate, "WWW-Authenticate", 0),
    (Name::ProxyAuthenticate, "Proxy-Authenticate", 0),
    (Name::UserAgent, "User-Agent", 0),
    (Name::Server, "Server", 0),
    (Name::PAssertedIdentity, "P-Asserted-Identity", 0),
    (Name::PPreferredIdentity, "P-Preferred-Identity", 0),
    (Name::Privacy, "Privacy", 0),
];

/// Compact forms of names we have no use for; only [`canonical`] needs them.
const OTHER_COMPACT: [(&str, u8); 8] = [
    ("Accept-Contact", b'a'),
    ("Referred-By", b'b'),
    ("Request-Disposition", b'd'),
    ("Reject-Contact", b'j'),
    ("Identity-Info", b'n'),
    ("Refer-To", b'r'),
    ("Session-Expires", b'x'),
    ("Identity", b'y'),
];

impl Name {
    /// Recognises a name in any case, long or compact (RFC 3261 section 7.3.3).
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        if let [letter] = text {
            let letter = letter.to_ascii_lowercase();
            let found = NAMES.iter().find(|(_, _, compact)| *compact == letter);
            return found.filter(|_| letter != 0).map_or(Self::Other, |found| found.0);
        }
        let candidate = Self::candidate(text);
        if candidate.text().as_bytes().eq_ignore_ascii_case(text) { candidate } else { Self::Other }
    }

    /// The one name that `text` can be, told by its length and a letter or two.
    fn candidate(text: &[u8]) -> Self {
        let letter = |at: usize| text.get(at).map_or(0, u8::to_ascii_lowercase);
        match (text.len(), letter(0)) {
            (2, _) => Self::To,
            (3, _) => Self::Via,
            (4, b'f') => Self::From,
            (4, b'c') => Self::CSeq,
            (4, b'd') => Self::Date,
            (4, _) => Self::Path,
            (5, b'r') => Self::Route,
            (5, b'a') => Self::Allow,
            (5, _) => Self::Event,
            (6, b'a') => Self::Accept,
            (6, _) => Self::Server,
            (7, b'c') if letter(4) == b'-' => Self::CallId,
            (7, b'c') => Self::Contact,
            (7, b'e') => Self::Expires,
            (7, b'r') => Self::Require,
            (7, b's') => Self::Subject,
            (7, b'w') => Self::Warning,
            (7, _) => Self::Privacy,
            (8, _) => Self::Priority,
            (9, _) => Self::Supported,
            (10, _) => Self::UserAgent,
            (11, b'm') => Self::MinExpires,
            (11, b'u') => Self::Unsupported,
            (11, _) => Self::RetryAfter,
            (12, b'm') => Self::MaxForwards,
            (12, b'c') => Self::ContentType,
            (12, b'r') => Self::RecordRoute,
            (12, _) => Self::AllowEvents,
            (13, b'p') => Self::ProxyRequire,
            (13, _) => Self::Authorization,
            (14, _) => Self::ContentLength,
            (16, b'w') => Self::WwwAuthenticate,
            (16, _) if letter(8) == b'e' => Self::ContentEncoding,
            (16, _) => Self::ContentLanguage,
            (18, _) => Self::ProxyAuthenticate,
            (19, b'c') => Self::ContentDisposition,
            (19, _) if letter(1) == b'-' => Self::PAssertedIdentity,
            (19, _) => Self::ProxyAuthorization,
            (20, _) => Self::PPreferredIdentity,
            _ => Self::Other,
        }
    }

    /// The registered spelling; empty for [`Name::Other`].
    #[must_use]
    pub fn text(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |found| found.1)
    }
}

/// The long form of a compact name that [`Name`] does not know; any other text as it is.
#[must_use]
pub(super) fn canonical(text: &[u8]) -> &[u8] {
    let [letter] = text else { return text };
    let letter = letter.to_ascii_lowercase();
    OTHER_COMPACT.iter().find(|(_, c)| *c == letter).map_or(text, |(long, _)| long.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_recognised_in_any_case_and_in_its_compact_form() {
        for (name, long, compact) in NAMES {
            assert_eq!(Name::of(long.as_bytes()), name);
            assert_eq!(Name::of(long.to_uppercase().as_bytes()), name);
            assert_eq!(Name::of(long.to_lowercase().as_bytes()), name);
            assert_eq!(name.text(), long);
            if compact != 0 {
                assert_eq!(Name::of(&[compact]), name);
                assert_eq!(Name::of(&[compact.to_ascii_uppercase()]), name);
            }
        }
        assert_eq!(Name::of(b"X-Anything"), Name::Other);
        assert_eq!(Name::of(b"vi"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
    }
}
