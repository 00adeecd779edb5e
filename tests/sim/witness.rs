//! Sees everything that happens in a world, and knows what must not.
//!
//! It stands at the places where the node meets the world: at its wire, at its store, and beside
//! the agents. It keeps books of its own and never asks the node.

use super::clock::SimClock;
use super::letter::{Attempt, Kind, Left, Letter, Life, is_rejection, is_success};
use super::text::Sip;
use sipsilo::vocab::{Clock, Key, Message, Path, Transport, limits};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Deliveries of one inbox that a crash may repeat: the removals the store has not answered, and
/// the one in flight.
const REPEATS_MAX: u32 = 9;
/// An answer that comes so shortly before the node gives up may cross with that.
const SLACK_US: u64 = 50_000;
/// After a failed read an inbox leaves the store alone for at most so long. Messages that come
/// meanwhile for somebody who is there are relayed rather than refused.
const STORE_REST_US: u64 = 36_000_000;
/// So long an actor that has nothing to do stays.
const AOR_IDLE_US: u64 = limits::AOR_IDLE.as_micros() as u64;

/// The times that a world gives its node.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub delivery_timeout: Duration,
    pub relay_window: Duration,
    pub attempts_max: u16,
    pub max_messages: u32,
}

/// The witness. Clones of the [`Arc`] stand everywhere.
pub struct Witness {
    pub clock: Arc<SimClock>,
    limits: Limits,
    book: Mutex<Book>,
}

#[derive(Default)]
pub struct Book {
    pub letters: BTreeMap<u64, Letter>,
    by_branch: BTreeMap<String, (u64, usize)>,
    node: u32,
    node_began_us: u64,
    deaths: BTreeMap<String, (u32, u64)>,
    repeats: BTreeMap<(String, Life), u32>,
    /// When the disk last failed to tell what an inbox holds.
    blind_us: BTreeMap<String, u64>,
    /// The last life of the node that ended in order, with nothing under way.
    went_well: Option<u32>,
    pub log: Vec<String>,
    pub broken: Vec<String>,
}

impl Book {
    fn life(&self, owner: &str) -> Life {
        Life { node: self.node, actor: self.deaths.get(owner).map_or(0, |(deaths, _)| *deaths) }
    }

    /// The inbox of `owner` may not know what the disk has.
    fn is_blind(&self, owner: &str, now_us: u64) -> bool {
        self.blind_us.get(owner).is_some_and(|at_us| now_us < at_us + STORE_REST_US)
    }

    fn life_began_us(&self, owner: &str) -> u64 {
        self.deaths.get(owner).map_or(0, |(_, at_us)| *at_us).max(self.node_began_us)
    }
}

/// The number in `m17@sim`, or in the body `text 17`.
fn serial_of(sip: &Sip) -> Option<u64> {
    sip.text().strip_prefix("text ")?.split(' ').next()?.parse().ok()
}

fn serial_of_call(call_id: &str) -> Option<u64> {
    call_id.strip_prefix('m')?.strip_suffix("@sim")?.parse().ok()
}

/// The branch of the top Via.
pub fn branch_of(sip: &Sip) -> String {
    let via = sip.header("Via").unwrap_or_default();
    let branch = via.split(";branch=").nth(1).unwrap_or_default();
    branch.split([';', ',']).next().unwrap_or_default().to_owned()
}

impl Witness {
    pub fn new(clock: Arc<SimClock>, limits: Limits) -> Self {
        Self { clock, limits, book: Mutex::default() }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        self.clock.since_start_us()
    }

    /// Writes a line into the chronicle.
    pub fn note(&self, what: &str) {
        let line = format!("{:>11.3} {what}", self.now_us() as f64 / 1e3);
        self.book().log.push(line);
    }

    /// A law was broken.
    pub fn accuse(&self, what: String) {
        self.note(&format!("!! {what}"));
        self.book().broken.push(what);
    }

    /// The node is up, for the first time or again.
    pub fn node_began(&self) {
        let now_us = self.now_us();
        let mut book = self.book();
        book.node += 1;
        book.node_began_us = now_us;
        book.deaths.clear();
        drop(book);
        self.note("node up");
    }

    /// The node went down in order and had time to end what was under way.
    pub fn node_went_well(&self) {
        let mut book = self.book();
        book.went_well = Some(book.node);
        drop(book);
        self.note("node has gone in order");
    }

    /// The actor of `owner` dies.
    pub fn actor_dies(&self, owner: &str) {
        let now_us = self.now_us();
        let mut book = self.book();
        let entry = book.deaths.entry(owner.to_owned()).or_default();
        *entry = (entry.0 + 1, now_us);
        drop(book);
        self.note(&format!("actor of {owner} dies"));
    }

    /// A sender is about to send this message for the first time.
    pub fn written(&self, serial: u64, owner: String, kind: Kind) {
        self.note(&format!("m{serial} written to {owner}, {kind:?}"));
        self.book().letters.insert(serial, Letter { owner, kind, ..Letter::default() });
    }

    /// Its sender heard a final answer, or gave up.
    pub fn heard(&self, serial: u64, code: Option<u16>) {
        self.note(&format!("m{serial} its sender hears {code:?}"));
        if let Some(letter) = self.book().letters.get_mut(&serial) {
            letter.heard = code.or(letter.heard);
        }
    }

    /// A device answers this message for the first time.
    pub fn answered(&self, sip: &Sip, device: &str, code: u16) {
        let Some(serial) = serial_of(sip) else { return };
        self.note(&format!("m{serial} {device} answers {code}"));
        let now_us = self.now_us();
        if let Some(letter) = self.book().letters.get_mut(&serial)
            && is_success(code)
        {
            letter.shown.push((now_us, device.to_owned()));
        }
    }

    /// Something arrived at the node.
    pub fn node_received(&self, bytes: &[u8]) {
        let sip = Sip::read(bytes);
        let (branch, now_us) = (branch_of(&sip), self.now_us());
        let mut book = self.book();
        if sip.is("MESSAGE") {
            let Some(letter) = serial_of(&sip).and_then(|s| book.letters.get_mut(&s)) else {
                return;
            };
            letter.came_under.entry(branch).or_insert(now_us);
            return;
        }
        let code = sip.code();
        let Some((serial, index)) = book.by_branch.get(&branch).copied() else { return };
        let node = book.node;
        let Some(letter) = book.letters.get_mut(&serial) else { return };
        let attempt = &mut letter.attempts[index];
        if code < 200 || attempt.answer.is_some() || attempt.life.node != node {
            return;
        }
        if now_us < attempt.until_us + SLACK_US {
            attempt.answer = Some((code, now_us));
            attempt.is_sure = now_us + SLACK_US < attempt.until_us;
            letter.rejections += u32::from(attempt.is_dump && is_rejection(code));
        }
        drop(book);
        self.note(&format!("m{serial} node gets {code}"));
    }

    /// Something leaves the node.
    pub fn node_sends(&self, path: &Path, bytes: &[u8]) {
        let sip = Sip::read(bytes);
        if sip.is("MESSAGE") {
            if let Some(serial) = serial_of(&sip) {
                self.sent_out(serial, path.transport, &sip);
            }
        } else if sip.code() == 202
            && let Some(serial) = sip.header("Call-ID").and_then(serial_of_call)
        {
            self.said_202(serial);
        }
    }

    fn said_202(&self, serial: u64) {
        let now_us = self.now_us();
        let mut book = self.book();
        let Some(letter) = book.letters.get_mut(&serial) else { return };
        let is_durable = match letter.kind {
            Kind::Kept | Kind::NowOrNever => letter.is_durable,
            // Nobody takes custody of it.
            Kind::Typing => return,
        };
        letter.accepted_us.get_or_insert(now_us);
        drop(book);
        self.note(&format!("m{serial} node says 202"));
        if !is_durable {
            self.accuse(format!("durable first: m{serial} got a 202 before the store had it"));
        }
    }

    fn sent_out(&self, serial: u64, transport: Transport, sip: &Sip) {
        let branch = branch_of(sip);
        let now_us = self.now_us();
        let mut book = self.book();
        if book.by_branch.contains_key(&branch) {
            return;
        }
        let Some(letter) = book.letters.get(&serial) else { return };
        let call_id = sip.header("Call-ID").unwrap_or_default();
        let is_dump = serial_of_call(call_id).is_none();
        let window = if is_dump { self.limits.delivery_timeout } else { self.limits.relay_window };
        let attempt = Attempt {
            contact: sip.start.split(' ').nth(1).unwrap_or_default().to_owned(),
            is_dump,
            is_udp: transport == Transport::Udp,
            started_us: now_us,
            until_us: now_us + window.as_micros() as u64,
            life: book.life(&letter.owner),
            answer: None,
            is_sure: false,
            was_blind: book.is_blind(&letter.owner, now_us),
        };
        let mut wrong = self.judge(&book, serial, &attempt);
        let owner = letter.owner.clone();
        let known_in = letter.first_success().map(|(a, _)| a.life);
        if is_dump && known_in.is_some_and(|life| Some(life.node) == book.went_well) {
            wrong.push(format!("once: m{serial} is repeated after a restart in order"));
        }
        let is_repeat = is_dump && known_in.is_some_and(|life| life != attempt.life);
        if is_repeat && !letter.came_back {
            let repeats = book.repeats.entry((owner, attempt.life)).or_default();
            *repeats += 1;
            if *repeats > REPEATS_MAX {
                wrong.push(format!("at least once: {repeats} messages repeated after a crash"));
            }
        }
        let what = if is_dump { "dumped" } else { "relayed" };
        let line = format!("m{serial} {what} to {}", attempt.contact);
        if let Some(letter) = book.letters.get_mut(&serial) {
            letter.attempts.push(attempt);
            let index = letter.attempts.len() - 1;
            book.by_branch.insert(branch, (serial, index));
        }
        drop(book);
        self.note(&line);
        wrong.into_iter().for_each(|what| self.accuse(what));
    }

    /// What is wrong with a delivery that begins.
    fn judge(&self, book: &Book, serial: u64, attempt: &Attempt) -> Vec<String> {
        let mut wrong = Vec::new();
        let letter = &book.letters[&serial];
        if is_needless(letter, attempt) {
            wrong.push(format!("once: m{serial} is sent again though the node knows it arrived"));
        }
        if !attempt.is_dump {
            return wrong;
        }
        let unix_s = self.clock.now().unix_s();
        if letter.expires_s <= unix_s {
            wrong.push(format!("expiry: m{serial} is sent after its time"));
        }
        let others = book.letters.iter().filter(|(s, l)| **s != serial && l.owner == letter.owner);
        for (other, earlier) in others {
            if is_overtaken(book, earlier, letter, attempt.life, unix_s) {
                wrong.push(format!("order: m{serial} overtakes m{other}, which nobody rejected"));
            }
            let is_open = |a: &&Attempt| {
                a.is_dump
                    && a.is_udp
                    && a.life == attempt.life
                    && a.contact == attempt.contact
                    && a.answer.is_none()
                    && attempt.started_us + 1_000 < a.until_us
            };
            if earlier.attempts.iter().any(|a| is_open(&a)) {
                wrong.push(format!("order: m{serial} is sent while the contact has m{other}"));
            }
        }
        wrong
    }

    /// A put is asked for: until it is answered, nobody knows whether it happened. Answers in
    /// which life of its actor that is.
    pub fn asked_to_put(&self, message: &Message) -> Life {
        let now_us = self.now_us();
        let mut book = self.book();
        let life = book.life(message.owner.as_str());
        if let Some(letter) = serial_in(message).and_then(|s| book.letters.get_mut(&s)) {
            letter.doubt = Some((now_us, life));
        }
        life
    }

    /// A put that was asked for in `life` was answered well: the node may say so.
    pub fn put_answered(&self, message: &Message, is_first: bool, life: Life) {
        let now_us = self.now_us();
        let Some(serial) = serial_in(message) else { return };
        let mut book = self.book();
        let is_heard = book.life(message.owner.as_str()) == life;
        let Some(letter) = book.letters.get_mut(&serial) else { return };
        letter.is_durable = true;
        if is_heard {
            letter.doubt = None;
        }
        if is_first {
            letter.stored.get_or_insert((now_us, life));
        }
        drop(book);
        self.note(&format!("m{serial} durable, first {is_first}"));
    }

    /// Messages were read from the disk: they are durable, whatever became of the puts' answers.
    pub fn read(&self, messages: &[Message]) {
        let mut book = self.book();
        for serial in messages.iter().filter_map(serial_in) {
            if let Some(letter) = book.letters.get_mut(&serial) {
                letter.is_durable = true;
            }
        }
    }

    /// The disk does not tell what an inbox holds.
    pub fn not_read(&self, owner: &str) {
        let now_us = self.now_us();
        self.book().blind_us.insert(owner.to_owned(), now_us);
    }

    /// The disk has a message now.
    pub fn applied(&self, message: &Message, held: u32) {
        let Some(serial) = serial_in(message) else { return };
        let mut book = self.book();
        let Some(letter) = book.letters.get_mut(&serial) else { return };
        letter.key = Some(message.key);
        letter.expires_s = message.expires_s;
        letter.is_in_store = true;
        let is_kept = letter.kind == Kind::Kept;
        drop(book);
        if !is_kept {
            self.accuse(format!("m{serial} is stored, though it is not to be kept"));
        }
        self.note(&format!("m{serial} on disk, {held} in the inbox"));
        if self.limits.max_messages > 0 && held > self.limits.max_messages {
            self.accuse(format!("bounds: {} holds {held} messages", message.owner));
        }
    }

    fn with_key(&self, owner: &str, key: Key, act: impl FnOnce(u64, &mut Letter, Life)) {
        let mut book = self.book();
        let life = book.life(owner);
        let mut letters = book.letters.iter_mut();
        if let Some((serial, letter)) = letters.find(|(_, l)| l.key == Some(key)) {
            act(*serial, letter, life);
        }
    }

    /// The node asks for a message to be deleted. May it?
    pub fn asked_to_delete(&self, owner: &str, key: Key) {
        let now_s = self.clock.now().unix_s();
        let mut wrong = None;
        let mut line = String::new();
        self.with_key(owner, key, |serial, letter, life| {
            line = format!("m{serial} is to be deleted");
            letter.is_condemned |= letter.expires_s <= now_s;
            if letter.success_in(life).is_none() && !letter.is_condemned {
                wrong = Some(format!("custody: m{serial} is deleted, not delivered nor expired"));
            }
        });
        self.note(&line);
        wrong.into_iter().for_each(|what| self.accuse(what));
    }

    /// The node asks for a message to be made a dead letter. May it?
    pub fn asked_to_bury(&self, owner: &str, key: Key) {
        let mut wrong = None;
        let mut line = String::new();
        self.with_key(owner, key, |serial, letter, _| {
            line = format!("m{serial} is to be buried");
            if letter.rejections < u32::from(self.limits.attempts_max) {
                wrong = Some(format!("custody: m{serial} is buried too early"));
            }
        });
        self.note(&line);
        wrong.into_iter().for_each(|what| self.accuse(what));
    }

    /// A message left the inbox.
    pub fn left(&self, owner: &str, key: Key, how: Left) {
        let now_s = self.clock.now().unix_s();
        let mut line = String::new();
        self.with_key(owner, key, |serial, letter, _| {
            letter.is_in_store = false;
            let is_expired = how == Left::Deleted && letter.expires_s <= now_s;
            letter.left.get_or_insert(if is_expired { Left::Expired } else { how });
            line = format!("m{serial} left the inbox: {how:?}");
        });
        self.note(&line);
    }

    /// The node asks for a sweep. May it?
    pub fn asked_to_sweep(&self, unix_s: i64) {
        let now_s = self.clock.now().unix_s();
        if unix_s > now_s {
            self.accuse(format!("expiry: sweeps up to {unix_s} when it is {now_s}"));
        }
    }

    /// A crash undid the delete of a message.
    pub fn came_back(&self, owner: &str, key: Key) {
        let mut line = String::new();
        self.with_key(owner, key, |serial, letter, _| {
            (letter.is_in_store, letter.left, letter.came_back) = (true, None, true);
            line = format!("m{serial} is back");
        });
        self.note(&line);
    }

    /// Everything that was expired at `unix_s` was swept.
    pub fn swept(&self, unix_s: i64) {
        let mut lines = Vec::new();
        for (serial, letter) in &mut self.book().letters {
            if letter.is_in_store && letter.expires_s <= unix_s {
                letter.is_in_store = false;
                letter.left.get_or_insert(Left::Expired);
                lines.push(format!("m{serial} swept"));
            }
        }
        lines.iter().for_each(|line| self.note(line));
    }
}

/// True when a delivery begins of a message that the node must know to have arrived.
fn is_needless(letter: &Letter, attempt: &Attempt) -> bool {
    let Some((earlier, done_us)) = letter.first_success() else { return false };
    if earlier.life != attempt.life || done_us >= attempt.started_us {
        return false;
    }
    if !attempt.is_dump {
        // A copy came from its sender. An actor that has gone since does not know it; the phone
        // does, for it has the same Call-ID.
        return attempt.started_us < letter.last_copy_us(done_us) + AOR_IDLE_US;
    }
    // It was relayed though a put of it, by an actor that died, was open, or failed and happened.
    let could_not_know = letter.doubt.is_some_and(|(_, life)| life != earlier.life);
    let has_other_copy = letter.last_copy_us(u64::MAX) > done_us;
    !(has_other_copy || (could_not_know && !earlier.is_dump) || earlier.was_blind)
}

/// True when a stored message that was accepted before `letter` still waits, though nobody has
/// ever had a reason to put it off.
fn is_overtaken(book: &Book, earlier: &Letter, letter: &Letter, life: Life, unix_s: i64) -> bool {
    let Some((stored_us, stored_in)) = earlier.stored else { return false };
    let was_seen = stored_in == life || stored_us < book.life_began_us(&letter.owner);
    was_seen
        && earlier.is_in_store
        && earlier.expires_s > unix_s
        && earlier.key < letter.key
        && earlier.rejections == 0
        && earlier.success_in(life).is_none()
}

fn serial_in(message: &Message) -> Option<u64> {
    serial_of_call(std::str::from_utf8(&message.call_id).ok()?)
}
