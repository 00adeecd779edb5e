//! The `sipsilo` command and its subcommands.
//!
//! A command prints its result on standard output and what went wrong, in one sentence, on
//! standard error. It exits with 0 when it did what it was asked, with 1 when it could not, and
//! with 2 when the command line makes no sense.

mod agent;
mod configuration;
mod demo;
mod inbox;
mod load;
mod receive;
mod run;
mod screen;
mod send;
mod words;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What `sipsilo --help` says at its end.
const EXAMPLES: &str = "\
Examples:
  sipsilo demo                                     see what it does, in a few seconds
  sipsilo                                          serve on 127.0.0.1:5060, UDP and TCP
  sipsilo receive sip:bob@localhost                be bob: register and print what comes
  sipsilo send sip:bob@localhost \"hello\"           write to bob, whether he is there or not
  sipsilo config default > sipsilo.toml            a configuration file to start from";

/// Stores SIP MESSAGE requests for users who are offline and delivers them when they register.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Without a subcommand, the options of `run` count.
    #[command(flatten)]
    run: run::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or Ctrl-C (also what happens without a subcommand)
    Run(run::Args),
    /// Tell the whole story on free ports in a temporary folder, with the SIP on screen
    Demo(demo::Args),
    /// Send one message and tell what became of it
    Send(send::Args),
    /// Register as a user and print each message that comes
    Receive(receive::Args),
    /// Look into the mailboxes of an embedded store that no node is using
    Inbox {
        #[command(subcommand)]
        command: inbox::Command,
    },
    /// Put a server under load, with a ledger of every message
    Load(load::Options),
    /// Check a configuration file as `run` would, and serve nothing
    CheckConfig(configuration::CheckArgs),
    /// Print configuration
    Config {
        #[command(subcommand)]
        command: configuration::Command,
    },
}

/// Runs the command that the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => block_on(demo::run(&args)),
        Command::Send(args) => block_on(send::run(&args)),
        Command::Receive(args) => block_on(receive::run(&args)),
        Command::Inbox { command } => block_on(inbox::run(&command)),
        Command::Load(options) => load::run(&options).map(exit_code),
        Command::CheckConfig(args) => configuration::check(&args),
        Command::Config { command } => configuration::print(&command),
    };
    done.unwrap_or_else(|error| {
        eprintln!("sipsilo: {error:#}");
        ExitCode::FAILURE
    })
}

/// 0 when nothing was wrong.
fn exit_code(is_clean: bool) -> ExitCode {
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a client command on this thread.
fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}
