//! What the embedded store costs: operations a second, CPU and bytes written for each, delays,
//! and the time to open. `cargo bench --bench store [-- folder]`.
//!
//! The folder must be on the disk that is to be measured. Bodies are 400 bytes, a message is
//! about 700 in all.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a bench that cannot go on may stop, and its figures are rounded anyway"
)]

use bytes::Bytes;
use nix::sys::resource::{UsageWho, getrusage};
use sipsilo::store::embedded::{EmbeddedStore, Options};
use sipsilo::store::{Put, Store};
use sipsilo::vocab::{Aor, Clock, Key, Message, MessageId, Now};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct SystemClock(Instant);

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Now {
            mono_us: u64::try_from(self.0.elapsed().as_micros()).unwrap(),
            unix_us: i64::try_from(unix.as_micros()).unwrap(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn instant() -> Instant {
    Instant::now()
}

fn aor(user: u32) -> Aor {
    Aor::from_parts(&format!("user{user:07}"), "example.com")
}

/// Message `n` of a run; identities scatter as hashes do.
fn message(user: u32, n: u64) -> Arc<Message> {
    let id = (u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Arc::new(Message {
        key: Key {
            inc_us: 1_800_000_000_000_000 + n.cast_signed(),
            id: MessageId(id.to_le_bytes()),
        },
        owner: aor(user),
        from: Bytes::from_static(b"\"Alice\" <sip:alice@example.org>;tag=9fxced76sl"),
        to: Bytes::from_static(b"<sip:user0000001@example.com>"),
        call_id: Bytes::from_static(b"3848276298220188511@pc33.example.org"),
        content_type: Bytes::from_static(b"text/plain;charset=UTF-8"),
        headers: Bytes::from_static(b"Date: Thu, 21 Feb 2002 13:02:03 GMT\r\nUser-Agent: x/1\r\n"),
        body: Bytes::from(vec![b'x'; 400]),
        expires_s: 1_900_000_000,
        attempts: 0,
    })
}

/// What the process has used so far.
#[derive(Clone, Copy)]
struct Used {
    at: Instant,
    cpu_us: i64,
    written: u64,
}

fn used() -> Used {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let us = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Used {
        at: instant(),
        cpu_us: us(usage.user_time()) + us(usage.system_time()),
        written: written.and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
    }
}

fn report(name: &str, operations: u64, bytes: u64, from: Used, delays: &mut [u32]) {
    let to = used();
    let seconds = (to.at - from.at).as_secs_f64();
    delays.sort_unstable();
    let at = |share: f64| {
        let index = (delays.len() as f64 * share) as usize;
        delays.get(index.min(delays.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    println!(
        "{name:<44} {:>9.0}/s {:>6.2} us cpu {:>6.2} x bytes  p50 {:>6} us  p99 {:>6} us  max {:>6} us",
        operations as f64 / seconds,
        (to.cpu_us - from.cpu_us) as f64 / operations as f64,
        (to.written - from.written) as f64 / bytes.max(1) as f64,
        at(0.5),
        at(0.99),
        at(1.0),
    );
}

/// CPU of each thread so far, in clock ticks of 10 ms.
fn threads() {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")));
    let shown: Vec<String> = stats
        .map(|stat| {
            let stat = stat.unwrap();
            let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(')').unwrap();
            let fields: Vec<&str> = rest.split_whitespace().collect();
            format!("{name} {}+{}", fields[11], fields[12])
        })
        .collect();
    println!("    cpu ticks user+system: {}", shown.join(", "));
}

fn counters(store: &EmbeddedStore) {
    threads();
    let counters = store.report().counters;
    let shown: Vec<String> = counters.iter().map(|(name, n)| format!("{name} {n}")).collect();
    println!("    {}", shown.join(", "));
}

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(Options::new(folder, Arc::new(SystemClock(instant())))).unwrap()
}

fn fresh(folder: &Path) -> EmbeddedStore {
    drop(std::fs::remove_dir_all(folder));
    open(folder)
}

/// Puts at `rate` a second (`None` = as fast as they are answered), `in_flight` at most.
/// `delete_after`: each message is deleted when so many newer ones are stored.
async fn puts(store: &EmbeddedStore, load: Load) -> (u64, Vec<u32>) {
    let mut waiting = VecDeque::new();
    let mut stored = VecDeque::new();
    let mut delays = Vec::new();
    let began = instant();
    let mut done = 0_u64;
    let mut sent = 0_u64;
    while done < load.messages {
        let due = load.rate.map_or(u64::MAX, |rate| (began.elapsed().as_secs_f64() * rate) as u64);
        while sent < load.messages && sent < due && waiting.len() < load.in_flight {
            let user =
                u32::try_from(sent.wrapping_mul(2_654_435_761) % u64::from(load.users)).unwrap();
            let message = message(user, load.first + sent);
            waiting.push_back((instant(), message.key, user, store.put(message)));
            sent += 1;
        }
        let Some((at, key, user, answer)) = waiting.pop_front() else {
            tokio::time::sleep_until((instant() + Duration::from_micros(300)).into()).await;
            continue;
        };
        match answer.await {
            Ok(Put::Stored) => {}
            other => panic!("{other:?}"),
        }
        delays.push(u32::try_from(at.elapsed().as_micros()).unwrap_or(u32::MAX));
        done += 1;
        if let Some(after) = load.delete_after {
            stored.push_back((user, key));
            while stored.len() > after {
                let (user, key) = stored.pop_front().unwrap();
                drop(store.delete(&aor(user), key));
            }
        }
    }
    (done, delays)
}

#[derive(Clone, Copy)]
struct Load {
    messages: u64,
    first: u64,
    users: u32,
    in_flight: usize,
    rate: Option<f64>,
    delete_after: Option<usize>,
}

const LOAD: Load =
    Load { messages: 0, first: 0, users: 200_000, in_flight: 1, rate: None, delete_after: None };

async fn run(name: &str, folder: &Path, load: Load) {
    let store = fresh(folder);
    let bytes = load.messages * message(0, 0).size_bytes() as u64;
    let from = used();
    let (done, mut delays) = puts(&store, load).await;
    report(name, done, bytes, from, &mut delays);
    counters(&store);
}

async fn dump(folder: &Path, name: &str, messages: u64, users: u32, checkpointed: bool) {
    let mut store = fresh(folder);
    puts(&store, Load { messages, users, in_flight: 512, ..LOAD }).await;
    if checkpointed {
        store.close().await.unwrap();
        drop(store);
        store = open(folder);
    }
    let from = used();
    let mut dumped = 0;
    let mut delays = Vec::new();
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..64_u32)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut delays = Vec::new();
                for user in (task..users).step_by(64) {
                    let owner = aor(user);
                    let mut after = None;
                    loop {
                        let at = instant();
                        let page = store.page(&owner, after, 64, 512 * 1024).await.unwrap();
                        delays.push(u32::try_from(at.elapsed().as_micros()).unwrap());
                        for message in &page.messages {
                            store.delete(&owner, message.key).await.unwrap();
                            delays.push(u32::MAX);
                        }
                        after = page.messages.last().map(|message| message.key);
                        if page.is_last {
                            break;
                        }
                    }
                }
                delays
            })
        })
        .collect();
    for task in tasks {
        for delay in task.await.unwrap() {
            if delay == u32::MAX { dumped += 1 } else { delays.push(delay) }
        }
    }
    assert_eq!(dumped, messages);
    let bytes = dumped * message(0, 0).size_bytes() as u64;
    report(name, dumped, bytes, from, &mut delays);
    counters(&store);
    let at = instant();
    store.close().await.unwrap();
    println!("    closed in {:?}", at.elapsed());
}

async fn open_time(folder: &Path) {
    let store = fresh(folder);
    let from = used();
    let (done, mut delays) =
        puts(&store, Load { messages: 1_000_000, in_flight: 512, ..LOAD }).await;
    let bytes = done * message(0, 0).size_bytes() as u64;
    report("1,000,000 puts to 200,000 inboxes", done, bytes, from, &mut delays);
    counters(&store);
    let at = instant();
    drop(store);
    println!("    dropped without a close in {:?}", at.elapsed());
    let at = instant();
    let store = open(folder);
    println!("    opened after that in {:?}", at.elapsed());
    let at = instant();
    store.close().await.unwrap();
    println!("    closed in {:?}", at.elapsed());
    drop(store);
    let at = instant();
    let store = open(folder);
    println!("    opened after a close in {:?}", at.elapsed());
    let from = used();
    let at = instant();
    let load = Load { messages: 100_000, first: 5_000_000, in_flight: 256, ..LOAD };
    let (done, mut delays) = puts(&store, load).await;
    report("puts into those inboxes", done, done * 700, from, &mut delays);
    println!("    in {:?}; folder {} MiB", at.elapsed(), size(folder) >> 20);
    counters(&store);
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let folder = args.first().map_or_else(|| PathBuf::from("target/bench-store"), PathBuf::from);
    let only = args.get(1).cloned().unwrap_or_default();
    let is_on = |name: &str| only.is_empty() || only.contains(name);
    if is_on("puts") {
        for in_flight in [1, 4, 16, 64, 256] {
            let messages = [20_000, 200_000][usize::from(in_flight > 4)];
            let name = format!("puts, {in_flight} in flight");
            run(&name, &folder, Load { messages, in_flight, ..LOAD }).await;
        }
    }
    if is_on("rate") {
        for rate in [5_000.0, 21_000.0, 42_000.0] {
            let name = format!("puts at {rate}/s");
            let messages = (rate * 10.0) as u64;
            let load = Load { messages, in_flight: 4_096, rate: Some(rate), ..LOAD };
            run(&name, &folder, load).await;
        }
    }
    if is_on("delete") {
        for (seconds, rate) in [(0.5, 42_000.0), (5.0, 42_000.0), (20.0, 21_000.0)] {
            let name = format!("puts at {rate}/s, deleted after {seconds} s");
            let messages = (rate * 40.0) as u64;
            let delete_after = Some((seconds * rate) as usize);
            let load = Load { messages, in_flight: 4_096, rate: Some(rate), delete_after, ..LOAD };
            run(&name, &folder, load).await;
        }
    }
    if is_on("dump") {
        dump(&folder, "page and delete, 5 each, young", 50_000, 10_000, false).await;
        dump(&folder, "page and delete, 5 each, from the base", 500_000, 100_000, true).await;
    }
    if is_on("open") {
        open_time(&folder).await;
    }
    drop(std::fs::remove_dir_all(&folder));
}
