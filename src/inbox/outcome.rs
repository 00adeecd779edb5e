//! A message goes to a contact, and what its answer means.
//!
//! The policy is *first 2xx wins*: a message goes to the best contact; if that fails, to the
//! next; one copy for each device. When no contact is left, either the message is at fault (some
//! contact was there and would not have it): that counts an attempt, and the message gets a time
//! of its own; or nobody could be had: that is not the message's fault, and the pass ends.

use super::Inbox;
use super::dump::{Pass, Phase};
use super::io::{Effect, Op};
use super::removal::Way;
use crate::vocab::{Answer, Contact, End, Key, Message, Now, Outcome, Reach};
use std::sync::Arc;
use std::time::Duration;

/// A contact that had its chance with the message in flight.
#[derive(Clone, Debug)]
struct Tried {
    contact: Contact,
    /// False when only this way to the device failed, not the device (RFC 5626 section 7).
    whole_device: bool,
}

/// The message that a contact has.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    op: Op,
    message: Arc<Message>,
    contact: Contact,
    tried: Vec<Tried>,
    /// Some contact was there and would not have it.
    is_at_fault: bool,
}

impl Flight {
    pub(super) fn key(&self) -> Key {
        self.message.key
    }

    /// True when `contact` is not to be tried again with this message now.
    fn is_spent(&self, contact: &Contact) -> bool {
        self.tried.iter().any(|t| {
            is_same_binding(&t.contact, contact)
                || (t.whole_device && is_same_device(&t.contact, contact))
        })
    }
}

fn is_same_binding(a: &Contact, b: &Contact) -> bool {
    a.uri == b.uri && a.next_hop == b.next_hop && a.expires_us == b.expires_us
}

fn is_same_device(a: &Contact, b: &Contact) -> bool {
    a.instance.is_some() && a.instance == b.instance
}

/// True when the failure tells of one flow to a device and not of the device: its other flows
/// may still be tried (RFC 5626 section 7).
const fn is_of_the_flow(code: Option<u16>) -> bool {
    matches!(code, None | Some(408 | 430))
}

impl Inbox {
    /// Sends the message to the best contact that may be tried.
    pub(super) fn send(
        &mut self,
        pass: Pass,
        message: Message,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Phase {
        let Some(contact) = self.best(now, |_| false) else {
            // Whoever calls has made sure of a contact; without one the pass just ends later.
            self.dump.want();
            return Phase::Idle;
        };
        let op = self.new_op();
        let message = Arc::new(message);
        out.push(Effect::Deliver { op, message: message.clone(), contact: contact.clone() });
        let flight = Flight { op, message, contact, tried: Vec::new(), is_at_fault: false };
        Phase::Sending { pass, flight }
    }

    fn best(&self, now: Now, is_spent: impl Fn(&Contact) -> bool) -> Option<Contact> {
        let mut live = self.reach.for_messages(now.unix_us);
        live.find(|c| self.retries.allow(c, now) && !is_spent(c)).cloned()
    }

    pub(super) fn outcome(&mut self, op: Op, outcome: Outcome, now: Now, out: &mut Vec<Effect>) {
        if !matches!(&self.dump.phase, Phase::Sending { flight, .. } if flight.op == op) {
            return;
        }
        let phase = std::mem::replace(&mut self.dump.phase, Phase::Idle);
        let Phase::Sending { pass, mut flight } = phase else { return };
        self.dump.phase = match outcome {
            Outcome::Delivered | Outcome::Refused => {
                self.retries.answered(&flight.contact);
                self.submissions.memory.remember(flight.key().id, Answer::Duplicate);
                self.remove(flight.key(), Way::Delete(End::Delivered), pass.epoch, now, out);
                Phase::Ready(pass)
            }
            Outcome::Unreachable { retry_after, code } => {
                let whole_device = !is_of_the_flow(code);
                self.strike(&flight.contact, whole_device, retry_after, now);
                flight.tried.push(Tried { contact: flight.contact.clone(), whole_device });
                self.pass_on(pass, flight, now, out)
            }
            Outcome::Unfit { .. } | Outcome::Rejected { .. } => {
                self.retries.answered(&flight.contact);
                flight.tried.push(Tried { contact: flight.contact.clone(), whole_device: true });
                flight.is_at_fault = true;
                self.pass_on(pass, flight, now, out)
            }
        };
    }

    /// The contact failed: the next one gets the message, if there is one.
    fn pass_on(
        &mut self,
        pass: Pass,
        mut flight: Flight,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Phase {
        let key = flight.key();
        let reach = self.reach.clone();
        flight.tried.retain(|t| {
            let is_there =
                |c: &Contact| is_same_binding(c, &t.contact) || is_same_device(c, &t.contact);
            reach.contacts().iter().any(is_there)
        });
        if flight.message.is_expired(now.unix_s()) {
            self.remove(key, Way::Delete(End::Expired), pass.epoch, now, out);
            return Phase::Ready(pass);
        }
        if let Some(contact) = self.best(now, |c| flight.is_spent(c)) {
            flight.op = self.new_op();
            flight.contact = contact.clone();
            let message = flight.message.clone();
            out.push(Effect::Deliver { op: flight.op, message, contact });
            return Phase::Sending { pass, flight };
        }
        if flight.is_at_fault {
            self.count_attempt(&flight.message, pass.epoch, now, out);
            return Phase::Ready(pass);
        }
        // Nobody could be had. The message keeps its place: the next pass begins with it.
        self.dump.want();
        self.remember_left(Some(key), &pass);
        Phase::Idle
    }

    /// A pass ends without its end. Until the next one new messages are relayed past those that
    /// are left: copies of these must be known.
    pub(super) fn remember_left(&mut self, in_flight: Option<Key>, pass: &Pass) {
        for key in in_flight.into_iter().chain(pass.keys()) {
            self.submissions.memory.remember(key.id, Answer::Duplicate);
        }
    }

    /// A message had its chance with every contact that could be had, and none took it.
    fn count_attempt(&mut self, message: &Message, epoch: u32, now: Now, out: &mut Vec<Effect>) {
        let key = message.key;
        let attempts = self.retries.attempts(key, message.attempts).saturating_add(1);
        if self.settings.attempts_max > 0 && attempts >= self.settings.attempts_max {
            self.remove(key, Way::Bury, epoch, now, out);
            return;
        }
        out.push(Effect::SetAttempts { key, attempts });
        self.retries.defer(key, attempts, &self.settings.backoff, now, &mut self.chance);
    }

    /// Stops using a contact, or with `whole_device` all contacts of its device, for a while.
    /// A binding that was refreshed or replaced meanwhile is another one and stays in use.
    fn strike(
        &mut self,
        failed: &Contact,
        whole_device: bool,
        retry_after: Option<Duration>,
        now: Now,
    ) {
        let retry_after = retry_after.map(|d| d.min(self.settings.retry_after_max));
        for contact in self.reach.contacts() {
            if is_same_binding(failed, contact) || (whole_device && is_same_device(failed, contact))
            {
                let backoff = &self.settings.backoff;
                self.retries.strike(contact, retry_after, backoff, now, &mut self.chance);
            }
        }
    }

    /// A live relay found nobody at any contact of `reach`.
    pub(super) fn found_dead(&mut self, reach: &Reach, now: Now) {
        for contact in reach.contacts() {
            self.strike(contact, false, None, now);
        }
    }

    /// A live relay found somebody: messages that wait may go, too.
    pub(super) fn found_alive(&mut self, now: Now) {
        self.retries.forgive();
        if self.is_online(now) && self.tally.held().is_none_or(|held| held > self.accounted()) {
            self.dump.want();
        }
    }
}
