//! Goal: no order of events, failures and answers makes the inbox lose a message, send one twice
//! or out of turn, leave a sender without an answer, or stop with work to do.
//! Method: seeded worlds; a random step at a time, a checker after each.

use super::rig::{Rig, START_S, aor, contact, submission, unreachable};
use crate::inbox::chance::Chance;
use crate::inbox::settings::{DEFERRED_MAX, REMOVALS_MAX};
use crate::inbox::{Effect, Inbox, Input, LiveResult, Settings};
use crate::vocab::limits::AOR_PENDING_MAX;
use crate::vocab::{Answer, Contact, Key, Message, MessageId, Outcome, Reach};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

struct World {
    rig: Rig,
    chance: Chance,
    settings: Settings,
    submitted: u32,
    waiters: u32,
    /// Senders without an answer.
    open: BTreeSet<u64>,
    /// Ids by waiter.
    asked: BTreeMap<u64, MessageId>,
    accepted: BTreeSet<MessageId>,
    /// Ids that a contact took, live or from the store; those of the store by key.
    taken: BTreeSet<MessageId>,
    delivered: BTreeSet<Key>,
    /// Keys the inbox knows to be durable, and keys that some contact rejected.
    known: BTreeSet<Key>,
    rejected: BTreeSet<Key>,
    expired: BTreeSet<MessageId>,
    checked: usize,
    registrations: u16,
    /// The number may be off for good reasons: puts that failed and yet happened, or others' puts.
    is_foreign: bool,
    /// A put happened and the inbox was told that it failed: nobody looks for that message.
    has_lost_answer: bool,
    /// Somebody else put a message, and the inbox has not heard of it.
    unannounced: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let settings = Settings {
            max_messages: [0, 0, 3, 10][pick(&mut chance, 4)],
            attempts_max: [0, 2, 4][pick(&mut chance, 3)],
            ..Settings::default()
        };
        let held = [None, Some(0)][pick(&mut chance, 2)];
        let mut rig = Rig::with(settings.clone(), held);
        rig.is_slow = true;
        rig.page_messages = 1 + pick(&mut chance, 4);
        Self {
            rig,
            chance,
            settings,
            submitted: 0,
            waiters: 0,
            open: BTreeSet::new(),
            asked: BTreeMap::new(),
            accepted: BTreeSet::new(),
            taken: BTreeSet::new(),
            delivered: BTreeSet::new(),
            known: BTreeSet::new(),
            rejected: BTreeSet::new(),
            expired: BTreeSet::new(),
            checked: 0,
            registrations: 0,
            is_foreign: false,
            has_lost_answer: false,
            unannounced: false,
        }
    }

    fn percent(&mut self, share: u64) -> bool {
        self.chance.up_to(99) < share
    }

    fn step(&mut self, faults: bool) {
        match self.chance.up_to(99) {
            0..20 => self.submit(),
            20..28 => self.register(),
            28..31 => self.rig.unregister(),
            31..36 => {
                let by = Duration::from_millis(1 << self.chance.up_to(18));
                self.rig.pass(by);
            }
            36..42 if self.rig.wake_us.is_some() => {
                self.rig.wake();
            }
            42..70 => self.store_answers(faults),
            70..88 => self.contact_answers(faults),
            88..95 => self.relay_ends(),
            95..97 if faults => self.sweep(),
            97 if faults => self.crash(),
            98 if faults => {
                self.submitted += 1;
                self.is_foreign = true;
                let inc_s =
                    self.rig.now.unix_s() - 5 + i64::try_from(self.chance.up_to(5)).unwrap();
                self.rig.put_behind(self.submitted, inc_s);
                self.unannounced = true;
            }
            _ if self.unannounced => self.announce(),
            _ => {}
        }
        self.check();
    }

    fn submit(&mut self) {
        let again = self.submitted > 0 && self.percent(15);
        if !again {
            self.submitted += 1;
        }
        let lives_s = [None, Some(0), Some(5), Some(5_000), Some(50_000), Some(500_000)]
            [pick(&mut self.chance, 6)];
        let expires_s = lives_s.map(|s| self.rig.now.unix_s() + s);
        let mut submission = submission(self.submitted, expires_s);
        submission.storable = !self.submitted.is_multiple_of(10);
        self.waiters += 1;
        self.open.insert(u64::from(self.waiters));
        self.asked.insert(u64::from(self.waiters), submission.id);
        self.rig.submit_this(submission, self.waiters);
    }

    fn contacts(&mut self) -> Vec<Contact> {
        self.registrations += 1;
        let expires_s = self.rig.now.unix_s() + 3_600 + i64::from(self.registrations);
        let mut contacts = Vec::new();
        for (name, instance) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "")] {
            if self.percent(40) {
                let mut contact = contact(name, self.registrations % 3, expires_s);
                contact.instance = (!instance.is_empty()).then(|| instance.into());
                contact.takes_messages = self.percent(90);
                contacts.push(contact);
            }
        }
        contacts
    }

    fn register(&mut self) {
        let contacts = self.contacts();
        if self.percent(20) {
            // One contact unregisters.
            let mut contacts = self.rig.reach.contacts().to_vec();
            contacts.pop();
            self.rig.reach = Reach::new(contacts);
            self.rig.give(Input::Reach { reach: self.rig.reach.clone(), dump: false });
        } else {
            self.rig.register_these(contacts);
        }
    }

    fn store_answers(&mut self, faults: bool) {
        if self.rig.kept_back.is_empty() {
            return;
        }
        let index = pick(&mut self.chance, self.rig.kept_back.len());
        let effect = self.rig.kept_back.remove(index).unwrap();
        let fails = faults && self.percent(10);
        let mut input = self.rig.run(&effect, fails);
        match &effect {
            Effect::Put { message, .. } if fails && self.chance.up_to(1) == 0 => {
                // The write happened, and its answer was lost.
                self.is_foreign = true;
                self.has_lost_answer = true;
                self.rig.store.insert(message.key, (**message).clone());
            }
            Effect::Put { message, .. } if !fails => {
                self.known.insert(message.key);
            }
            Effect::Delete { key, .. } if fails && self.chance.up_to(1) == 0 => {
                self.rig.store.remove(key);
            }
            Effect::Load { .. } if !fails && self.percent(30) => {
                // The page is read now and arrives later.
                let others = self.rig.kept_back.len();
                if others > 0 {
                    let index = pick(&mut self.chance, others);
                    if !matches!(self.rig.kept_back[index], Effect::Load { .. }) {
                        let other = self.rig.kept_back.remove(index).unwrap();
                        let early = self.rig.run(&other, false);
                        if let Effect::Put { message, .. } = &other {
                            self.known.insert(message.key);
                        }
                        self.rig.give(early);
                        self.check();
                    }
                }
            }
            _ => {}
        }
        if let Input::PutDone { .. } = &mut input {
            self.check_limit();
        }
        self.rig.give(input);
    }

    fn check_limit(&self) {
        let max = usize::try_from(self.settings.max_messages).unwrap();
        if max > 0 && !self.is_foreign {
            assert!(self.rig.store.len() <= max, "the mailbox holds more than its limit");
        }
    }

    fn contact_answers(&mut self, faults: bool) {
        if self.rig.deliveries.is_empty() {
            return;
        }
        let outcome = match self.chance.up_to(9) {
            0 if faults => unreachable(),
            1 if faults => Outcome::Unreachable {
                retry_after: Some(Duration::from_secs(self.chance.up_to(100))),
                code: Some(486),
            },
            2 if faults => Outcome::Unfit { code: 415 },
            3 if faults => Outcome::Rejected { code: 403 },
            4 => Outcome::Refused,
            _ => Outcome::Delivered,
        };
        let key = self.rig.deliveries[0].message.key;
        match outcome {
            Outcome::Delivered | Outcome::Refused => {
                self.delivered.insert(key);
                self.taken.insert(key.id);
            }
            Outcome::Unfit { .. } | Outcome::Rejected { .. } => {
                self.rejected.insert(key);
            }
            Outcome::Unreachable { .. } => {}
        }
        self.rig.answer(outcome);
    }

    fn relay_ends(&mut self) {
        if self.rig.relays.is_empty() {
            return;
        }
        let index = pick(&mut self.chance, self.rig.relays.len());
        let relay = self.rig.relays.remove(index);
        let result = if self.percent(50) { LiveResult::Passed } else { LiveResult::Failed };
        if result == LiveResult::Passed {
            assert!(self.open.remove(&relay.1.0), "answered twice: {:?}", relay.1);
        }
        self.rig.give(Input::LiveDone { op: relay.0, result });
    }

    fn announce(&mut self) {
        self.unannounced = false;
        self.rig.give(Input::Vanished { messages: 0 });
    }

    /// The store sweeps expired messages, and says so at once or while the inbox counts.
    fn sweep(&mut self) {
        let now_s = self.rig.now.unix_s();
        let before = self.rig.store.len();
        self.rig.store.retain(|_, m| !m.is_expired(now_s));
        let messages = u32::try_from(before - self.rig.store.len()).unwrap();
        if messages > 0 {
            self.rig.give(Input::Vanished { messages });
        }
    }

    /// The process dies and comes back: what was not answered may have happened or not.
    fn crash(&mut self) {
        for effect in std::mem::take(&mut self.rig.kept_back) {
            if self.percent(50) {
                if let Effect::Put { message, .. } = &effect {
                    self.is_foreign = true;
                    self.known.remove(&message.key);
                }
                self.rig.run(&effect, false);
            }
        }
        let held = if self.percent(50) {
            Some(u32::try_from(self.rig.store.len()).unwrap())
        } else {
            None
        };
        // Old answers arrive at the new inbox, too.
        let stale: Vec<_> = self.rig.deliveries.drain(..).map(|d| d.op).collect();
        self.rig.relays.clear();
        self.open.clear();
        self.rig.wake_us = None;
        self.delivered.retain(|key| !self.rig.store.contains_key(key));
        let seed = self.chance.next();
        self.rig.inbox = match self.rig.inbox.park() {
            Some(parked) if self.chance.up_to(1) == 0 => {
                Inbox::resume(aor(), self.settings.clone(), held, parked, seed)
            }
            _ => Inbox::new(aor(), self.settings.clone(), held, seed),
        };
        for op in stale {
            self.rig.give(Input::Outcome { op, outcome: Outcome::Delivered });
        }
        self.rig.give(Input::Reach { reach: self.rig.reach.clone(), dump: true });
    }

    fn check(&mut self) {
        for (waiter, answer) in std::mem::take(&mut self.rig.replies) {
            assert!(self.open.remove(&waiter.0), "{waiter:?} answered twice: {answer:?}");
            let id = self.asked[&waiter.0];
            if matches!(answer, Answer::Stored | Answer::Duplicate) {
                self.accepted.insert(id);
                let is_there = self.rig.store.keys().any(|k| k.id == id);
                let was_there = is_there || self.known.iter().any(|k| k.id == id);
                assert!(was_there || self.is_foreign, "{id} accepted and not durable");
            }
        }
        let now_s = self.rig.now.unix_s();
        self.expired
            .extend(self.rig.store.values().filter(|m| m.is_expired(now_s)).map(|m| m.key.id));
        let seen = self.rig.inbox.observe();
        assert!(seen.page <= self.rig.page_messages, "{seen:?}");
        assert!(seen.removing <= REMOVALS_MAX, "{seen:?}");
        assert!(seen.deferred <= DEFERRED_MAX, "{seen:?}");
        assert!(seen.waiters <= AOR_PENDING_MAX, "{seen:?}");
        assert!(self.rig.deliveries.len() <= 1, "{:?}", self.rig.deliveries);
        if self.rig.sent.len() > self.checked {
            self.checked = self.rig.sent.len();
            if let Some(delivery) = self.rig.deliveries.first() {
                let (message, contact) = (delivery.message.clone(), delivery.contact.clone());
                self.check_delivery(&message, &contact);
            }
        }
    }

    fn check_delivery(&self, message: &Message, contact: &Contact) {
        let key = message.key;
        assert!(!message.is_expired(self.rig.now.unix_s()), "{key:?} is expired");
        assert!(!self.delivered.contains(&key), "{key:?} is sent twice");
        assert!(contact.expires_us > self.rig.now.unix_us && contact.takes_messages);
        assert!(self.rig.reach.contacts().contains(contact), "{contact:?} is not there");
        if self.rejected.contains(&key) || message.attempts > 0 {
            return;
        }
        let earlier = self.rig.store.values().find(|m| {
            m.key < key
                && self.known.contains(&m.key)
                && !self.delivered.contains(&m.key)
                && !self.rejected.contains(&m.key)
                && !m.is_expired(self.rig.now.unix_s())
        });
        assert!(earlier.is_none(), "{key:?} overtakes {earlier:?}");
    }

    /// Everything works again: without any help but the wake-ups it asked for, and at the latest
    /// with one registration, the inbox empties.
    fn settle(&mut self) {
        for round in 0..2_000 {
            let busy = (self.rig.kept_back.len(), self.rig.deliveries.len(), self.rig.relays.len());
            match busy {
                (0, 0, 0) => {
                    if self.rig.wake_us.is_none() {
                        break;
                    }
                    self.rig.wake();
                }
                (0, 0, _) => self.relay_ends(),
                (0, _, _) => self.contact_answers(false),
                (_, _, _) => self.store_answers(false),
            }
            self.check();
            assert!(round < 1_999, "no end: {:?}", self.rig.inbox.observe());
        }
        assert!(self.rig.inbox.is_idle(), "{:?}", self.rig.inbox.observe());
        assert!(self.open.is_empty(), "without an answer: {:?}", self.open);
    }

    fn end(&mut self) {
        self.announce();
        self.settle();
        let now_us = self.rig.now.unix_us;
        let is_online = self.rig.reach.for_messages(now_us).next().is_some();
        if is_online && !self.has_lost_answer {
            assert!(self.rig.store.is_empty(), "stalled: {:?}", self.rig.inbox.observe());
        }
        let expires_s = self.rig.now.unix_s() + 1_000_000;
        self.rig.register_these(vec![contact("last", 9, expires_s)]);
        self.check();
        self.settle();
        assert!(self.rig.store.is_empty(), "left: {:?}", self.rig.inbox.observe());
        assert_eq!(self.rig.inbox.held(), Some(0));
        for id in &self.accepted {
            let is_dead = self.rig.dead.iter().any(|m| m.key.id == *id);
            let has_end = is_dead || self.taken.contains(id) || self.expired.contains(id);
            assert!(has_end, "{id} was accepted and lost");
        }
    }
}

fn pick(chance: &mut Chance, of: usize) -> usize {
    usize::try_from(chance.up_to(u64::try_from(of - 1).unwrap())).unwrap()
}

fn run(seed: u64, steps: u32, faults: bool) {
    struct Name(u64);
    impl Drop for Name {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the world of seed {} broke", self.0);
            }
        }
    }
    let _name = Name(seed);
    let mut world = World::new(seed);
    assert_eq!(world.rig.now.unix_s(), START_S);
    for _ in 0..steps {
        world.step(faults);
    }
    world.end();
}

/// How many worlds to run; `SIPSILO_WORLDS` asks for more.
fn worlds(usually: u64) -> u64 {
    let asked = std::env::var("SIPSILO_WORLDS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usually)
}

#[test]
fn without_faults_every_message_ends_once_and_in_order() {
    for seed in 0..worlds(200) {
        run(seed, 300, false);
    }
}

#[test]
fn with_faults_nothing_is_lost_or_stuck_or_sent_twice() {
    for seed in 0..worlds(300) {
        run(seed, 400, true);
    }
}
