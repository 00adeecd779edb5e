//! Settings that are written as text: durations, networks, URLs and words.
//!
//! Each is read by a `parse` whose error says what is allowed; the key and the place are added by
//! the loader.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Reads and writes a field of type `Duration` as `"250ms"`, `"5s"`, `"10m"`, `"72h"`, `"7d"`.
pub(super) mod human {
    use super::*;

    /// Units from the largest to the smallest, with their milliseconds.
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

    pub(in crate::config) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(*duration))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// Writes a duration with the largest unit that keeps it whole; below a millisecond is cut.
    pub(in crate::config) fn write(duration: Duration) -> String {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let fits = |&&(_, unit): &&(&str, u64)| ms >= unit && ms.is_multiple_of(unit);
        let (name, unit) = UNITS.iter().find(fits).unwrap_or(&("s", 1_000));
        format!("{}{name}", ms / unit)
    }

    /// Reads a whole number and its unit.
    pub(in crate::config) fn parse(text: &str) -> Result<Duration, String> {
        const ALLOWED: &str = "it must be a whole number with a unit: ms, s, m, h or d, \
             for example \"250ms\", \"5s\" or \"10m\"";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_ms = UNITS.iter().find(|(name, _)| *name == unit).map(|&(_, ms)| ms);
        let ms = number.parse::<u64>().ok().zip(unit_ms).and_then(|(n, unit)| n.checked_mul(unit));
        ms.map(Duration::from_millis).ok_or_else(|| ALLOWED.into())
    }
}

/// Gives a type with `parse` and `Display` its serde form: that text.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )+};
}

as_text!(Network, DbUrl, Nat, EmptyBody, LogFormat);

/// A block of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `address/length` or one address. Bits behind the prefix must be zero: a slip there
    /// would trust other peers than the operator means.
    ///
    /// # Errors
    /// What is allowed, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = "it must be an address or an address block, \
             for example \"192.0.2.7\", \"192.0.2.0/24\" or \"2001:db8::/32\"";
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| allowed)?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix.parse().ok().filter(|p| *p <= bits).ok_or(allowed)?,
        };
        let network = Self { address, prefix };
        if network.masked(address) != Some(bits_of(address)) {
            return Err(format!(
                "the address has bits set behind its first {prefix}: write the first address of \
                 the block"
            ));
        }
        Ok(network)
    }

    /// The first address of the block.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits an address shares with [`Network::address`] to be in the block.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// True when `peer` is in the block; an IPv4 address that arrived in IPv6 form
    /// (`::ffff:192.0.2.7`) is the IPv4 address.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.masked(peer.to_canonical()) == Some(bits_of(self.address))
    }

    /// The leading bits of `peer`, if it is of this block's family.
    fn masked(&self, peer: IpAddr) -> Option<u128> {
        let bits: u32 = if peer.is_ipv4() { 32 } else { 128 };
        let behind = bits - u32::from(self.prefix).min(bits);
        let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
        (peer.is_ipv4() == self.address.is_ipv4()).then_some(bits_of(peer) & mask)
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Where messages are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DbUrl {
    /// `embedded:DIR`: in files of this folder, by this process.
    Embedded(PathBuf),
    /// `memory:`: until the process ends. For tests.
    Memory,
}

impl DbUrl {
    /// Reads the text of an option.
    ///
    /// # Errors
    /// What is allowed, in words; never the text itself, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("embedded", folder)) if !folder.is_empty() => Ok(Self::Embedded(folder.into())),
            Some(("memory", "")) => Ok(Self::Memory),
            _ => Err("this version stores in \"embedded:DIR\" (a folder of this machine) or, \
                      for tests, \"memory:\""
                .into()),
        }
    }
}

impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(folder) => write!(f, "embedded:{}", folder.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Declares a setting that is one of a few words.
macro_rules! words {
    ($(#[doc = $help:literal])+ $type:ident { $($(#[doc = $each:literal])+ $word:ident = $text:literal,)+ }) => {
        $(#[doc = $help])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type {
            $($(#[doc = $each])+ $word,)+
        }

        impl $type {
            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$word),)+
                    _ => Err(format!("it must be {}", [$(concat!("\"", $text, "\"")),+].join(" or "))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$word => $text,)+ })
            }
        }
    };
}

words! {
    /// When a contact is reached at the address its REGISTER came from instead of its own.
    Nat {
        /// When the two differ.
        Auto = "auto",
        /// Never.
        Off = "off",
        /// For every contact.
        Always = "always",
    }
}

words! {
    /// What becomes of a MESSAGE without a body.
    EmptyBody {
        /// It is stored and delivered like any other.
        Accept = "accept",
        /// It is refused.
        Refuse = "refuse",
    }
}

words! {
    /// The form of the log on standard error.
    LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object for each line.
        Json = "json",
    }
}
