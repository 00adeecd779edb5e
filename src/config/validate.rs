//! The rules that a type alone cannot hold, and those between two options.

use super::error::Problem;
use super::settings::{Delivery, Limits, Log, Msilo, Registrar, Settings, Sip};
use super::values::human;
use crate::sip::Uri;
use crate::vocab::limits::MESSAGE_BYTES_MAX;
use std::fmt::Display;
use std::time::Duration;

/// 64 x T1: how long a SIP transaction without INVITE waits (RFC 3261 section 17.1.2.2).
const TRANSACTION: Duration = Duration::from_secs(32);

impl Settings {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), Problem> {
        self.sip.validate()?;
        self.msilo.validate()?;
        self.registrar.validate()?;
        self.delivery.validate()?;
        self.limits.validate()?;
        self.log.validate()
    }
}

impl Sip {
    fn validate(&self) -> Result<(), Problem> {
        rule(
            !self.listen.is_empty(),
            "sip.listen",
            "[]",
            || "name at least one address, for example \"udp:127.0.0.1:5060\"",
        )?;
        for (at, listen) in self.listen.iter().enumerate() {
            let is_new = listen.address.port() == 0 || !self.listen[..at].contains(listen);
            rule(is_new, "sip.listen", quoted(listen), || "it is listed twice")?;
        }
        rule(
            !self.domains.is_empty(),
            "sip.domains",
            "[]",
            || "name at least one domain, for example \"example.com\"",
        )?;
        for domain in &self.domains {
            rule(
                is_host(domain),
                "sip.domains",
                quoted(domain),
                || "a domain is a host name or an address, without scheme and port",
            )?;
        }
        for user in &self.users {
            let is_aor = Uri::parse(format!("sip:{user}").as_bytes()).is_some_and(|uri| {
                let is_plain = uri.password.is_none() && uri.port.is_none();
                uri.user.is_some() && is_plain && uri.params.is_empty()
            });
            rule(
                is_aor,
                "sip.users",
                quoted(user),
                || "write user@domain, without scheme, port and parameters",
            )?;
        }
        within("sip.workers", self.workers, 0, Self::WORKERS_MAX)?;
        one_of("sip.invite", self.invite, [405, 480])?;
        one_of("sip.offline_other", self.offline_other, [404, 480])?;
        one_of("sip.iscomposing", self.iscomposing, [200, 202])?;
        within("sip.body_bytes_max", self.body_bytes_max, 1, MESSAGE_BYTES_MAX)
    }
}

impl Msilo {
    fn validate(&self) -> Result<(), Problem> {
        // Ten years: longer would only be a slip, and the sum with a time stays far from an edge.
        within("msilo.expire_time", self.expire_time, 1, 315_360_000)?;
        within("msilo.check_time", self.check_time, 1, 86_400)?;
        within("msilo.clean_period", self.clean_period, 1, 10_000)
    }
}

impl Registrar {
    fn validate(&self) -> Result<(), Problem> {
        let (min, default, max) = (self.min_expires, self.default_expires, self.max_expires);
        whole_seconds("registrar.default_expires", default)?;
        whole_seconds("registrar.min_expires", min)?;
        whole_seconds("registrar.max_expires", max)?;
        // RFC 3261 section 10.3 step 7: a registrar may refuse only what is below an hour.
        rule(
            min <= Duration::from_secs(3_600),
            "registrar.min_expires",
            written(min),
            || "it must be at most \"1h\" (RFC 3261 section 10.3)",
        )?;
        rule(min <= default, "registrar.default_expires", written(default), || {
            format!("it must not be below registrar.min_expires ({})", written(min))
        })?;
        rule(default <= max, "registrar.max_expires", written(max), || {
            format!("it must not be below registrar.default_expires ({})", written(default))
        })?;
        let year = Duration::from_secs(366 * 86_400);
        rule(max <= year, "registrar.max_expires", written(max), || "it must be at most \"366d\"")?;
        within("registrar.max_contacts", self.max_contacts, 1, 1_000)
    }
}

impl Delivery {
    fn validate(&self) -> Result<(), Problem> {
        let (first, max) = (self.retry_initial, self.retry_max);
        at_least("delivery.retry_initial", first, Duration::from_millis(100))?;
        rule(first <= max, "delivery.retry_max", written(max), || {
            format!("it must not be below delivery.retry_initial ({})", written(first))
        })?;
        within("delivery.retry_factor", self.retry_factor, 1, 100)?;
        within("delivery.retry_jitter", self.retry_jitter, 0.0, 1.0)?;
        within("delivery.attempts_max", self.attempts_max, 1, u16::MAX)?;
        for (key, value) in
            [("delivery.timeout", self.timeout), ("delivery.relay_timeout", self.relay_timeout)]
        {
            at_least(key, value, Duration::from_millis(500))?;
            rule(
                value <= TRANSACTION,
                key,
                written(value),
                || "it must be at most \"32s\", the life of a SIP transaction",
            )?;
        }
        rule(
            self.relay_timeout < TRANSACTION,
            "delivery.relay_timeout",
            written(self.relay_timeout),
            || "it must be below \"32s\": the sender must hear 202 before its own transaction ends",
        )?;
        within("delivery.dumps_max", self.dumps_max, 1, 10_000_000)
    }
}

impl Limits {
    fn validate(&self) -> Result<(), Problem> {
        let (total, each) = (self.tcp_connections_max, self.tcp_connections_per_ip_max);
        within("limits.tcp_connections_max", total, 1, 10_000_000)?;
        within("limits.tcp_connections_per_ip_max", each, 1, 10_000_000)?;
        at_least("limits.tcp_idle", self.tcp_idle, Duration::from_secs(1))?;
        at_least(
            "limits.partial_message_timeout",
            self.partial_message_timeout,
            Duration::from_millis(100),
        )?;
        let gigabyte = 1 << 30;
        within(
            "limits.tcp_write_queue_bytes",
            self.tcp_write_queue_bytes,
            MESSAGE_BYTES_MAX,
            gigabyte,
        )?;
        within("limits.server_transactions_max", self.server_transactions_max, 16, 100_000_000)?;
        within("limits.server_transaction_bytes", self.server_transaction_bytes, 1 << 20, 1 << 40)?;
        within("limits.client_transactions_max", self.client_transactions_max, 16, 100_000_000)?;
        within("limits.memtable_bytes", self.memtable_bytes, 1 << 20, 1 << 40)
    }
}

impl Log {
    fn validate(&self) -> Result<(), Problem> {
        rule(crate::telemetry::is_filter(&self.level), "log.level", quoted(&self.level), || {
            "it must be error, warn, info, debug, trace, or a filter such as \
             \"info,sipsilo::net=debug\""
        })
    }
}

fn rule<T: Into<String>>(
    holds: bool,
    key: &str,
    value: impl Display,
    allowed: impl FnOnce() -> T,
) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem::new(key, value, allowed())) }
}

fn within<T: PartialOrd + Display>(key: &str, value: T, least: T, most: T) -> Result<(), Problem> {
    rule(value >= least && value <= most, key, &value, || {
        format!("it must be from {least} to {most}")
    })
}

fn one_of<const N: usize>(key: &str, value: u16, allowed: [u16; N]) -> Result<(), Problem> {
    rule(allowed.contains(&value), key, value, || {
        format!("it must be {}", allowed.map(|code| code.to_string()).join(" or "))
    })
}

fn at_least(key: &str, value: Duration, least: Duration) -> Result<(), Problem> {
    rule(value >= least, key, written(value), || format!("it must be at least {}", written(least)))
}

/// SIP counts expiry in seconds.
fn whole_seconds(key: &str, value: Duration) -> Result<(), Problem> {
    let is_whole = value.subsec_nanos() == 0 && value.as_secs() > 0;
    rule(is_whole, key, written(value), || "it must be whole seconds, at least \"1s\"")
}

/// A duration as it stands in a file.
fn written(duration: Duration) -> String {
    quoted(human::write(duration))
}

fn quoted(text: impl Display) -> String {
    format!("{:?}", text.to_string())
}

/// A host name or a numeric address, an IPv6 one with or without its brackets.
fn is_host(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return true;
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 255 && text.split('.').all(is_label)
}
