//! What an operator may turn.

use std::net::SocketAddr;
use std::sync::Arc;

/// What becomes of a REGISTER that asks for less than the shortest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// 423 with `Min-Expires`.
    Refuse,
    /// The shortest time is granted instead.
    Lift,
}

/// What becomes of a REGISTER that would bring one contact too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// 403, and nothing changes.
    Refuse,
    /// The bindings that were refreshed longest ago make room.
    ReplaceOldest,
}

/// When the source address of a REGISTER over UDP is believed instead of its contact URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Never.
    Off,
    /// When the contact names a private, loopback or link-local address that is not the source's.
    Auto,
    /// Always.
    Always,
}

/// What becomes of a REGISTER with `Path` whose client does not say `Supported: path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathSupport {
    /// It is accepted: many edge proxies add `Path` whatever the client said.
    Optional,
    /// 420 (RFC 3327 section 5.3).
    Required,
}

/// Settings of the registrar. Shared by all shards of a node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Granted when the request names no time.
    pub default_expires_s: u32,
    /// The shortest time that is granted.
    pub min_expires_s: u32,
    /// The longest time that is granted; more is shortened.
    pub max_expires_s: u32,
    /// What to do about less than `min_expires_s`.
    pub short: Short,
    /// The most bindings of one user.
    pub contacts_max: usize,
    /// What to do about more than `contacts_max`.
    pub full: Full,
    /// What to believe of a contact behind a NAT.
    pub nat: Nat,
    /// What to do about a `Path` the client does not support.
    pub path: PathSupport,
    /// The addresses this node listens on: a contact there would be a loop.
    pub own_addresses: Arc<[SocketAddr]>,
    /// Its domains and host names, in lower case: likewise.
    pub own_hosts: Arc<[Box<str>]>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_expires_s: 3_600,
            min_expires_s: 60,
            max_expires_s: 86_400,
            short: Short::Refuse,
            contacts_max: 10,
            full: Full::Refuse,
            nat: Nat::Auto,
            path: PathSupport::Optional,
            own_addresses: Arc::default(),
            own_hosts: Arc::default(),
        }
    }
}

/// Settings that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A time of zero would mean "unregister".
    #[error("the shortest registration time is 0 s: set it to at least 1 s")]
    NoMinimum,
    /// Nothing could be granted.
    #[error(
        "the shortest registration time ({min_s} s) is above the longest ({max_s} s): lower the \
         first or raise the second"
    )]
    MinimumAboveMaximum {
        /// The shortest time.
        min_s: u32,
        /// The longest time.
        max_s: u32,
    },
    /// The default could not be granted.
    #[error(
        "the default registration time ({default_s} s) is not between the shortest and the \
         longest: choose one between {min_s} s and {max_s} s"
    )]
    DefaultOutOfRange {
        /// The default.
        default_s: u32,
        /// The shortest time.
        min_s: u32,
        /// The longest time.
        max_s: u32,
    },
    /// Nobody could register.
    #[error("users may have 0 contacts: allow at least 1")]
    NoContacts,
}

impl Settings {
    /// Checks the options against each other.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let (min_s, max_s) = (self.min_expires_s, self.max_expires_s);
        let default_s = self.default_expires_s;
        if min_s == 0 {
            return Err(SettingsError::NoMinimum);
        }
        if min_s > max_s {
            return Err(SettingsError::MinimumAboveMaximum { min_s, max_s });
        }
        if !(min_s..=max_s).contains(&default_s) {
            return Err(SettingsError::DefaultOutOfRange { default_s, min_s, max_s });
        }
        if self.contacts_max == 0 {
            return Err(SettingsError::NoContacts);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_do_not_contradict_each_other() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn a_contradiction_is_named_with_what_to_do() {
        let wrong = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.validate().unwrap_err().to_string()
        };
        assert!(wrong(|s| s.min_expires_s = 0).contains("at least 1 s"));
        assert!(wrong(|s| s.max_expires_s = 30).contains("raise the second"));
        assert!(wrong(|s| s.default_expires_s = 90_000).contains("between 60 s and 86400 s"));
        assert!(wrong(|s| s.contacts_max = 0).contains("at least 1"));
    }
}
