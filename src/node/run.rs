//! `sipsilo run`: a node on this machine until a signal ends it.

use super::{Node, Parts, Place, SystemClock, parts, snapshot};
use crate::actors::gateway::StartNet;
use crate::config::{DbUrl, Settings};
use crate::net::{self, WorkerSockets};
use crate::store::Store;
use crate::store::embedded::{self, EmbeddedStore};
use crate::store::memory::MemoryStore;
use crate::telemetry;
use crate::vocab::{Clock, Transport};
use anyhow::Context;
use futures_util::StreamExt;
use sipsilo_cluster::{NodeId, SoleOwner};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long open transactions get to end by themselves after SIGTERM.
const DRAIN: Duration = Duration::from_secs(5);

/// Between two looks at whether all parts of the node are alive.
const ROUND: Duration = Duration::from_secs(1);

/// Reads the settings again as they were read at the start.
pub type Reload = Box<dyn Fn() -> anyhow::Result<Settings>>;

/// Serves until SIGTERM or Ctrl-C, then goes down in order.
///
/// # Errors
/// When a socket or the store cannot be opened, or the store cannot be closed; the text says what
/// to do.
pub fn run(settings: Settings, log: &telemetry::Handle, reload: &Reload) -> anyhow::Result<()> {
    spare_huge_pages();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = settings.workers(cores);
    let sockets = net::bind(&parts::listen_specs(&settings), workers, &parts::network(&settings))?;
    let listeners = sockets.first().map(|s| s.listeners().to_vec()).unwrap_or_default();
    let store = store_of(&settings, clock.clone())?;
    let seed: u64 = rand::random();
    let policy = parts::policy(&settings, &listeners, seed);
    let node_parts = Parts {
        clock,
        store,
        ownership: Arc::new(SoleOwner::new(NodeId("single".into()))),
        nets: sockets.into_iter().map(opening).collect(),
        policy,
        endpoint: parts::endpoint(&settings, usize::from(workers)),
        options: parts::options(&settings, &listeners),
        deliveries_max: settings.delivery.dumps_max,
        seed,
        place: Place::Threads,
    };
    actix::System::new().block_on(serve(settings, node_parts, listeners, log, reload))
}

/// A worker's sockets, to be put to work on its thread.
fn opening(sockets: WorkerSockets) -> StartNet {
    Box::new(move || {
        let (wire, events) = sockets.start()?;
        Ok((wire, events.boxed_local()))
    })
}

/// Asks the kernel for small pages. A huge page is cleared in one go the moment it is first touched,
/// and no request is answered meanwhile: with them the slowest hundredth of REGISTERs to a fresh
/// node took six times as long.
fn spare_huge_pages() {
    if let Err(error) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%error, "huge pages stay as they are");
    }
}

/// Opens the store that `msilo.db_url` names.
///
/// # Errors
/// When it cannot be opened; the text says what to do.
pub fn store_of(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    match &settings.msilo.db_url {
        DbUrl::Memory => Ok(Arc::new(MemoryStore::new(clock))),
        DbUrl::Embedded(folder) => {
            let options = embedded::Options {
                memtable_bytes: settings.limits.memtable_bytes,
                ..embedded::Options::new(folder, clock)
            };
            Ok(Arc::new(EmbeddedStore::open(options)?))
        }
    }
}

async fn serve(
    settings: Settings,
    node_parts: Parts,
    listeners: Vec<(Transport, SocketAddr)>,
    log: &telemetry::Handle,
    reload: &Reload,
) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let seed = node_parts.seed;
    let mut node = Node::prepare(node_parts);
    // Before anybody can register anew.
    bring_bindings_back(&node, &settings).await;
    if let Err(error) = node.open().await {
        node.stop().await.context("the store could not be closed in order")?;
        return Err(error.into());
    }
    say_ready(&listeners);
    let mut current = settings;
    let mut rounds = tokio::time::interval(ROUND);
    let is_whole = loop {
        tokio::select! {
            () = signals.end.told() => break true,
            _ = signals.hang_up.recv() => {
                current = reloaded(&node, current, &listeners, seed, log, reload);
            }
            _ = rounds.tick() => if !node.is_whole() {
                break false;
            }
        }
    };
    tracing::info!("going down: what is open comes to its end first; a second signal skips that");
    tokio::select! {
        () = node.drain(DRAIN) => {}
        () = signals.end.told() => tracing::info!("told again: going down at once"),
    }
    keep_bindings(&node, &current).await;
    for (name, count) in node.world().stats.all() {
        tracing::info!(name, count, "counter at the end");
    }
    node.stop().await.context("the store could not be closed in order")?;
    anyhow::ensure!(is_whole, "a part of the server died (the log says which): start it again");
    Ok(())
}

struct Signals {
    end: End,
    hang_up: Signal,
}

struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            end: End {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

impl End {
    /// Comes back when the node is told to end.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whoever started the node waits for this line.
fn say_ready(listeners: &[(Transport, SocketAddr)]) {
    let mut line = String::from("ready");
    for (transport, address) in listeners {
        line.push_str(&format!(" {transport}:{address}"));
    }
    let mut out = std::io::stdout().lock();
    // Nobody may be listening any more; the node serves all the same.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Takes over what may change while the node runs, and says what may not.
fn reloaded(
    node: &Node,
    old: Settings,
    listeners: &[(Transport, SocketAddr)],
    seed: u64,
    log: &telemetry::Handle,
    reload: &Reload,
) -> Settings {
    let new = match reload() {
        Ok(new) => new,
        Err(error) => {
            tracing::error!("the settings were not reloaded: {error:#}");
            return old;
        }
    };
    node.world().set_policy(parts::policy(&new, listeners, seed));
    if let Err(error) = log.set_level(&new.log.level) {
        tracing::error!("log.level stays as it was: {error:#}");
    }
    for section in needs_restart(&old, &new) {
        tracing::warn!("changes in [{section}] need a restart; they were not taken over");
    }
    tracing::info!("settings reloaded: [sip] rules, msilo.expire_time, relay_timeout, log.level");
    new
}

/// The sections with changes that a running node cannot take over.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let sip = |s: &Settings| (s.sip.listen.clone(), s.sip.workers, s.sip.oversize_udp);
    let msilo = |s: &Settings| {
        let m = &s.msilo;
        (m.db_url.clone(), m.check_time, m.clean_period, m.max_messages)
    };
    let delivery = |s: &Settings| {
        let relay_timeout = Duration::ZERO;
        crate::config::Delivery { relay_timeout, ..s.delivery.clone() }
    };
    [
        ("sip", sip(old) != sip(new)),
        ("msilo", msilo(old) != msilo(new)),
        ("registrar", old.registrar != new.registrar),
        ("delivery", delivery(old) != delivery(new)),
        ("limits", old.limits != new.limits),
        ("log", old.log.format != new.log.format),
    ]
    .into_iter()
    .filter_map(|(section, changed)| changed.then_some(section))
    .collect()
}

fn snapshot_folder(settings: &Settings) -> Option<&Path> {
    match &settings.msilo.db_url {
        DbUrl::Embedded(folder) if settings.registrar.keep_bindings => Some(folder),
        DbUrl::Embedded(_) | DbUrl::Memory => None,
    }
}

async fn bring_bindings_back(node: &Node, settings: &Settings) {
    let Some(folder) = snapshot_folder(settings) else { return };
    match snapshot::take(folder) {
        Ok(Some(bindings)) => match node.import(bindings).await {
            Ok(users) => tracing::info!(users, "bindings of the last run taken over"),
            Err(error) => tracing::warn!("some bindings of the last run were not read: {error}"),
        },
        Ok(None) => {}
        Err(error) => tracing::warn!("the bindings of the last run were not read: {error}"),
    }
}

async fn keep_bindings(node: &Node, settings: &Settings) {
    let Some(folder) = snapshot_folder(settings) else { return };
    if let Err(error) = snapshot::write(folder, &node.export().await) {
        tracing::warn!("the bindings were not kept for the next run: {error}");
    }
}
