//! The address of record: the name of a mailbox.

use std::fmt;
use std::sync::Arc;

/// A canonical address of record (RFC 3261 section 10.3 step 5): the user part unescaped as far as
/// that is unambiguous, the host in lower case, no scheme, no port and no parameters.
///
/// `sip:` and `sips:` of the same user are one mailbox (RFC 5630 section 3.2). Two values are the
/// same mailbox exactly when they are equal. Cloning is a reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Aor {
    /// `user@host`; the host never contains an `@`.
    text: Arc<str>,
}

impl Aor {
    /// Joins an already canonical user and host. The caller is `sip::uri`, or a store that reads
    /// back what that wrote.
    #[must_use]
    pub fn from_parts(user: &str, host: &str) -> Self {
        let mut text = String::with_capacity(user.len() + 1 + host.len());
        text.push_str(user);
        text.push('@');
        text.push_str(host);
        Self { text: text.into() }
    }

    /// Reads `user@host` as [`Aor::as_str`] gave it. `None` without an `@`.
    #[must_use]
    pub fn from_canonical(text: &str) -> Option<Self> {
        text.contains('@').then(|| Self { text: text.into() })
    }

    /// The user part; empty for an address that names a host only.
    #[must_use]
    pub fn user(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(user, _)| user)
    }

    /// The host part, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(_, host)| host)
    }

    /// `user@host`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aor({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_follows_the_last_at_sign() {
        let aor = Aor::from_parts("bob@work", "example.com");
        assert_eq!((aor.user(), aor.host()), ("bob@work", "example.com"));
        assert_eq!(Aor::from_canonical(aor.as_str()), Some(aor));
    }

    #[test]
    fn text_without_an_at_sign_is_no_address_of_record() {
        assert_eq!(Aor::from_canonical("example.com"), None);
    }
}
