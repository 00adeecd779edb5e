//! The options and their defaults. `config/sipsilo.toml` says the same in an operator's words; a
//! test keeps the two equal.

use super::values::{DbUrl, EmptyBody, LogFormat, Nat, Network, human};
use crate::net::ListenSpec;
use crate::vocab::Transport;
use serde::{Deserialize, Deserializer, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Everything an operator may turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Addresses, domains and what is accepted.
    pub sip: Sip,
    /// The parameters of Kamailio's msilo, by their names there.
    pub msilo: Msilo,
    /// Bindings.
    pub registrar: Registrar,
    /// Relay and delivery.
    pub delivery: Delivery,
    /// How much the node takes on before it refuses.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
}

/// `[sip]`: addresses, domains and what is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sip {
    /// Where to listen.
    pub listen: Vec<ListenSpec>,
    /// The host names whose users live here, in lower case. The listening addresses always do.
    #[serde(deserialize_with = "lower_case")]
    pub domains: Vec<String>,
    /// Peers that may send to domains that are not ours (a proxy in front).
    pub trusted: Vec<Network>,
    /// Gateway workers; 0 = half of the cores, at least one. See [`Settings::workers`].
    pub workers: u16,
    /// The answer to an INVITE: 405 or 480.
    pub invite: u16,
    /// The answer to other requests for a local user who is offline: 404 or 480.
    pub offline_other: u16,
    /// The only users (`user@domain`) who have a mailbox; empty = every user of our domains.
    pub users: Vec<String>,
    /// What becomes of a MESSAGE without a body.
    pub empty_body: EmptyBody,
    /// The longest body of a MESSAGE; a longer one is answered 413.
    pub body_bytes_max: usize,
    /// The answer to a typing notice (`im-iscomposing`) for an offline user: 200 or 202. It is
    /// not stored.
    pub iscomposing: u16,
    /// True to send requests over 1,300 bytes by UDP to a contact that can be reached by UDP only.
    pub oversize_udp: bool,
}

impl Default for Sip {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let listen = |transport| ListenSpec { transport, address };
        Self {
            listen: vec![listen(Transport::Udp), listen(Transport::Tcp)],
            domains: vec!["localhost".into()],
            trusted: Vec::new(),
            workers: 0,
            invite: 405,
            offline_other: 404,
            users: Vec::new(),
            empty_body: EmptyBody::Accept,
            body_bytes_max: 60_000,
            iscomposing: 202,
            oversize_udp: false,
        }
    }
}

/// `[msilo]`: the parameters of Kamailio's msilo, by their names there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Msilo {
    /// Where messages are kept.
    pub db_url: DbUrl,
    /// Seconds a message lives without an `Expires`, and the most a sender may ask for.
    pub expire_time: u32,
    /// Seconds between two rounds of housekeeping.
    pub check_time: u32,
    /// Expired messages are removed every `clean_period` rounds of housekeeping.
    pub clean_period: u32,
    /// The most messages of one mailbox; 0 = no limit.
    pub max_messages: u32,
}

impl Default for Msilo {
    fn default() -> Self {
        Self {
            db_url: DbUrl::Embedded("./sipsilo-data".into()),
            expire_time: 259_200,
            check_time: 30,
            clean_period: 5,
            max_messages: 0,
        }
    }
}

impl Msilo {
    /// The parameters of msilo that this version does not have: worth another error text than a
    /// slip of the pen.
    pub(super) const NOT_YET: [&'static str; 25] = [
        "db_table",
        "from_address",
        "contact_hdr",
        "content_type_hdr",
        "offline_message",
        "reminder",
        "outbound_proxy",
        "send_time",
        "use_contact",
        "snd_time_avp",
        "add_date",
        "add_contact",
        "extra_hdrs",
        "extra_hdrs_avp",
        "skip_notification_flag",
        "sc_mid",
        "sc_from",
        "sc_to",
        "sc_uri_user",
        "sc_uri_host",
        "sc_body",
        "sc_ctype",
        "sc_exp_time",
        "sc_inc_time",
        "sc_snd_time",
    ];
}

/// `[registrar]`: bindings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registrar {
    /// The life of a binding whose REGISTER does not ask for one.
    #[serde(with = "human")]
    pub default_expires: Duration,
    /// The shortest life; less is answered 423 (or lifted, see `lift_short_expires`).
    #[serde(with = "human")]
    pub min_expires: Duration,
    /// The longest life; more is shortened to it.
    #[serde(with = "human")]
    pub max_expires: Duration,
    /// True to lift a life that is too short to `min_expires` instead of answering 423.
    pub lift_short_expires: bool,
    /// The most bindings of one user.
    pub max_contacts: u16,
    /// True to drop the oldest binding when there are too many, instead of answering 403.
    pub replace_oldest: bool,
    /// When a contact is reached at the address its REGISTER came from.
    pub nat: Nat,
    /// True to keep bindings over a graceful restart.
    pub keep_bindings: bool,
}

impl Default for Registrar {
    fn default() -> Self {
        Self {
            default_expires: Duration::from_secs(3_600),
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(86_400),
            lift_short_expires: false,
            max_contacts: 10,
            replace_oldest: false,
            nat: Nat::Auto,
            keep_bindings: true,
        }
    }
}

/// `[delivery]`: relay and delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// The pause after the first failed delivery to a registered contact.
    #[serde(with = "human")]
    pub retry_initial: Duration,
    /// The longest pause.
    #[serde(with = "human")]
    pub retry_max: Duration,
    /// By how much the pause grows with each failure.
    pub retry_factor: u32,
    /// The part of a pause that is left to chance, so that retries do not come in waves.
    pub retry_jitter: f64,
    /// After so many failed deliveries a message becomes a dead letter.
    pub attempts_max: u16,
    /// How long one delivery waits for its answer.
    #[serde(with = "human")]
    pub timeout: Duration,
    /// How long a live relay may take before the message is stored instead.
    #[serde(with = "human")]
    pub relay_timeout: Duration,
    /// The most stored messages in delivery at once, on the whole node.
    pub dumps_max: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            retry_initial: Duration::from_secs(5),
            retry_max: Duration::from_secs(600),
            retry_factor: 2,
            retry_jitter: 0.2,
            attempts_max: 10,
            timeout: Duration::from_secs(32),
            relay_timeout: Duration::from_secs(5),
            dumps_max: 10_000,
        }
    }
}

/// `[limits]`: how much the node takes on before it refuses. All for the whole node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most TCP connections.
    pub tcp_connections_max: usize,
    /// The most TCP connections from one address.
    pub tcp_connections_per_ip_max: usize,
    /// A TCP connection that is silent for so long is closed.
    #[serde(with = "human")]
    pub tcp_idle: Duration,
    /// A message that has begun on a TCP connection must be complete after so long.
    #[serde(with = "human")]
    pub partial_message_timeout: Duration,
    /// Bytes that may wait to be sent on one TCP connection.
    pub tcp_write_queue_bytes: usize,
    /// The most server transactions that are remembered.
    pub server_transactions_max: usize,
    /// The most bytes that remembered responses take.
    pub server_transaction_bytes: usize,
    /// The most client transactions that wait for an answer.
    pub client_transactions_max: usize,
    /// Bytes of fresh messages that the embedded store holds in memory beside its files.
    pub memtable_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tcp_connections_max: 10_000,
            tcp_connections_per_ip_max: 1_000,
            tcp_idle: Duration::from_secs(3_900),
            partial_message_timeout: Duration::from_secs(30),
            tcp_write_queue_bytes: 1_048_576,
            server_transactions_max: 2_000_000,
            server_transaction_bytes: 536_870_912,
            client_transactions_max: 100_000,
            memtable_bytes: 100_663_296,
        }
    }
}

/// `[log]`: what is logged, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or a filter such as
    /// `info,sipsilo::net=debug`.
    pub level: String,
    /// The form.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

impl Settings {
    /// How many gateway workers run on a machine of `cores`.
    #[must_use]
    pub fn workers(&self, cores: usize) -> u16 {
        match self.sip.workers {
            0 => u16::try_from(cores / 2).unwrap_or(u16::MAX).clamp(1, Sip::WORKERS_MAX),
            workers => workers,
        }
    }

    /// What an operator should know before the node listens; nothing that stops it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let open: Vec<String> = self
            .sip
            .listen
            .iter()
            .filter(|listen| !is_loopback(listen.address.ip()))
            .map(ToString::to_string)
            .collect();
        if open.is_empty() {
            return Vec::new();
        }
        vec![format!(
            "other machines can reach {} and nobody is authenticated: whoever can send there can \
             register as any user and read his messages; keep it behind a proxy that authenticates, \
             or behind a firewall",
            open.join(" and ")
        )]
    }
}

impl Sip {
    /// The most gateway workers.
    pub(super) const WORKERS_MAX: u16 = 256;
}

/// Host names do not depend on case (RFC 3261 section 19.1.4); ours are compared as bytes.
fn lower_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect())
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening_on(listen: &str) -> Settings {
        let mut settings = Settings::default();
        settings.sip.listen.push(listen.parse().unwrap());
        settings
    }

    #[test]
    fn a_node_that_others_can_reach_is_warned_that_nobody_is_authenticated() {
        for open in ["udp:0.0.0.0:5060", "tcp:[::]:5060", "udp:192.0.2.1:5060"] {
            let warnings = listening_on(open).warnings();
            assert_eq!(warnings.len(), 1, "{open}");
            assert!(warnings[0].contains(open), "{}", warnings[0]);
            assert!(warnings[0].contains("nobody is authenticated"), "{}", warnings[0]);
        }
    }

    #[test]
    fn a_node_on_loopback_is_not_warned() {
        assert!(Settings::default().warnings().is_empty());
        assert!(listening_on("tcp:[::1]:5060").warnings().is_empty());
    }

    #[test]
    fn without_a_number_of_workers_half_of_the_cores_work_at_the_gateway() {
        let mut settings = Settings::default();
        assert_eq!([0, 1, 2, 3, 8].map(|cores| settings.workers(cores)), [1, 1, 1, 1, 4]);
        settings.sip.workers = 5;
        assert_eq!(settings.workers(2), 5);
    }
}
