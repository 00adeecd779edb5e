//! `sipsilo check-config` and `sipsilo config default`.

use crate::config::{DEFAULT_FILE, Sources, load};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// The options of `check-config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sipsilo check-config /etc/sipsilo.toml

Variables SIPSILO__SECTION__KEY are passed over: it is the file that is checked.")]
pub(super) struct CheckArgs {
    /// The configuration file
    file: PathBuf,
}

/// What `config` can print.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print a configuration file with every option, its default and its reason
    #[command(after_help = "Examples:\n  sipsilo config default > sipsilo.toml")]
    Default,
}

/// Says whether `run` would take the file.
pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let settings = load(Sources { file: Some(args.file.clone()), ..Sources::default() })?;
    for warning in settings.warnings() {
        eprintln!("warning: {warning}");
    }
    let listen: Vec<String> = settings.sip.listen.iter().map(ToString::to_string).collect();
    println!(
        "{} is valid: listens on {} for {} and stores in {}",
        args.file.display(),
        listen.join(", "),
        settings.sip.domains.join(", "),
        settings.msilo.db_url
    );
    Ok(ExitCode::SUCCESS)
}

/// Prints what was asked for.
pub(super) fn print(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Default => std::io::stdout().write_all(DEFAULT_FILE.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
