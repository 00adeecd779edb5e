//! `sipsilo load`: user agents by the hundred thousand, with a ledger of what they sent and got.
//!
//! One thread plays all of them: it sends requests at a steady rate with the timers of RFC 3261,
//! answers the MESSAGEs that come, and accounts for each message by a number in its body.
//!
//! * `script`: the requests, patched into place.
//! * `engine`: transactions, timers and the sockets.
//! * `scenario`: who sends what when; `ledger`: what became of it.
//! * `report`: figures for people and for programs.

mod engine;
mod ledger;
mod report;
mod scenario;
mod script;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use engine::{Engine, Pace};
use report::Figures;
use scenario::{Dump, Mixed, Register, Store};
use script::Script;
use std::net::SocketAddr;

/// What the user agents do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Job {
    /// MESSAGEs to users who are offline.
    Store,
    /// REGISTERs of users without mail.
    Register,
    /// Messages are stored first; then each user registers and takes his.
    Dump,
    /// MESSAGEs, REGISTERs and un-REGISTERs of users who come and go; at the end everyone
    /// registers and takes what is left.
    Mixed,
}

/// Options of `sipsilo load`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  sipsilo load store --rate 20000 --seconds 10
  sipsilo load dump --users 50000 --each 4 --rate 5000
  sipsilo load mixed --rate 10000 --seconds 600 --loss 5 --malformed 1

The exit code is 0 only if every accepted message was delivered exactly once (dump, mixed) and
no request failed.")]
pub(super) struct Options {
    /// What the user agents do.
    #[arg(value_enum)]
    pub(super) job: Job,
    /// The server.
    #[arg(long, default_value = "127.0.0.1:5060", value_name = "HOST:PORT")]
    pub(super) target: SocketAddr,
    /// The domain of the users; it must be one of the server's.
    #[arg(long, default_value = "localhost")]
    pub(super) domain: String,
    /// Requests each second; 0 = as many as `--window` allows.
    #[arg(long, default_value_t = 1_000.0)]
    pub(super) rate: f64,
    /// For how long requests are begun (store, register, mixed).
    #[arg(long, default_value_t = 5.0)]
    pub(super) seconds: f64,
    /// How many users; by default as many as requests are sent.
    #[arg(long)]
    pub(super) users: Option<u32>,
    /// The number of the first user: another run can use others.
    #[arg(long, default_value_t = 0)]
    pub(super) first_user: u32,
    /// Messages stored for each user before a dump.
    #[arg(long, default_value_t = 1)]
    pub(super) each: u32,
    /// Bytes of a body, at least 40.
    #[arg(long, default_value_t = 100)]
    pub(super) body: usize,
    /// Requests in flight when there is no rate.
    #[arg(long, default_value_t = 64)]
    pub(super) window: usize,
    /// Percent of datagrams lost on purpose, each way.
    #[arg(long, default_value_t = 0.0)]
    pub(super) loss: f64,
    /// Datagrams of nonsense for each hundred requests.
    #[arg(long, default_value_t = 0.0)]
    pub(super) malformed: f64,
    /// The seed of everything drawn by chance.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Print the figures as `name value` lines only.
    #[arg(long)]
    pub(super) plain: bool,
}

/// Runs the job and prints its figures. Answers whether nothing was wrong.
///
/// # Errors
/// When the options make no sense or sockets cannot be opened.
pub(super) fn run(options: &Options) -> anyhow::Result<bool> {
    check(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let local = tokio::task::LocalSet::new();
    let figures = local.block_on(&runtime, play(options))?;
    print!("{}", if options.plain { figures.plain() } else { figures.table() });
    Ok(figures.is_clean())
}

fn check(options: &Options) -> anyhow::Result<()> {
    if options.body < script::BODY_MIN {
        bail!(
            "--body {} is too short: a body names itself in {} bytes",
            options.body,
            script::BODY_MIN
        );
    }
    for (name, percent) in [("--loss", options.loss), ("--malformed", options.malformed)] {
        if !(0.0..=90.0).contains(&percent) {
            bail!("{name} {percent} is out of range: 0 to 90 percent");
        }
    }
    if !options.rate.is_finite() || options.rate < 0.0 || options.seconds <= 0.0 {
        bail!("--rate must be 0 or more and --seconds more than 0");
    }
    if options.job == Job::Mixed && options.rate == 0.0 {
        bail!("mixed load needs a --rate");
    }
    Ok(())
}

async fn play(options: &Options) -> anyhow::Result<Figures> {
    let mut engine = Engine::open(options)?;
    let count = requests(options);
    let pace = pace(options);
    let script = Script::new(options, engine.contact(), engine.run_id());
    let users = options.users.unwrap_or(count).max(1);
    match options.job {
        Job::Store => {
            let mut job = Store::new(script, options, users);
            engine.run(&mut job, count, pace).await;
            Ok(Figures::of("store", &engine, None))
        }
        Job::Register => {
            let mut job = Register::new(script, options, users);
            engine.run(&mut job, count, pace).await;
            Ok(Figures::of("register", &engine, None))
        }
        Job::Dump => {
            let users = options.users.unwrap_or(count / options.each.max(1)).max(1);
            let mut store = Store::new(script.clone(), options, users);
            engine.run(&mut store, users * options.each, Pace::Window(64)).await;
            if engine.stats.count(202) != u64::from(users * options.each) {
                bail!("not every message was stored before the dump: {:?}", engine.stats.finals);
            }
            // Whoever meters the server begins here.
            eprintln!("phase dump");
            let mut dump = Dump::new(script, options, users);
            engine.run(&mut dump, users, pace).await;
            Ok(Figures::of("dump", &engine, Some(dump.ledger)))
        }
        Job::Mixed => {
            let users = options.users.unwrap_or(count / 4).max(10);
            let mut mixed = Mixed::new(script, options, users);
            engine.run(&mut mixed, count, pace).await;
            mixed.sweep();
            let left = mixed.sweep_count();
            engine.run_on(&mut mixed, left, Pace::Window(64)).await;
            Ok(Figures::of("mixed", &engine, Some(mixed.into_ledger())))
        }
    }
}

fn pace(options: &Options) -> Pace {
    if options.rate > 0.0 { Pace::Rate(options.rate) } else { Pace::Window(options.window.max(1)) }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be positive; more requests than u32 holds are no use"
)]
fn requests(options: &Options) -> u32 {
    let rate = if options.rate > 0.0 { options.rate } else { 10_000.0 };
    (rate * options.seconds).ceil() as u32
}
