//! `sipsilo run`: the server.

use crate::config::{Flag, Settings, Sources, load};
use crate::{node, telemetry};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  sipsilo run
  sipsilo run --config /etc/sipsilo.toml
  sipsilo run --listen udp:192.0.2.1:5060 --listen tcp:192.0.2.1:5060 --domain example.com
  sipsilo run --db-url embedded:/var/lib/sipsilo --set msilo.expire_time=86400
  SIPSILO__LOG__LEVEL=debug sipsilo run

It prints a line that begins with `ready` once it listens. SIGTERM and Ctrl-C end it gracefully.";

/// The options of `run`.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead, for example udp:127.0.0.1:5060; may be given more than once
    #[arg(long, value_name = "TRANSPORT:ADDRESS:PORT")]
    listen: Vec<String>,
    /// Serve this domain instead; may be given more than once
    #[arg(long, value_name = "NAME")]
    domain: Vec<String>,
    /// Keep messages here: embedded:DIR, or memory: for tests
    #[arg(long, value_name = "URL")]
    db_url: Option<String>,
    /// Set any option; lists are separated by commas; may be given more than once
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

impl Args {
    /// The settings that file, environment and flags make together.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let mut flags: Vec<Flag> =
            self.set.iter().map(|(key, value)| flag("--set", key, value)).collect();
        if !self.listen.is_empty() {
            flags.push(flag("--listen", "sip.listen", &self.listen.join(",")));
        }
        if !self.domain.is_empty() {
            flags.push(flag("--domain", "sip.domains", &self.domain.join(",")));
        }
        flags.extend(self.db_url.as_ref().map(|url| flag("--db-url", "msilo.db_url", url)));
        let environment = std::env::vars_os().collect();
        Ok(load(Sources { file: self.config.clone(), environment, flags })?)
    }
}

fn flag(origin: &str, key: &str, value: &str) -> Flag {
    Flag { origin: origin.into(), key: key.into(), value: value.into() }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write section.key=value")?;
    Ok((key.trim().into(), value.trim().into()))
}

/// Serves until it is told to stop.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = args.settings()?;
    let log = telemetry::start(&settings.log)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let again = args.clone();
    let reload: node::Reload = Box::new(move || again.settings());
    node::run(settings, &log, &reload)?;
    Ok(ExitCode::SUCCESS)
}
