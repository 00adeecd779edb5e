//! A store, contacts and senders around one inbox; nothing happens unless a test says so.

use crate::inbox::{Effect, Inbox, Input, LiveResult, Op, PutResult, Settings, Waiter};
use crate::vocab::{
    Answer, Aor, Contact, End, Key, Message, MessageId, NextHop, Now, Outcome, Reach, Submission,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub(super) const START_S: i64 = 1_700_000_000;

/// A message that a contact has.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) op: Op,
    pub(super) message: Arc<Message>,
    pub(super) contact: Contact,
}

pub(super) struct Rig {
    pub(super) inbox: Inbox,
    pub(super) now: Now,
    pub(super) reach: Reach,
    /// The store: the inbox, the dead letters, and whether it fails or keeps its answers back.
    pub(super) store: BTreeMap<Key, Message>,
    pub(super) dead: Vec<Message>,
    pub(super) is_down: bool,
    pub(super) is_slow: bool,
    pub(super) page_messages: usize,
    pub(super) kept_back: VecDeque<Effect>,
    /// What the inbox asked of the rest of the world.
    pub(super) deliveries: Vec<Delivery>,
    pub(super) relays: Vec<(Op, Waiter, Reach)>,
    pub(super) replies: Vec<(Waiter, Answer)>,
    pub(super) holds: Vec<Option<u32>>,
    pub(super) ends: Vec<End>,
    pub(super) wake_us: Option<i64>,
    /// Every delivery that was started, as `body>contact`.
    pub(super) sent: Vec<String>,
    pub(super) loads: usize,
    pub(super) counts: usize,
}

pub(super) fn aor() -> Aor {
    Aor::from_parts("bob", "example.com")
}

pub(super) fn id(n: u32) -> MessageId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&n.to_be_bytes());
    MessageId(id)
}

pub(super) fn submission(n: u32, expires_s: Option<i64>) -> Box<Submission> {
    Box::new(Submission {
        id: id(n),
        owner: aor(),
        from: Bytes::from_static(b"<sip:alice@example.com>;tag=1"),
        to: Bytes::from_static(b"<sip:bob@example.com>"),
        call_id: Bytes::from(n.to_string()),
        content_type: Bytes::from_static(b"text/plain"),
        headers: Bytes::new(),
        body: Bytes::from(n.to_string()),
        expires_s,
        storable: true,
    })
}

/// A contact whose binding ends at `expires_s`, at an address that `port` tells.
pub(super) fn contact(name: &str, port: u16, expires_s: i64) -> Contact {
    Contact {
        uri: name.into(),
        q: 1_000,
        next_hop: NextHop::Name { transport: None, host: name.into(), port: Some(port) },
        route: Arc::new([]),
        instance: None,
        takes_messages: true,
        expires_us: expires_s * 1_000_000,
    }
}

pub(super) fn unreachable() -> Outcome {
    Outcome::Unreachable { retry_after: None, code: None }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Settings::default(), Some(0))
    }

    pub(super) fn with(settings: Settings, held: Option<u32>) -> Self {
        Self {
            inbox: Inbox::new(aor(), settings, held, 42),
            now: Now { mono_us: 0, unix_us: START_S * 1_000_000 },
            reach: Reach::offline(),
            store: BTreeMap::new(),
            dead: Vec::new(),
            is_down: false,
            is_slow: false,
            page_messages: 4,
            kept_back: VecDeque::new(),
            deliveries: Vec::new(),
            relays: Vec::new(),
            replies: Vec::new(),
            holds: Vec::new(),
            ends: Vec::new(),
            wake_us: None,
            sent: Vec::new(),
            loads: 0,
            counts: 0,
        }
    }

    /// An inbox that holds the messages 1 to `n`, of which the inbox knows.
    pub(super) fn holding(n: u32) -> Self {
        Self::holding_with(Settings::default(), n)
    }

    pub(super) fn holding_with(settings: Settings, n: u32) -> Self {
        let mut rig = Self::with(settings, Some(n));
        for n in 1..=n {
            rig.put_behind(n, START_S - 1_000);
        }
        rig
    }

    /// Puts message `n` into the store without the inbox.
    pub(super) fn put_behind(&mut self, n: u32, inc_s: i64) {
        let inc_us = inc_s * 1_000_000 + i64::from(n);
        let message = Message::accept(*submission(n, None), inc_us, START_S + 100_000);
        self.store.insert(message.key, message);
    }

    /// Gives the inbox an input, and answers what it asks of the store.
    pub(super) fn give(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.inbox.handle(input, self.now, &mut effects);
            for effect in effects {
                inputs.extend(self.take(effect));
            }
        }
    }

    fn take(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Deliver { op, message, contact } => {
                let body = String::from_utf8_lossy(&message.body).into_owned();
                self.sent.push(format!("{body}>{}", contact.uri));
                self.deliveries.push(Delivery { op, message, contact });
            }
            Effect::Relay { op, waiter, reach } => self.relays.push((op, waiter, reach)),
            Effect::Reply { waiter, answer } => self.replies.push((waiter, answer)),
            Effect::WakeAt(wake_us) => {
                assert!(wake_us.is_none_or(|us| us > self.now.unix_us), "a wake-up in the past");
                self.wake_us = wake_us;
            }
            Effect::Holds(held) => self.holds.push(held),
            Effect::SetAttempts { key, attempts } => {
                if let Some(message) = self.store.get_mut(&key) {
                    message.attempts = attempts;
                }
            }
            Effect::Put { .. }
            | Effect::Load { .. }
            | Effect::Count { .. }
            | Effect::Delete { .. }
            | Effect::Bury { .. } => {
                if matches!(effect, Effect::Load { .. }) {
                    self.loads += 1;
                }
                if matches!(effect, Effect::Count { .. }) {
                    self.counts += 1;
                }
                if self.is_slow {
                    self.kept_back.push_back(effect);
                } else {
                    return Some(self.run(&effect, self.is_down));
                }
            }
        }
        None
    }

    /// Lets the store do what it was asked, or fail to.
    pub(super) fn run(&mut self, effect: &Effect, fails: bool) -> Input {
        match effect {
            Effect::Put { op, message } => {
                let result = if fails {
                    PutResult::Failed
                } else if self.store.values().any(|m| m.key.id == message.key.id) {
                    PutResult::Duplicate
                } else {
                    self.store.insert(message.key, (**message).clone());
                    PutResult::Stored
                };
                Input::PutDone { op: *op, result }
            }
            Effect::Load { op, after } => {
                let behind: Vec<Message> = self
                    .store
                    .values()
                    .filter(|m| after.is_none_or(|after| m.key > after))
                    .cloned()
                    .collect();
                let is_last = behind.len() <= self.page_messages;
                let page = behind.into_iter().take(self.page_messages).collect();
                Input::Loaded { op: *op, page: (!fails).then_some((page, is_last)) }
            }
            Effect::Count { op } => {
                let messages = u32::try_from(self.store.len()).unwrap();
                Input::Counted { op: *op, messages: (!fails).then_some(messages) }
            }
            Effect::Delete { op, key, end } => {
                if !fails {
                    self.store.remove(key);
                    self.ends.push(*end);
                }
                Input::Removed { op: *op, ok: !fails }
            }
            Effect::Bury { op, key } => {
                if !fails {
                    self.dead.extend(self.store.remove(key));
                }
                Input::Removed { op: *op, ok: !fails }
            }
            other => panic!("not for the store: {other:?}"),
        }
    }

    /// The store gives the oldest answer that it kept back.
    pub(super) fn release(&mut self) {
        let effect = self.kept_back.pop_front().expect("the store was asked something");
        let input = self.run(&effect, self.is_down);
        self.give(input);
    }

    pub(super) fn submit(&mut self, n: u32) {
        self.submit_this(submission(n, Some(START_S + 1_000)), n);
    }

    pub(super) fn submit_this(&mut self, submission: Box<Submission>, waiter: u32) {
        let inc_us = self.now.unix_us;
        let waiter = Waiter(u64::from(waiter));
        let reach = self.reach.clone();
        self.give(Input::Submit { submission, waiter, reach, inc_us });
    }

    /// The user registers, with a binding that is newer than any before.
    pub(super) fn register(&mut self, names: &[&str]) {
        let expires_s = self.now.unix_s() + 3_600;
        self.pass(Duration::from_micros(1));
        let contacts = names.iter().map(|name| contact(name, 1, expires_s)).collect();
        self.register_these(contacts);
    }

    pub(super) fn register_these(&mut self, contacts: Vec<Contact>) {
        self.reach = Reach::new(contacts);
        self.give(Input::Reach { reach: self.reach.clone(), dump: true });
    }

    pub(super) fn unregister(&mut self) {
        self.reach = Reach::offline();
        self.give(Input::Reach { reach: self.reach.clone(), dump: false });
    }

    /// The contact that has a message answers.
    pub(super) fn answer(&mut self, outcome: Outcome) {
        assert_eq!(self.deliveries.len(), 1, "not one delivery: {:?}", self.deliveries);
        let op = self.deliveries.remove(0).op;
        self.give(Input::Outcome { op, outcome });
    }

    pub(super) fn deliver_all(&mut self) {
        while !self.deliveries.is_empty() {
            self.answer(Outcome::Delivered);
        }
    }

    pub(super) fn relay_ends(&mut self, result: LiveResult) {
        let op = self.relays.remove(0).0;
        self.give(Input::LiveDone { op, result });
    }

    pub(super) fn pass(&mut self, by: Duration) {
        self.now = self.now.plus(by);
    }

    /// Time passes to the moment the inbox wants to be woken at. Answers how long that took.
    pub(super) fn wake(&mut self) -> Duration {
        let wake_us = self.wake_us.take().expect("the inbox asked to be woken");
        let by_us = wake_us.saturating_sub(self.now.unix_us).max(0);
        let by = Duration::from_micros(by_us.unsigned_abs());
        self.pass(by);
        self.give(Input::Wake);
        by
    }

    /// The answers since the last call, as (sender, answer).
    pub(super) fn answers(&mut self) -> Vec<(u64, Answer)> {
        std::mem::take(&mut self.replies).into_iter().map(|(w, a)| (w.0, a)).collect()
    }

    pub(super) fn stored(&self) -> Vec<String> {
        let text = |m: &Message| String::from_utf8_lossy(&m.body).into_owned();
        self.store.values().map(text).collect()
    }
}
