//! The dump: stored messages go out, page by page, one at a time.
//!
//! A *pass* reads the inbox from the oldest message to the end and gives every message it may
//! send one chance. It has two rounds: messages that never failed, then those that did and whose
//! time has come. So a message that is rejected again and again never stands in the way of
//! another. What a pass must not lose sight of:
//!
//! * A message that becomes durable during a pass is in it: the pass is set back to it.
//! * A message is not sent while one that was accepted before it is not durable yet.
//! * A pass without an end (no contact left) is taken up again from the oldest message.
//! * A pass that ended and did not meet as many messages as are held is repeated.

use super::Inbox;
use super::io::{Effect, Op};
use super::outcome::Flight;
use super::removal::Way;
use super::settings::STORE_BACKOFF;
use crate::vocab::{End, Key, Message, MessageId, Now};
use std::collections::VecDeque;

/// Which messages a pass looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Those that never failed.
    Fresh,
    /// Those that failed, too.
    Tried,
}

/// One way through the inbox.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    round: Round,
    /// Read and not looked at yet, by rising key.
    page: VecDeque<Message>,
    /// The last key read.
    after: Option<Key>,
    /// Nothing lies behind `after`.
    is_last: bool,
    /// Messages that failed before were met, and are due.
    met_tried: bool,
    /// Messages were left out, because too many were rejected.
    is_partial: bool,
    started_us: i64,
    /// The tally's epoch when the page was read.
    pub(super) epoch: u32,
}

/// Where the dump is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// The store reads a page.
    Loading {
        op: Op,
        pass: Pass,
        /// The lowest message that became durable since.
        late: Option<Key>,
        /// True while the page, if it is the whole inbox, tells the number of messages held.
        is_sure: bool,
    },
    /// A page is there; the next message waits for a put or a removal, or goes out now.
    Ready(Pass),
    /// A contact has a message.
    Sending { pass: Pass, flight: Flight },
}

/// The dump and what it waits for.
#[derive(Clone, Debug)]
pub(super) struct Dump {
    pub(super) phase: Phase,
    /// A pass is to begin as soon as a contact may be tried.
    wanted: bool,
    /// This inbox has begun a pass, or knows the schedule of one that did.
    pub(super) has_run: bool,
    /// No pass begins before: the store failed, or what it says does not add up.
    rest_until_us: i64,
    load_failures: u32,
    mismatches: u32,
}

/// What to do with a message of the page.
enum Verdict {
    Skip,
    SecondRound,
    LeaveOut,
    Wait,
    Expire,
    Send,
}

impl Pass {
    fn new(now: Now) -> Self {
        Self {
            round: Round::Fresh,
            page: VecDeque::new(),
            after: None,
            is_last: false,
            met_tried: false,
            is_partial: false,
            started_us: now.unix_us,
            epoch: 0,
        }
    }

    /// What was read and not looked at yet.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.page.iter().map(|message| message.key)
    }

    /// Makes sure that the message at `key`, durable just now, is not passed by.
    fn set_back(&mut self, key: Key) {
        if self.round == Round::Tried {
            self.page.clear();
            self.round = Round::Fresh;
            self.met_tried = true;
            self.after = Some(just_before(key));
        } else if self.after.is_some_and(|after| key <= after) {
            if self.page.iter().any(|m| m.key == key) {
                return;
            }
            self.page.retain(|m| m.key < key);
            self.after = Some(just_before(key));
        }
        self.is_last = false;
    }
}

/// A key below `key`, and above every other key an inbox may hold below it.
const fn just_before(key: Key) -> Key {
    Key { inc_us: key.inc_us.saturating_sub(1), id: MessageId([0xff; 16]) }
}

impl Dump {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            wanted: false,
            has_run: false,
            rest_until_us: i64::MIN,
            load_failures: 0,
            mismatches: 0,
        }
    }

    pub(super) const fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    pub(super) const fn is_loading(&self) -> bool {
        matches!(self.phase, Phase::Loading { .. })
    }

    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    pub(super) const fn drop_wish(&mut self) {
        self.wanted = false;
    }

    /// Forgets that the numbers did not add up: a new reason to look has come.
    pub(super) fn trust(&mut self) {
        if self.mismatches > 0 {
            self.mismatches = 0;
            self.rest_until_us = if self.load_failures > 0 { self.rest_until_us } else { i64::MIN };
        }
    }

    /// True when no pass may begin yet, whoever is there.
    pub(super) const fn is_resting(&self, now: Now) -> bool {
        self.rest_until_us > now.unix_us
    }

    pub(super) const fn rest_until_us(&self) -> i64 {
        self.rest_until_us
    }

    /// A write began or something vanished: the page under way does not tell the number.
    pub(super) const fn spoil(&mut self) {
        if let Phase::Loading { is_sure, .. } = &mut self.phase {
            *is_sure = false;
        }
    }

    /// Messages of the page in memory, and the one in flight.
    pub(super) fn in_view(&self) -> usize {
        self.page_len() + usize::from(matches!(self.phase, Phase::Sending { .. }))
    }

    /// Messages of the page in memory.
    pub(super) fn page_len(&self) -> usize {
        match &self.phase {
            Phase::Idle | Phase::Loading { .. } => 0,
            Phase::Ready(pass) | Phase::Sending { pass, .. } => pass.page.len(),
        }
    }
}

impl Inbox {
    /// A message became durable: if somebody is there, it goes out in its turn.
    pub(super) fn arrived(&mut self, key: Key, now: Now) {
        match &mut self.dump.phase {
            Phase::Idle => {
                if self.is_online(now) {
                    self.dump.want();
                }
            }
            Phase::Loading { late, .. } => *late = Some(late.map_or(key, |k| k.min(key))),
            Phase::Ready(pass) | Phase::Sending { pass, .. } => pass.set_back(key),
        }
    }

    /// Goes on with the dump as far as it goes without an answer from outside.
    pub(super) fn advance_dump(&mut self, now: Now, out: &mut Vec<Effect>) {
        loop {
            match std::mem::replace(&mut self.dump.phase, Phase::Idle) {
                Phase::Idle => {
                    if self.tally.held() == Some(0) {
                        self.dump.wanted = false;
                    }
                    if !self.may_begin(now) {
                        return;
                    }
                    self.dump.wanted = false;
                    self.dump.has_run = true;
                    self.load(Pass::new(now), out);
                }
                Phase::Ready(pass) => {
                    self.dump.phase = self.next(pass, now, out);
                    if matches!(self.dump.phase, Phase::Ready(_)) {
                        return;
                    }
                }
                busy @ (Phase::Loading { .. } | Phase::Sending { .. }) => {
                    self.dump.phase = busy;
                    return;
                }
            }
        }
    }

    fn may_begin(&self, now: Now) -> bool {
        let is_wanted = self.dump.wanted && !self.retries.is_full();
        let is_due = self.retries.message_due_us().is_some_and(|us| us <= now.unix_us);
        (is_wanted || is_due)
            && self.tally.held() != Some(0)
            && !self.dump.is_resting(now)
            && self.is_reachable(now)
    }

    fn load(&mut self, mut pass: Pass, out: &mut Vec<Effect>) {
        let op = self.new_op();
        let is_sure = pass.after.is_none()
            && self.submissions.putting() == 0
            && self.removals.in_flight() == 0;
        pass.epoch = self.tally.epoch();
        out.push(Effect::Load { op, after: pass.after });
        self.dump.phase = Phase::Loading { op, pass, late: None, is_sure };
    }

    pub(super) fn loaded(&mut self, op: Op, page: Option<(Vec<Message>, bool)>, now: Now) {
        if !matches!(self.dump.phase, Phase::Loading { op: asked, .. } if asked == op) {
            return;
        }
        let phase = std::mem::replace(&mut self.dump.phase, Phase::Idle);
        let Phase::Loading { mut pass, late, is_sure, .. } = phase else { return };
        let (messages, is_last) = match page {
            Some((messages, is_last)) if is_last || !messages.is_empty() => (messages, is_last),
            Some(_) | None => {
                self.removals.forget_gone();
                self.rest(now);
                return;
            }
        };
        self.dump.load_failures = 0;
        if is_sure && is_last && self.tally.epoch() == pass.epoch {
            self.tally.set(u32::try_from(messages.len()).unwrap_or(u32::MAX));
        }
        if let Some(last) = messages.last() {
            pass.after = Some(last.key);
            self.seen(last.key);
        }
        // What is on its way out must not be met again when its removal is long done.
        pass.page = messages.into_iter().filter(|m| !self.removals.contains(m.key)).collect();
        self.removals.forget_gone();
        pass.is_last = is_last;
        if let Some(key) = late {
            // Others may have become durable behind it that the page does not show either.
            pass.page.retain(|m| m.key < key);
            pass.set_back(key);
        }
        self.dump.phase = Phase::Ready(pass);
    }

    /// The store could not be read: the pass begins again later.
    pub(super) fn rest(&mut self, now: Now) {
        self.dump.want();
        self.dump.load_failures = self.dump.load_failures.saturating_add(1);
        let delay_us = STORE_BACKOFF.delay_us(self.dump.load_failures, &mut self.chance);
        self.dump.rest_until_us = now.unix_us.saturating_add(delay_us);
    }

    /// Looks at the page, message by message, until one is sent or one has to wait.
    fn next(&mut self, mut pass: Pass, now: Now, out: &mut Vec<Effect>) -> Phase {
        if !self.is_reachable(now) {
            self.remember_left(None, &pass);
            return self.abandon(now);
        }
        while let Some(message) = pass.page.pop_front() {
            match self.judge(&message, pass.round, now) {
                Verdict::Skip => {}
                Verdict::SecondRound => pass.met_tried = true,
                Verdict::LeaveOut => self.leave_out(&mut pass, message.key),
                Verdict::Wait => {
                    pass.page.push_front(message);
                    return Phase::Ready(pass);
                }
                Verdict::Expire => {
                    self.remove(message.key, Way::Delete(End::Expired), pass.epoch, now, out);
                }
                Verdict::Send => return self.send(pass, message, now, out),
            }
        }
        if pass.is_last {
            if pass.round == Round::Tried || !pass.met_tried {
                self.finish(&pass);
                return Phase::Idle;
            }
            pass.round = Round::Tried;
            pass.met_tried = false;
            pass.after = None;
            pass.is_last = false;
        }
        self.load(pass, out);
        std::mem::replace(&mut self.dump.phase, Phase::Idle)
    }

    fn judge(&self, message: &Message, round: Round, now: Now) -> Verdict {
        let key = message.key;
        if self.submissions.fences(key) || self.removals.is_full() {
            return Verdict::Wait;
        }
        if message.is_expired(now.unix_s()) {
            return Verdict::Expire;
        }
        if self.retries.is_deferred(key, now) {
            return Verdict::Skip;
        }
        if !self.retries.has_room_for(key) {
            return Verdict::LeaveOut;
        }
        match round {
            Round::Fresh if self.retries.attempts(key, message.attempts) > 0 => {
                Verdict::SecondRound
            }
            Round::Fresh | Round::Tried => Verdict::Send,
        }
    }

    /// Too many messages were rejected to try another: the pass is only for those.
    fn leave_out(&self, pass: &mut Pass, key: Key) {
        pass.is_partial = true;
        let is_past = self.retries.last_deferred().is_none_or(|last| key > last);
        if pass.round == Round::Fresh || is_past {
            pass.met_tried = true;
            pass.page.clear();
            pass.is_last = true;
        }
    }

    /// Takes a message out of the inbox.
    pub(super) fn remove(
        &mut self,
        key: Key,
        way: Way,
        epoch: u32,
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        self.retries.forget(key);
        self.removals.add(key, way, epoch);
        self.advance_removals(now, out);
    }

    /// No contact may be tried: what is left stays. If there are contacts, the pass is taken up
    /// again when one may be tried; if not, at the next registration.
    fn abandon(&mut self, now: Now) -> Phase {
        self.dump.wanted = self.is_online(now);
        Phase::Idle
    }

    /// The whole inbox has been looked at.
    fn finish(&mut self, pass: &Pass) {
        self.retries.prune(pass.started_us);
        if pass.is_partial {
            self.dump.want();
        }
        if self.dump.wanted {
            return;
        }
        match self.tally.held() {
            Some(held) if held <= self.accounted() => self.dump.mismatches = 0,
            Some(_) | None => self.tally.want(),
        }
    }

    /// Messages that are known to be there and that no pass has to look for.
    pub(super) fn accounted(&self) -> u32 {
        let known = self.retries.deferred() + self.removals.open();
        u32::try_from(known).unwrap_or(u32::MAX)
    }

    /// The number of messages held is known anew, or could not be found out. If more are there
    /// than were met, somebody else put them: the inbox is read again, at once for the first
    /// time and then with back-off.
    pub(super) fn verify(&mut self, now: Now) {
        if self.dump.is_active() || self.dump.wanted || !self.is_online(now) {
            return;
        }
        match self.tally.held() {
            None => self.rest(now),
            Some(held) if held <= self.accounted() => self.dump.mismatches = 0,
            Some(_) => {
                self.dump.want();
                if self.dump.mismatches > 0 {
                    let delay_us =
                        self.settings.backoff.delay_us(self.dump.mismatches, &mut self.chance);
                    self.dump.rest_until_us = now.unix_us.saturating_add(delay_us);
                }
                self.dump.mismatches = self.dump.mismatches.saturating_add(1);
            }
        }
    }
}
