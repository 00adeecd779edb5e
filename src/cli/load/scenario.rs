//! Who sends what when.

use super::Options;
use super::engine::Scenario;
use super::ledger::{Ledger, Verdict};
use super::script::{Digits, Script};
use ahash::AHashMap;

/// MESSAGEs to users who are offline, one user after the other.
pub(super) struct Store {
    script: Script,
    first_user: u32,
    users: u32,
    base: Option<u32>,
}

impl Store {
    pub(super) fn new(script: Script, options: &Options, users: u32) -> Self {
        Self { script, first_user: options.first_user, users, base: None }
    }
}

impl Scenario for Store {
    fn begin(&mut self, n: u32) -> Option<Vec<u8>> {
        self.base.get_or_insert(n);
        Some(self.again(n))
    }

    fn again(&self, n: u32) -> Vec<u8> {
        let number = n - self.base.unwrap_or(0);
        let user = self.first_user + number % self.users;
        self.script.message(Digits { user, number, transaction: n, cseq: 1 })
    }

    fn answered(&mut self, _n: u32, _code: Option<u16>) {}

    fn arrived(&mut self, _transaction: u64, _name: Option<(u32, u32)>) {}

    fn open(&self) -> u64 {
        0
    }
}

/// REGISTERs, one user after the other; the second round refreshes.
pub(super) struct Register {
    script: Script,
    first_user: u32,
    users: u32,
}

impl Register {
    pub(super) fn new(script: Script, options: &Options, users: u32) -> Self {
        Self { script, first_user: options.first_user, users }
    }
}

impl Scenario for Register {
    fn begin(&mut self, n: u32) -> Option<Vec<u8>> {
        Some(self.again(n))
    }

    fn again(&self, n: u32) -> Vec<u8> {
        let user = self.first_user + n % self.users;
        self.script.register(Digits { user, number: 0, transaction: n, cseq: n + 1 })
    }

    fn answered(&mut self, _n: u32, _code: Option<u16>) {}

    fn arrived(&mut self, _transaction: u64, _name: Option<(u32, u32)>) {}

    fn open(&self) -> u64 {
        0
    }
}

/// Each user registers once and takes the messages stored before.
pub(super) struct Dump {
    script: Script,
    first_user: u32,
    base: Option<u32>,
    expected: u64,
    pub(super) ledger: Ledger,
}

impl Dump {
    pub(super) fn new(script: Script, options: &Options, users: u32) -> Self {
        let mut ledger = Ledger::new(users);
        for number in 0..users * options.each {
            ledger.sent(number, number % users, Verdict::Stored);
        }
        let expected = u64::from(users * options.each);
        Self { script, first_user: options.first_user, base: None, expected, ledger }
    }
}

impl Scenario for Dump {
    fn begin(&mut self, n: u32) -> Option<Vec<u8>> {
        self.base.get_or_insert(n);
        Some(self.again(n))
    }

    fn again(&self, n: u32) -> Vec<u8> {
        let user = self.first_user + n - self.base.unwrap_or(0);
        self.script.register(Digits { user, number: 0, transaction: n, cseq: n + 1 })
    }

    fn answered(&mut self, _n: u32, _code: Option<u16>) {}

    fn arrived(&mut self, transaction: u64, name: Option<(u32, u32)>) {
        let name = name.map(|(user, number)| (user.wrapping_sub(self.first_user), number));
        self.ledger.arrived(transaction, name);
    }

    fn open(&self) -> u64 {
        // While requests are still to be begun this stays above zero, as it should.
        self.expected - self.ledger.delivered
    }
}

#[derive(Clone, Copy)]
enum Deed {
    Message { user: u32, number: u32 },
    Register { user: u32 },
    Unregister { user: u32 },
}

#[derive(Clone, Copy, Default)]
struct User {
    is_online: bool,
    /// A REGISTER of his is unanswered: the next one has to wait (RFC 3261 section 10.2).
    is_busy: bool,
}

/// Half the requests are MESSAGEs; the rest are users who come, stay and go.
pub(super) struct Mixed {
    script: Script,
    first_user: u32,
    users: Vec<User>,
    deeds: AHashMap<u32, Deed>,
    messages: u32,
    ledger: Ledger,
    chance: u64,
    /// At the end everyone registers, in this order; the rest is still to do.
    sweep: Option<Vec<u32>>,
}

impl Mixed {
    pub(super) fn new(script: Script, options: &Options, users: u32) -> Self {
        Self {
            script,
            first_user: options.first_user,
            users: vec![User::default(); users as usize],
            deeds: AHashMap::new(),
            messages: 0,
            ledger: Ledger::new(users),
            chance: options.seed,
            sweep: None,
        }
    }

    /// From now on every user registers once more and takes what is there.
    pub(super) fn sweep(&mut self) {
        let count = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
        self.users.iter_mut().for_each(|user| user.is_busy = false);
        self.sweep = Some((0..count).rev().collect());
    }

    /// How many requests the sweep takes.
    pub(super) fn sweep_count(&self) -> u32 {
        self.sweep.as_ref().map_or(0, |left| u32::try_from(left.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn into_ledger(self) -> Ledger {
        self.ledger
    }

    fn draw(&mut self, below: u32) -> u32 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let high = u32::try_from(self.chance >> 32).unwrap_or(0);
        high % below.max(1)
    }

    fn choose(&mut self) -> Deed {
        if let Some(left) = &mut self.sweep {
            return Deed::Register { user: left.pop().unwrap_or(0) };
        }
        let count = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
        let user = self.draw(count);
        let kind = self.draw(10);
        let state = self.users[user as usize];
        if kind < 5 || state.is_busy {
            let number = self.messages;
            self.messages += 1;
            self.ledger.sent(number, user, Verdict::Unknown);
            return Deed::Message { user, number };
        }
        self.users[user as usize].is_busy = true;
        if state.is_online && kind < 8 {
            Deed::Unregister { user }
        } else {
            Deed::Register { user }
        }
    }
}

impl Scenario for Mixed {
    fn begin(&mut self, n: u32) -> Option<Vec<u8>> {
        let deed = self.choose();
        self.deeds.insert(n, deed);
        Some(self.again(n))
    }

    fn again(&self, n: u32) -> Vec<u8> {
        let digits = |user: u32, number: u32| Digits {
            user: self.first_user + user,
            number,
            transaction: n,
            cseq: n + 1,
        };
        match self.deeds.get(&n) {
            Some(&Deed::Message { user, number }) => self.script.message(digits(user, number)),
            Some(&Deed::Register { user }) => self.script.register(digits(user, 0)),
            Some(&Deed::Unregister { user }) => self.script.unregister(digits(user, 0)),
            None => Vec::new(),
        }
    }

    fn answered(&mut self, n: u32, code: Option<u16>) {
        match self.deeds.remove(&n) {
            Some(Deed::Message { number, .. }) => {
                let verdict = match code {
                    Some(202) => Verdict::Stored,
                    Some(200..=299) => Verdict::Relayed,
                    Some(_) => Verdict::Refused,
                    None => Verdict::Unknown,
                };
                self.ledger.answered(number, verdict);
            }
            Some(Deed::Register { user }) => {
                let is_online = code == Some(200);
                self.users[user as usize] = User { is_online, is_busy: false };
            }
            Some(Deed::Unregister { user }) => {
                let is_online = code != Some(200);
                self.users[user as usize] = User { is_online, is_busy: false };
            }
            None => {}
        }
    }

    fn arrived(&mut self, transaction: u64, name: Option<(u32, u32)>) {
        let name = name.map(|(user, number)| (user.wrapping_sub(self.first_user), number));
        self.ledger.arrived(transaction, name);
    }

    fn open(&self) -> u64 {
        match &self.sweep {
            Some(left) if left.is_empty() => self.ledger.missing(),
            Some(_) | None => 0,
        }
    }
}
