//! What the witness knows of one message.

use sipsilo::vocab::Key;
use std::collections::BTreeMap;

/// Which life of an AoR actor: the life of its node, and how often it died in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub node: u32,
    pub actor: u32,
}

/// What its sender wants to become of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Kept until it is delivered or over.
    #[default]
    Kept,
    /// `Expires: 0`: it is delivered at once, or refused.
    NowOrNever,
    /// Somebody is typing: worth nothing to a user who is not there.
    Typing,
}

/// How a message left the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Deleted,
    Expired,
    Buried,
}

/// One transaction by which the node sent a message to a contact.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub contact: String,
    /// From the store, and not a live relay.
    pub is_dump: bool,
    pub is_udp: bool,
    pub started_us: u64,
    /// After this an answer comes too late.
    pub until_us: u64,
    pub life: Life,
    /// The final answer that the node got in time, or nearly so.
    pub answer: Option<(u16, u64)>,
    /// It was in time.
    pub is_sure: bool,
    /// It was sent while its inbox could not know what the disk has.
    pub was_blind: bool,
}

impl Attempt {
    /// The node knows that the contact has it.
    pub fn succeeded(&self) -> bool {
        self.answer.is_some_and(|(code, _)| is_success(code))
    }
}

/// 2xx, and 6xx: delivered but refused.
pub const fn is_success(code: u16) -> bool {
    matches!(code, 200..=299 | 600..)
}

/// Answers that count against the message and not against the contact.
pub const fn is_rejection(code: u16) -> bool {
    let is_unreachable =
        matches!(code, 404 | 408 | 410 | 416 | 430 | 480 | 484 | 486 | 500 | 503 | 504);
    matches!(code, 300..=599) && !is_unreachable
}

/// A message from the cradle to the grave.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// `user@domain`.
    pub owner: String,
    pub kind: Kind,
    /// When the node said 202.
    pub accepted_us: Option<u64>,
    /// What its sender heard last.
    pub heard: Option<u16>,
    /// The branches under which its sender sent it, and when each was new to the node.
    pub came_under: BTreeMap<String, u64>,
    /// A put was asked for and the last answer, if there was one, was a failure: in which life,
    /// and since when.
    pub doubt: Option<(u64, Life)>,
    /// Put, durable and said so: when, in which life.
    pub stored: Option<(u64, Life)>,
    /// The store's answer to some put was that it has it.
    pub is_durable: bool,
    /// Its place, once the store has had it.
    pub key: Option<Key>,
    /// In the inbox just now, dead letters not counted.
    pub is_in_store: bool,
    /// When it ends, in seconds since 1970, once the store has had it.
    pub expires_s: i64,
    pub attempts: Vec<Attempt>,
    /// Answers in time that blame the message.
    pub rejections: u32,
    /// Devices that answered 2xx or 6xx, with the moment; retransmissions not counted.
    pub shown: Vec<(u64, String)>,
    pub left: Option<Left>,
    /// A crash undid its delete.
    pub came_back: bool,
    /// The node has found it expired. That the clock was set back since does not matter.
    pub is_condemned: bool,
}

impl Letter {
    /// When a copy came last; of those that came up to a moment.
    pub fn last_copy_us(&self, up_to_us: u64) -> u64 {
        let copies = self.came_under.values().copied();
        copies.filter(|at_us| *at_us <= up_to_us).max().unwrap_or(0)
    }

    /// A success that `life` knows of, and when it came.
    pub fn success_in(&self, life: Life) -> Option<u64> {
        let known = |a: &&Attempt| a.is_dump && a.life == life && a.succeeded();
        self.attempts.iter().find(known).and_then(|a| a.answer).map(|(_, at_us)| at_us)
    }

    /// The attempt that surely succeeded first, if one did: it, and when.
    pub fn first_success(&self) -> Option<(&Attempt, u64)> {
        let done = self.attempts.iter().filter(|a| a.is_sure && a.succeeded());
        done.filter_map(|a| a.answer.map(|(_, at_us)| (a, at_us))).min_by_key(|(_, at_us)| *at_us)
    }
}
