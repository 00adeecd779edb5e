//! Goal: the registrar does what a reader of RFC 3261 section 10.3 would do by hand, and a request
//! it refuses leaves no trace. Method: random requests against a naive model (a plain list, copied
//! before each request and put back when one contact fails). A failure prints its seed and case.

use super::*;
use crate::sip::registrar::Full;
use proptest::collection::vec;
use proptest::prelude::*;

const CONTACTS_MAX: usize = 3;
/// Spellings of the same URI, by column.
const SPELLINGS: [[&str; 2]; 5] = [
    ["sip:bob@192.0.2.1", "sip:%62ob@192.0.2.1"],
    ["sip:bob@192.0.2.2:5060", "sip:bob@192.0.2.2:5060"],
    ["sip:bob@a.example.net", "sip:bob@A.example.NET"],
    ["sip:BOB@a.example.net", "SIP:BOB@a.example.net"],
    ["sip:bob@192.0.2.1;transport=tcp", "sip:bob@192.0.2.1;TRANSPORT=TCP"],
];
const CALLS: [&str; 2] = ["one@client", "two@client"];

#[derive(Clone, Debug)]
struct Asked {
    uri: usize,
    spelling: usize,
    expires_s: Option<u32>,
    q: Option<u16>,
    broken: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Register { asked: Vec<Asked>, call: usize, cseq: u32, flow: u64 },
    Clear { call: usize, cseq: u32 },
    Pass { seconds: u64 },
    Expire,
    Close { flow: u64 },
    Restart,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    uri: usize,
    call: usize,
    cseq: u32,
    q: u16,
    end_s: i64,
    flow: u64,
}

/// The naive registrar: bindings from the least to the most lately refreshed.
#[derive(Clone, Debug, Default)]
struct Model {
    bound: Vec<Bound>,
}

impl Model {
    fn live(&self, now_s: i64) -> Vec<Bound> {
        self.bound.iter().filter(|b| b.end_s > now_s).cloned().collect()
    }

    fn touch(&mut self, asked: &Asked, as_sent: &Bound) -> Result<(), u16> {
        if let Some(at) = self.bound.iter().position(|b| b.uri == asked.uri) {
            let old = &self.bound[at];
            let by_this_request = old.call == as_sent.call && old.cseq == u32::MAX;
            if !by_this_request && old.call == as_sent.call && as_sent.cseq <= old.cseq {
                return Err(400);
            }
            self.bound.remove(at);
        }
        if as_sent.end_s > 0 {
            // Marked until the request is through, so that a second mention is told apart.
            self.bound.push(Bound { cseq: u32::MAX, ..as_sent.clone() });
        }
        Ok(())
    }

    fn register(&mut self, step: &Step, full: Full, now_s: i64) -> Result<(), u16> {
        let Step::Register { asked, call, cseq, flow } = step else { unreachable!() };
        let before = self.clone();
        self.bound = self.live(now_s);
        let offence = |a: &Asked| match a.expires_s {
            _ if a.broken => Some(400),
            Some(1..60) => Some(423),
            Some(_) | None => None,
        };
        if let Some(code) = asked.iter().find_map(offence) {
            *self = before;
            return Err(code);
        }
        for contact in asked {
            let seconds = contact.expires_s.unwrap_or(3_600).min(86_400);
            let as_sent = Bound {
                uri: contact.uri,
                call: *call,
                cseq: *cseq,
                q: contact.q.unwrap_or(1_000),
                end_s: if seconds == 0 { 0 } else { now_s + i64::from(seconds) },
                flow: *flow,
            };
            if let Err(code) = self.touch(contact, &as_sent) {
                *self = before;
                return Err(code);
            }
        }
        let new = self.bound.iter().filter(|b| b.cseq == u32::MAX).count();
        if new > 0 && self.bound.len() > CONTACTS_MAX {
            if full == Full::Refuse || new > CONTACTS_MAX {
                *self = before;
                return Err(403);
            }
            self.bound.drain(..self.bound.len() - CONTACTS_MAX);
        }
        for bound in self.bound.iter_mut().filter(|b| b.cseq == u32::MAX) {
            bound.cseq = *cseq;
        }
        Ok(())
    }

    fn clear(&mut self, call: usize, cseq: u32, now_s: i64) -> Result<(), u16> {
        if self.live(now_s).iter().any(|b| b.call == call && cseq <= b.cseq) {
            return Err(400);
        }
        self.bound.clear();
        Ok(())
    }

    /// (spelling class, q, seconds left), best first.
    fn shown(&self, now_s: i64) -> Vec<(usize, u16, i64)> {
        let mut live = self.live(now_s);
        live.reverse();
        live.sort_by_key(|b| std::cmp::Reverse(b.q));
        live.iter().map(|b| (b.uri, b.q, b.end_s - now_s)).collect()
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let expires = prop_oneof![
        4 => Just(None),
        2 => Just(Some(0)),
        4 => (60_u32..400).prop_map(Some),
        1 => (1_u32..60).prop_map(Some),
        1 => Just(Some(u32::MAX)),
    ];
    let q = prop_oneof![Just(None), (0_u16..=10).prop_map(|q| Some(q * 100))];
    let broken = prop::bool::weighted(0.03);
    (0..SPELLINGS.len(), 0..2_usize, expires, q, broken).prop_map(
        |(uri, spelling, expires_s, q, broken)| Asked { uri, spelling, expires_s, q, broken },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let register = (vec(asked(), 1..5), 0..2_usize, 1_u32..40, 0_u64..3)
        .prop_map(|(asked, call, cseq, flow)| Step::Register { asked, call, cseq, flow });
    prop_oneof![
        10 => register,
        1 => (0..2_usize, 1_u32..40).prop_map(|(call, cseq)| Step::Clear { call, cseq }),
        4 => (1_u64..200).prop_map(|seconds| Step::Pass { seconds }),
        2 => Just(Step::Expire),
        1 => (1_u64..3).prop_map(|flow| Step::Close { flow }),
        1 => Just(Step::Restart),
    ]
}

fn lines(asked: &[Asked]) -> String {
    let one = |a: &Asked| {
        let uri = if a.broken { "sip:" } else { SPELLINGS[a.uri][a.spelling] };
        let q = a.q.map(|q| format!(";q={}.{:03}", q / 1_000, q % 1_000)).unwrap_or_default();
        let expires = a.expires_s.map(|s| format!(";expires={s}")).unwrap_or_default();
        format!("Contact: <{uri}>{q}{expires}\r\n")
    };
    asked.iter().map(one).collect()
}

/// What the registrar shows, in the model's terms.
fn shown(world: &mut World) -> Vec<(usize, u16, i64)> {
    let reach = world.reach();
    let listed = world.fetch();
    assert_eq!(listed.len(), reach.contacts().len());
    let pairs = listed.iter().zip(reach.contacts());
    pairs
        .map(|(line, contact)| {
            assert!(line.contains(&*contact.uri), "200 and reach have the same order");
            let uri = SPELLINGS.iter().position(|s| s.contains(&&*contact.uri)).unwrap();
            (uri, contact.q, line.rsplit_once('=').unwrap().1.parse().unwrap())
        })
        .collect()
}

fn play(world: &mut World, model: &mut Model, step: &Step) {
    let now_s = world.now.unix_s();
    match step {
        Step::Register { asked, call, cseq, flow } => {
            world.path =
                if *flow == 0 { udp("192.0.2.1:5060") } else { tcp("192.0.2.1:40000", *flow) };
            let request = message(&bob(), CALLS[*call], *cseq, &lines(asked));
            let before = world.reach();
            let registered =
                world.bindings.register(&bob(), &request, &world.path, &world.settings, world.now);
            let expected = model.register(step, world.settings.full, now_s);
            assert_eq!(code(&registered), expected.err().unwrap_or(200));
            match &registered.change {
                Change::None => assert_eq!(world.reach(), before),
                Change::Updated { reach, dump } => {
                    assert_eq!(*reach, world.reach());
                    let live = |b: &Bound| b.cseq == *cseq && b.call == *call;
                    assert!(!dump || model.bound.iter().any(live));
                }
            }
        }
        Step::Clear { call, cseq } => {
            let request = message(&bob(), CALLS[*call], *cseq, "Contact: *\r\nExpires: 0\r\n");
            let registered =
                world.bindings.register(&bob(), &request, &world.path, &world.settings, world.now);
            let expected = model.clear(*call, *cseq, now_s).err().unwrap_or(200);
            assert_eq!(code(&registered), expected);
        }
        Step::Pass { seconds } => world.pass(*seconds),
        Step::Expire => {
            // What a request swept up in passing is not told again: its reach was in the answer.
            let left = model.live(now_s);
            let told = !world.bindings.expire(world.now).is_empty();
            assert_eq!(told, left != model.bound);
            assert_eq!(world.bindings.len(), left.len());
            assert!(world.bindings.next_expiry().is_none_or(|at| at > world.now.unix_us));
            model.bound = left;
        }
        Step::Close { flow } => {
            let told = !world.bindings.flow_closed(FlowId::new(0, *flow)).is_empty();
            assert_eq!(told, model.bound.iter().any(|b| b.flow == *flow));
            model.bound.retain(|b| b.flow != *flow);
        }
        Step::Restart => {
            world.bindings = Bindings::import(&world.bindings.export()).unwrap();
            model.bound.iter_mut().for_each(|b| b.flow = 0);
        }
    }
}

proptest! {
    #[test]
    fn it_agrees_with_the_naive_registrar(steps in vec(step(), 1..60), replace in any::<bool>()) {
        let mut world = World::new();
        world.settings.contacts_max = CONTACTS_MAX;
        world.settings.full = if replace { Full::ReplaceOldest } else { Full::Refuse };
        let mut model = Model::default();
        for step in &steps {
            play(&mut world, &mut model, step);
            let now_s = world.now.unix_s();
            prop_assert_eq!(shown(&mut world), model.shown(now_s), "after {:?}", step);
            let first_end = model.bound.iter().map(|b| b.end_s * 1_000_000).min();
            let next = world.bindings.next_expiry();
            prop_assert!(first_end.is_none_or(|end| next.is_some_and(|at| at <= end)));
        }
    }
}
