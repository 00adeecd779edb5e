//! What is not tried just now: contacts that could not be had, messages that were rejected.

use super::chance::Chance;
use super::settings::{Backoff, DEFERRED_MAX};
use crate::vocab::clock::micros;
use crate::vocab::{Contact, Key, NextHop, Now, Reach};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A contact that could not be had. It is told by its URI, its way and the end of its binding:
/// a contact that refreshes, or comes back over another flow, has a clean record by itself.
#[derive(Clone, Debug)]
struct Strike {
    uri: Arc<str>,
    next_hop: NextHop,
    expires_us: i64,
    failures: u32,
    until_us: i64,
}

impl Strike {
    fn is_of(&self, contact: &Contact) -> bool {
        self.expires_us == contact.expires_us
            && self.uri == contact.uri
            && self.next_hop == contact.next_hop
    }
}

/// A message that was rejected and has its own time of retry.
#[derive(Clone, Copy, Debug)]
struct Deferral {
    attempts: u16,
    until_us: i64,
}

/// All back-off of one inbox.
#[derive(Clone, Debug, Default)]
pub(super) struct Retries {
    strikes: Vec<Strike>,
    deferred: BTreeMap<Key, Deferral>,
}

impl Retries {
    /// True when `contact` may be tried at `now`.
    pub(super) fn allow(&self, contact: &Contact, now: Now) -> bool {
        !self.strikes.iter().any(|s| s.until_us > now.unix_us && s.is_of(contact))
    }

    /// Stops using `contact` for a while. One that is down already keeps its time, so that many
    /// senders who find it down at once do not push it ever further out.
    pub(super) fn strike(
        &mut self,
        contact: &Contact,
        retry_after: Option<Duration>,
        backoff: &Backoff,
        now: Now,
        chance: &mut Chance,
    ) {
        let index = self.strikes.iter().position(|s| s.is_of(contact)).unwrap_or_else(|| {
            self.strikes.push(Strike {
                uri: contact.uri.clone(),
                next_hop: contact.next_hop.clone(),
                expires_us: contact.expires_us,
                failures: 0,
                until_us: i64::MIN,
            });
            self.strikes.len() - 1
        });
        let strike = &mut self.strikes[index];
        if strike.until_us > now.unix_us {
            return;
        }
        strike.failures = strike.failures.saturating_add(1);
        let own_us = backoff.delay_us(strike.failures, chance);
        let asked_us = i64::try_from(micros(retry_after.unwrap_or_default())).unwrap_or(i64::MAX);
        strike.until_us = now.unix_us.saturating_add(own_us.max(asked_us));
    }

    /// `contact` answered: its record is clean.
    pub(super) fn answered(&mut self, contact: &Contact) {
        self.strikes.retain(|s| !s.is_of(contact));
    }

    /// Somebody vouches for the user: every contact may be tried.
    pub(super) fn forgive(&mut self) {
        self.strikes.clear();
    }

    /// Forgets contacts that are no longer there.
    pub(super) fn keep_only(&mut self, reach: &Reach) {
        self.strikes.retain(|s| reach.contacts().iter().any(|c| s.is_of(c)));
    }

    /// When the first of the live contacts may be tried. `None` = none of them before it expires.
    pub(super) fn contact_ready_us(&self, reach: &Reach, now: Now) -> Option<i64> {
        reach
            .for_messages(now.unix_us)
            .filter_map(|contact| {
                let strike = self.strikes.iter().find(|s| s.is_of(contact));
                let until_us = strike.map_or(now.unix_us, |s| s.until_us.max(now.unix_us));
                (until_us < contact.expires_us).then_some(until_us)
            })
            .min()
    }

    /// Contacts with a failure on their record.
    pub(super) const fn struck(&self) -> usize {
        self.strikes.len()
    }

    /// How often delivery of this message failed, as far as is known.
    pub(super) fn attempts(&self, key: Key, stored: u16) -> u16 {
        self.deferred.get(&key).map_or(stored, |d| d.attempts.max(stored))
    }

    /// Puts a rejected message off. Called once `attempts` counts the failure.
    pub(super) fn defer(
        &mut self,
        key: Key,
        attempts: u16,
        backoff: &Backoff,
        now: Now,
        chance: &mut Chance,
    ) {
        let delay_us = backoff.delay_us(u32::from(attempts), chance);
        let until_us = now.unix_us.saturating_add(delay_us);
        self.deferred.insert(key, Deferral { attempts, until_us });
    }

    /// True when this message has a time of its own, and it has not come at `now`.
    pub(super) fn is_deferred(&self, key: Key, now: Now) -> bool {
        self.deferred.get(&key).is_some_and(|d| d.until_us > now.unix_us)
    }

    /// True when this message may be sent: should it be rejected, there is room to remember it.
    /// Contacts that rejected as many messages as fit reject everything: nothing else is sent
    /// before one of those ends.
    pub(super) fn has_room_for(&self, key: Key) -> bool {
        !self.is_full() || self.deferred.contains_key(&key)
    }

    pub(super) fn is_full(&self) -> bool {
        self.deferred.len() >= DEFERRED_MAX
    }

    /// The last of the rejected messages.
    pub(super) fn last_deferred(&self) -> Option<Key> {
        self.deferred.last_key_value().map(|(key, _)| *key)
    }

    /// The message is on its way out of the inbox.
    pub(super) fn forget(&mut self, key: Key) {
        self.deferred.remove(&key);
    }

    /// A contact came that never saw the rejected messages: all are due.
    pub(super) fn hasten(&mut self, now: Now) {
        for deferral in self.deferred.values_mut() {
            deferral.until_us = deferral.until_us.min(now.unix_us);
        }
    }

    /// When the first rejected message is due.
    pub(super) fn message_due_us(&self) -> Option<i64> {
        self.deferred.values().map(|d| d.until_us).min()
    }

    /// Forgets messages that were due at `since_us`, when a whole pass began: had they still been
    /// there, the pass would have tried them, and they would be due later or gone.
    pub(super) fn prune(&mut self, since_us: i64) {
        self.deferred.retain(|_, deferral| deferral.until_us > since_us);
    }

    /// How many messages are known to wait for their own time.
    pub(super) fn deferred(&self) -> usize {
        self.deferred.len()
    }
}
