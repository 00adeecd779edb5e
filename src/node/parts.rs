//! Settings as an operator writes them, turned into the plain structs of each part.

use crate::actors::Options;
use crate::config::{EmptyBody, Nat, Settings};
use crate::inbox;
use crate::net;
use crate::sip::ingress::{DiscardAnswer, Domains, InviteAnswer, IpNet, OfflineAnswer, Policy};
use crate::sip::{Uri, endpoint, registrar};
use crate::vocab::{Aor, Transport};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes that finished server transactions may take on one worker at least.
const TRANSACTION_BYTES_MIN: usize = 1024 * 1024;

/// The listening addresses as the network takes them.
pub(super) fn listen_specs(settings: &Settings) -> Vec<net::ListenSpec> {
    let specs = settings.sip.listen.iter();
    specs.map(|l| net::ListenSpec { transport: l.transport, address: l.address }).collect()
}

/// The network's bounds.
pub(super) fn network(settings: &Settings) -> net::Settings {
    let limits = &settings.limits;
    net::Settings {
        connections_max: limits.tcp_connections_max,
        connections_per_source_max: limits.tcp_connections_per_ip_max,
        idle_timeout: limits.tcp_idle,
        stall_timeout: limits.partial_message_timeout,
        write_queue_bytes_max: limits.tcp_write_queue_bytes,
        ..net::Settings::default()
    }
}

/// The rules for requests, on a node that listens on `listeners`.
pub(super) fn policy(
    settings: &Settings,
    listeners: &[(Transport, SocketAddr)],
    key: u64,
) -> Policy {
    let sip = &settings.sip;
    let trusted = sip.trusted.iter().map(|range| IpNet::new(range.address(), range.prefix()));
    let host = sip.domains.first().map_or("sipsilo", String::as_str).to_owned();
    Policy {
        listeners: listeners.iter().map(|(_, address)| *address).collect(),
        trusted: trusted.collect(),
        users: sip.users.iter().filter_map(|user| address(user)).collect(),
        discarded: if sip.iscomposing == 200 { DiscardAnswer::Ok } else { DiscardAnswer::Accepted },
        invite: if sip.invite == 480 {
            InviteAnswer::Unavailable
        } else {
            InviteAnswer::NotAllowed
        },
        offline_other: if sip.offline_other == 480 {
            OfflineAnswer::Unavailable
        } else {
            OfflineAnswer::NotFound
        },
        expire_time: Duration::from_secs(u64::from(settings.msilo.expire_time)),
        body_bytes_max: sip.body_bytes_max,
        empty_body: sip.empty_body == EmptyBody::Accept,
        relay_group_window: settings.delivery.relay_timeout / 2,
        relay_window: settings.delivery.relay_timeout,
        host,
        loop_key: key,
        domains: Domains::new(sip.domains.iter().map(String::as_str)),
        ..Policy::default()
    }
}

/// The mailbox of `user@domain`, as the settings were checked to have it.
fn address(user: &str) -> Option<Aor> {
    Uri::parse(format!("sip:{user}").as_bytes())?.aor()
}

/// What one of `workers` endpoints may hold.
pub(super) fn endpoint(settings: &Settings, workers: usize) -> endpoint::Settings {
    let limits = &settings.limits;
    let share = |of: usize| of / workers.max(1);
    endpoint::Settings {
        server_transactions_max: share(limits.server_transactions_max).max(1),
        server_bytes_max: share(limits.server_transaction_bytes).max(TRANSACTION_BYTES_MIN),
        client_transactions_max: share(limits.client_transactions_max).max(1),
        ..endpoint::Settings::default()
    }
}

/// What the actors hand to their machines.
pub(super) fn options(settings: &Settings, listeners: &[(Transport, SocketAddr)]) -> Options {
    let (msilo, delivery) = (&settings.msilo, &settings.delivery);
    Options {
        inbox: inbox::Settings {
            max_messages: msilo.max_messages,
            attempts_max: delivery.attempts_max,
            backoff: inbox::Backoff {
                initial: delivery.retry_initial,
                factor: delivery.retry_factor,
                max: delivery.retry_max,
                jitter_percent: percent(delivery.retry_jitter),
            },
            ..inbox::Settings::default()
        },
        registrar: registrar_settings(settings, listeners),
        delivery_timeout: delivery.timeout,
        sweep_every: Duration::from_secs(
            u64::from(msilo.check_time) * u64::from(msilo.clean_period),
        ),
        oversize_udp: settings.sip.oversize_udp,
    }
}

/// A share of 1, checked to be one, in whole percent.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the settings were checked: it lies between 0 and 1"
)]
fn percent(share: f64) -> u8 {
    (share * 100.0) as u8
}

fn registrar_settings(
    settings: &Settings,
    listeners: &[(Transport, SocketAddr)],
) -> registrar::Settings {
    let own = &settings.registrar;
    let seconds = |d: Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX);
    registrar::Settings {
        default_expires_s: seconds(own.default_expires),
        min_expires_s: seconds(own.min_expires),
        max_expires_s: seconds(own.max_expires),
        short: if own.lift_short_expires {
            registrar::Short::Lift
        } else {
            registrar::Short::Refuse
        },
        contacts_max: usize::from(own.max_contacts),
        full: if own.replace_oldest {
            registrar::Full::ReplaceOldest
        } else {
            registrar::Full::Refuse
        },
        nat: match own.nat {
            Nat::Off => registrar::Nat::Off,
            Nat::Auto => registrar::Nat::Auto,
            Nat::Always => registrar::Nat::Always,
        },
        own_addresses: listeners.iter().map(|(_, address)| *address).collect(),
        own_hosts: settings.sip.domains.iter().map(|d| d.clone().into_boxed_str()).collect(),
        ..registrar::Settings::default()
    }
}
