//! The bindings of one shard.

use super::agenda::Agenda;
use super::binding::Binding;
use super::reply::{self, DateLine, Refusal};
use super::request::{Asked, Register};
use super::settings::Settings;
use super::stage::Stage;
use crate::sip::Message;
use crate::sip::build::Reply;
use crate::vocab::{Aor, FlowId, Now, Path, Reach};
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// What a REGISTER led to.
#[derive(Debug)]
pub struct Registered {
    /// The final response; to be sent before anything is done about `change`.
    pub reply: Reply,
    /// What it changed.
    pub change: Change,
}

/// What a REGISTER changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it was refused, only asked, or removed what was not there.
    None,
    /// The user's bindings.
    Updated {
        /// Where the user can be reached now.
        reach: Reach,
        /// True when a contact that takes MESSAGE was added or refreshed: time to deliver what
        /// waits.
        dump: bool,
    },
}

/// All bindings of one shard, by user. Empty, it allocates nothing.
#[derive(Debug, Default)]
pub struct Bindings {
    users: HashMap<Aor, User, ahash::RandomState>,
    agenda: Agenda,
    /// Who is reached over which connection. Always `Some`; `None` is the lower end of a range.
    flows: BTreeSet<(FlowId, Option<Aor>)>,
    /// Bindings of all users.
    count: usize,
    date: DateLine,
}

/// One user. There is at least one binding while the user is in the map.
#[derive(Debug)]
struct User {
    /// Oldest first, by the time of the last refresh.
    bindings: Vec<Binding>,
    /// The moment of the entry in the agenda that counts.
    armed_us: i64,
}

/// What the indices hold of a user, taken before the user's bindings change.
struct Had {
    count: usize,
    flows: SmallVec<[FlowId; 2]>,
}

impl Bindings {
    /// Carries out a REGISTER of `aor` that came over `path` (RFC 3261 section 10.3, steps 6 to
    /// 8). Authentication and the choice of the AoR come before.
    pub fn register(
        &mut self,
        aor: &Aor,
        request: &Message,
        path: &Path,
        settings: &Settings,
        now: Now,
    ) -> Registered {
        match self.carry_out(aor, request, path, settings, now) {
            Ok(registered) => registered,
            Err(refusal) => Registered { reply: refusal.reply(), change: Change::None },
        }
    }

    fn carry_out(
        &mut self,
        aor: &Aor,
        request: &Message,
        path: &Path,
        settings: &Settings,
        now: Now,
    ) -> Result<Registered, Refusal> {
        let register = Register::read(request, aor, path, settings)?;
        let before = self.users.get(aor).map_or(&[][..], |user| &user.bindings);
        let (call_id, cseq, unix_us) = (register.call_id, register.cseq, now.unix_us);
        let mut dump = false;
        let idle = match &register.asked {
            Asked::Show => true,
            Asked::Clear => {
                let stage = Stage::clear(before, call_id, cseq, unix_us)?;
                self.commit(aor, &stage, SmallVec::new());
                stage.is_idle()
            }
            Asked::Update(wanted) => {
                let stage = Stage::update(before, wanted, (call_id, cseq), settings, unix_us)?;
                let new = |&at: &usize| register.bind(&wanted[at], path, settings.nat, now);
                let added = stage.added.iter().map(new).collect::<Result<SmallVec<_>, _>>()?;
                dump = added.iter().any(Binding::is_for_messages);
                self.commit(aor, &stage, added);
                stage.is_idle()
            }
        };
        let after = self.users.get(aor).map_or(&[][..], |user| &user.bindings);
        let live = by_preference(after, unix_us);
        let change = match idle {
            true => Change::None,
            false => Change::Updated { reach: reach_of(&live), dump },
        };
        let paths = register.knows_path.then_some(register.paths.as_str());
        let reply = reply::ok(&live, paths, self.date.at(now.unix_s()), unix_us);
        Ok(Registered { reply, change })
    }

    /// Makes it as `stage` says. Cannot fail.
    fn commit(&mut self, aor: &Aor, stage: &Stage, added: SmallVec<[Binding; 1]>) {
        if stage.is_idle() {
            return;
        }
        self.change(aor, |bindings| {
            let mut kept = stage.kept.iter();
            bindings.retain(|_| kept.next().is_some_and(|kept| *kept));
            bindings.reserve_exact(added.len());
            bindings.extend(added);
        });
    }

    /// Applies `change` to a user, who may be new, and brings the indices up to date.
    fn change(&mut self, aor: &Aor, change: impl FnOnce(&mut Vec<Binding>)) {
        let user = self.users.entry(aor.clone()).or_default();
        let had = user.had();
        change(&mut user.bindings);
        let has = user.had();
        self.count = self.count - had.count + has.count;
        for flow in had.flows.iter().filter(|flow| !has.flows.contains(flow)) {
            self.flows.remove(&(*flow, Some(aor.clone())));
        }
        for flow in has.flows.iter().filter(|flow| !had.flows.contains(flow)) {
            self.flows.insert((*flow, Some(aor.clone())));
        }
        match user.first_end() {
            None => {
                self.users.remove(aor);
            }
            Some(end_us) if end_us < user.armed_us => {
                user.armed_us = end_us;
                self.agenda.arm(end_us, aor.clone());
            }
            Some(_) => {}
        }
        if self.agenda.is_overgrown(self.users.len()) {
            let users = &self.users;
            self.agenda.prune(|at_us, of| users.get(of).is_some_and(|user| user.armed_us == at_us));
        }
    }

    /// Where a user can be reached now, best first.
    #[must_use]
    pub fn reach(&self, aor: &Aor, now: Now) -> Reach {
        let Some(user) = self.users.get(aor) else { return Reach::offline() };
        reach_of(&by_preference(&user.bindings, now.unix_us))
    }

    /// A connection ended. Bindings of clients that came over it directly end with it; those that
    /// came through a proxy lose only the connection, and their own address is tried from now
    /// on. Returns the users it concerns.
    pub fn flow_closed(&mut self, flow: FlowId) -> Vec<Aor> {
        let next = FlowId(flow.0.saturating_add(1));
        let on_it = self.flows.range((flow, None)..(next, None));
        let concerned: Vec<Aor> = on_it.filter_map(|(_, aor)| aor.clone()).collect();
        for aor in &concerned {
            self.change(aor, |bindings| {
                bindings.retain(|binding| binding.flow() != Some(flow) || !binding.facts.direct);
                for binding in bindings.iter_mut().filter(|b| b.flow() == Some(flow)) {
                    binding.facts.hop = binding.own_hop();
                }
            });
        }
        concerned
    }

    /// Entries of the agenda, dead ones included.
    #[cfg(test)]
    pub(super) fn agenda_len(&self) -> usize {
        self.agenda.len()
    }

    /// All bytes allocated, with 16 for each block on top.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        const BLOCK: usize = 16;
        let slots = self.users.capacity() * 8 / 7;
        let table = slots * (size_of::<(Aor, User)>() + 1);
        let of_users = self.users.iter().map(|(aor, user)| {
            let list = user.bindings.capacity() * size_of::<Binding>() + BLOCK;
            let texts: usize = user.bindings.iter().map(|b| b.allocated_bytes() + BLOCK).sum();
            aor.as_str().len() + 2 * size_of::<usize>() + BLOCK + list + texts
        });
        // Nodes of a B-tree are at least half full.
        let flows = self.flows.len() * 2 * (size_of::<(FlowId, Option<Aor>)>() + 8);
        table
            + of_users.sum::<usize>()
            + self.agenda.allocated_bytes()
            + flows
            + self.date.allocated_bytes()
    }

    /// Every user, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Aor, &[Binding])> {
        self.users.iter().map(|(aor, user)| (aor, &*user.bindings))
    }

    /// Enters a user with bindings read from a snapshot. False when the user is there already.
    pub(super) fn restore(&mut self, aor: Aor, restored: Vec<Binding>) -> bool {
        if self.users.contains_key(&aor) {
            return false;
        }
        self.change(&aor, |bindings| *bindings = restored);
        true
    }

    /// Removes what has expired. Returns the users it concerns, each once, earliest end first.
    pub fn expire(&mut self, now: Now) -> Vec<Aor> {
        let mut concerned = Vec::new();
        while let Some((at_us, aor)) = self.agenda.take_due(now.unix_us) {
            let Some(user) = self.users.get_mut(&aor) else { continue };
            if user.armed_us != at_us {
                continue;
            }
            user.armed_us = i64::MAX;
            let expired = user.bindings.iter().any(|binding| !binding.is_live(now.unix_us));
            self.change(&aor, |bindings| {
                bindings.retain(|binding| binding.is_live(now.unix_us));
            });
            if expired {
                concerned.push(aor);
            }
        }
        concerned
    }

    /// The wall-clock microsecond at which [`Bindings::expire`] is due: never after the end of
    /// the binding that ends first, possibly before it.
    #[must_use]
    pub fn next_expiry(&self) -> Option<i64> {
        self.agenda.next()
    }

    /// Bindings of all users, those included that expired and were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when nobody is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Users with a binding.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }
}

impl Default for User {
    fn default() -> Self {
        Self { bindings: Vec::new(), armed_us: i64::MAX }
    }
}

impl User {
    /// What the indices are to hold of this user.
    fn had(&self) -> Had {
        let mut flows: SmallVec<[FlowId; 2]> = SmallVec::new();
        for flow in self.bindings.iter().filter_map(Binding::flow) {
            if !flows.contains(&flow) {
                flows.push(flow);
            }
        }
        Had { count: self.bindings.len(), flows }
    }

    /// When the binding ends that ends first.
    fn first_end(&self) -> Option<i64> {
        self.bindings.iter().map(|binding| binding.facts.expires_us).min()
    }
}

/// The live bindings by falling `q`, the newest first among equals.
fn by_preference(bindings: &[Binding], unix_us: i64) -> SmallVec<[&Binding; 4]> {
    let mut live: SmallVec<[&Binding; 4]> =
        bindings.iter().rev().filter(|binding| binding.is_live(unix_us)).collect();
    live.sort_by_key(|binding| Reverse(binding.facts.q));
    live
}

fn reach_of(live: &[&Binding]) -> Reach {
    if live.is_empty() {
        return Reach::offline();
    }
    Reach::new(live.iter().filter_map(|binding| binding.contact()).collect())
}
