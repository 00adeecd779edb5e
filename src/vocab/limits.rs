//! Every bound that no operator needs to turn, by name.

use std::time::Duration;

/// The longest SIP message, headers and body, in bytes: what one UDP datagram can carry.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// The most header fields of one message.
pub const HEADERS_MAX: usize = 256;
/// The longest header line, after unfolding, in bytes.
pub const LINE_BYTES_MAX: usize = 16_384;
/// The most values of one list header that are looked at (Via, Route, Contact, Require).
pub const LIST_VALUES_MAX: usize = 64;
/// How many datagrams one system call takes in or sends out.
pub const DATAGRAM_BATCH: usize = 64;
/// Messages read from the store at once for one inbox.
pub const PAGE_MESSAGES: usize = 64;
/// Bytes of messages read from the store at once for one inbox; at least one message comes.
pub const PAGE_BYTES: usize = 512 * 1024;
/// Commands that may wait for one AoR actor.
pub const AOR_MAILBOX: usize = 256;
/// Commands that may wait for one shard actor.
pub const SHARD_MAILBOX: usize = 4_096;
/// Messages that may wait for a gateway or a router.
pub const GATEWAY_MAILBOX: usize = 65_536;
/// Submissions of one AoR that may wait for the store at once.
pub const AOR_PENDING_MAX: usize = 128;
/// How long an AoR actor stays after its last command.
pub const AOR_IDLE: Duration = Duration::from_secs(2);
