//! The fork: targets in groups of equal `q`, first 2xx wins.

use super::targets::Target;
use super::{choice, forward, loops};
use crate::sip::build::{Outgoing, relay_response};
use crate::sip::codec::Message;
use crate::sip::endpoint::ClientResult;
use crate::vocab::{NextHop, Now};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The times of a fork.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a group has before the next one is tried beside it.
    pub group_window: Duration,
    /// How long all groups together have.
    pub window: Duration,
    /// The key of this server's loop marks.
    pub loop_key: u64,
}

/// Whether the request came from a peer whose identity headers are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// They are passed on.
    Trusted,
    /// They are left out (RFC 3325 section 5).
    Untrusted,
}

/// One request to send.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Names it within its fork.
    pub index: u32,
    /// What to send.
    pub outgoing: Outgoing,
    /// Where to.
    pub next_hop: NextHop,
}

/// What a fork asks of the world.
#[derive(Clone, Debug)]
pub enum ForkEffect {
    /// Send this; tell [`Fork::on_result`] how it ended.
    Start(Box<Branch>),
    /// Stop sending this: its answer comes too late whatever it is.
    Cancel(u32),
    /// The end; nothing follows. Branches that were not cancelled may run on by themselves: a
    /// second phone gets its copy even if the first one was quicker.
    Done(ForkResult),
}

/// True for a response that ends a fork though nobody took the request: 6xx.
#[must_use]
pub const fn is_refusal(code: u16) -> bool {
    code >= 600
}

/// How a fork ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForkResult {
    /// Somebody took or refused the request for good: this 2xx or 6xx goes back to the sender.
    Passed {
        /// Its bytes, without our Via.
        response: Bytes,
        /// Its code.
        code: u16,
    },
    /// Nobody did.
    Failed {
        /// The best of the other responses, if there was one that may be passed back.
        best: Option<(u16, Bytes)>,
    },
}

/// One request on its way to several targets.
///
/// | state | input | next |
/// | --- | --- | --- |
/// | racing | 2xx | decided: passed, at once |
/// | racing | 6xx | racing, no further groups |
/// | racing | any other end of a branch | racing; when the last one ended, the next group |
/// | racing | group window over | racing, next group beside the old one |
/// | racing | last branch of the last group ended | decided: passed if there was a 6xx, else failed |
/// | racing | window over | decided, the same; what still runs is cancelled |
/// | decided | anything | decided, no effect: late answers are absorbed |
#[derive(Debug)]
pub struct Fork {
    request: Arc<Message>,
    state: State,
}

#[derive(Debug)]
enum State {
    Racing(Race),
    Decided,
}

#[derive(Debug)]
struct Race {
    sender: Sender,
    settings: Settings,
    /// Groups not yet tried, the next one last.
    waiting: Vec<Vec<Target>>,
    /// Branches without a result.
    live: Vec<u32>,
    started: u32,
    /// Final responses other than 2xx, as they came in.
    answers: Vec<Arc<Message>>,
    /// Monotonic microseconds.
    group_ends: u64,
    ends: u64,
}

impl Fork {
    /// Starts passing `request` on to `targets`. Without targets, or when the request has no hops
    /// left (which a MESSAGE may have: it can still be kept), it has failed at once.
    #[must_use]
    pub fn new(
        request: &Arc<Message>,
        mut targets: Vec<Target>,
        sender: Sender,
        settings: Settings,
        now: Now,
    ) -> (Self, Vec<ForkEffect>) {
        if request.max_forwards() == Some(0) {
            targets.clear();
        }
        let race = Race {
            sender,
            settings,
            waiting: groups(targets),
            live: Vec::new(),
            started: 0,
            answers: Vec::new(),
            group_ends: 0,
            ends: now.mono_after(settings.window),
        };
        let mut fork = Self { request: Arc::clone(request), state: State::Racing(race) };
        let mut out = Vec::new();
        fork.go_on(now, &mut out);
        (fork, out)
    }

    /// Branch `index` ended.
    #[must_use]
    pub fn on_result(&mut self, index: u32, result: &ClientResult, now: Now) -> Vec<ForkEffect> {
        let mut out = Vec::new();
        let State::Racing(race) = &mut self.state else { return out };
        let Some(at) = race.live.iter().position(|&live| live == index) else { return out };
        race.live.swap_remove(at);
        match result {
            ClientResult::Final(response) if (200..300).contains(&response.code()) => {
                let response = ForkResult::Passed {
                    code: response.code(),
                    response: relay_response(response),
                };
                self.decide(response, &mut out);
                return out;
            }
            ClientResult::Final(response) => race.take(response),
            ClientResult::Timeout | ClientResult::TransportError => {}
        }
        if race.live.is_empty() {
            self.go_on(now, &mut out);
        }
        out
    }

    /// The moment of [`Fork::deadline`], or later.
    #[must_use]
    pub fn on_timeout(&mut self, now: Now) -> Vec<ForkEffect> {
        let mut out = Vec::new();
        let State::Racing(race) = &mut self.state else { return out };
        if now.mono_us >= race.ends {
            out.extend(race.live.drain(..).map(ForkEffect::Cancel));
            race.waiting.clear();
            self.go_on(now, &mut out);
        } else if now.mono_us >= race.group_ends && !race.waiting.is_empty() {
            self.go_on(now, &mut out);
        }
        out
    }

    /// When to call [`Fork::on_timeout`], in monotonic microseconds; `None` once decided.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        match &self.state {
            State::Racing(race) if race.waiting.is_empty() => Some(race.ends),
            State::Racing(race) => Some(race.ends.min(race.group_ends)),
            State::Decided => None,
        }
    }

    /// Starts the next group, or decides if there is none and nothing runs.
    fn go_on(&mut self, now: Now, out: &mut Vec<ForkEffect>) {
        let State::Racing(race) = &mut self.state else { return };
        if let Some(group) = race.waiting.pop() {
            race.group_ends = now.mono_after(race.settings.group_window);
            out.extend(group.into_iter().map(|target| race.start(&self.request, target)));
            return;
        }
        let best = choice::best(&self.request, &race.answers);
        let result = match best {
            Some((code, response)) if is_refusal(code) => ForkResult::Passed { response, code },
            best => ForkResult::Failed { best },
        };
        self.decide(result, out);
    }

    fn decide(&mut self, result: ForkResult, out: &mut Vec<ForkEffect>) {
        self.state = State::Decided;
        out.push(ForkEffect::Done(result));
    }
}

impl Race {
    fn take(&mut self, response: &Arc<Message>) {
        if response.code() >= 600 {
            // No new branches; those that run may still bring a 2xx (RFC 3261 section 16.7
            // step 5: only an INVITE could be cancelled).
            self.waiting.clear();
        }
        self.answers.push(Arc::clone(response));
    }

    fn start(&mut self, request: &Message, target: Target) -> ForkEffect {
        let index = self.started;
        self.started += 1;
        self.live.push(index);
        let (uri, routes) = target.on_the_wire();
        let outgoing = Outgoing {
            method: Bytes::copy_from_slice(request.method()),
            uri,
            lines: forward::lines(request, &routes, self.sender),
            body: request.body(),
            via_params: loops::via_params(request, self.settings.loop_key),
        };
        ForkEffect::Start(Box::new(Branch { index, outgoing, next_hop: target.next_hop }))
    }
}

/// Splits targets into groups of equal `q`, the highest one last.
fn groups(mut targets: Vec<Target>) -> Vec<Vec<Target>> {
    targets.sort_by_key(|target| target.q);
    let mut groups: Vec<Vec<Target>> = Vec::new();
    for target in targets {
        match groups.last_mut() {
            Some(group) if group[0].q == target.q => group.push(target),
            Some(_) | None => groups.push(vec![target]),
        }
    }
    groups
}
