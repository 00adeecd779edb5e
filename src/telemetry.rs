//! The log: events on standard error, as text or JSON.
//!
//! Bodies are never logged, user names not above *debug*. Standard output belongs to the commands.

use crate::config::{Log, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, reload};

/// True when `level` is a filter that [`start`] understands.
///
/// A bare word must be a level: `EnvFilter` would take `inof` for the name of a module and log
/// nothing.
#[must_use]
pub fn is_filter(level: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let is_plain = |directive: &str| LEVELS.contains(&directive.to_ascii_lowercase().as_str());
    level.split(',').all(|directive| directive.contains('=') || is_plain(directive.trim()))
        && EnvFilter::try_new(level).is_ok()
}

/// Changes what is logged while the process runs.
pub struct Handle(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error>>);

impl Handle {
    /// From now on this filter decides what is logged.
    ///
    /// # Errors
    /// When the filter is not one.
    pub fn set_level(&self, level: &str) -> anyhow::Result<()> {
        anyhow::ensure!(is_filter(level), "\"{level}\" is no log level");
        (self.0)(EnvFilter::try_new(level)?)?;
        Ok(())
    }
}

/// Starts logging for this process.
///
/// # Errors
/// When the filter is not one, or logging was started before.
pub fn start(log: &Log) -> anyhow::Result<Handle> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&log.level)?);
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|cause| anyhow::anyhow!("cannot start the log: {cause}"))?;
    Ok(Handle(Box::new(move |filter| handle.reload(filter))))
}

#[cfg(test)]
mod tests {
    use super::is_filter;

    #[test]
    fn a_misspelt_level_is_no_filter() {
        for good in ["info", "warn,sipsilo::net=debug", "off", "DEBUG"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "inof", "info,sipsilo=debgu", "info,,"] {
            assert!(!is_filter(bad), "{bad}");
        }
    }
}
