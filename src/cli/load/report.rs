//! Figures for people and for programs.

use super::engine::Engine;
use super::ledger::{Ledger, Verdict};
use std::fmt::Write;

/// The figures of a run, in the order they are shown.
pub(super) struct Figures {
    rows: Vec<(&'static str, String)>,
    is_clean: bool,
}

impl Figures {
    pub(super) fn of(job: &'static str, engine: &Engine, ledger: Option<Ledger>) -> Self {
        let stats = &engine.stats;
        let mut times = stats.times_us.clone();
        times.sort_unstable();
        let at = |share: f64| percentile(&times, share);
        let answered: u64 = stats.finals.values().sum();
        let failed: u64 =
            stats.finals.iter().filter(|(code, _)| **code >= 300).map(|(_, n)| n).sum();
        let mut rows = vec![
            ("job", job.to_owned()),
            ("requests", stats.begun.to_string()),
            ("answered_per_s", format!("{:.0}", answered as f64 / stats.seconds.max(1e-9))),
            ("seconds", format!("{:.2}", stats.seconds)),
            ("p50_ms", at(0.5)),
            ("p99_ms", at(0.99)),
            ("max_ms", at(1.0)),
            ("retransmissions", stats.retransmissions.to_string()),
            ("timeouts", stats.timeouts.to_string()),
            ("failed", failed.to_string()),
        ];
        for (code, n) in &stats.finals {
            rows.push(("answers", format!("{code}: {n}")));
        }
        if stats.lost_on_purpose > 0 {
            rows.push(("lost_on_purpose", stats.lost_on_purpose.to_string()));
        }
        if stats.nonsense > 0 {
            rows.push(("nonsense", stats.nonsense.to_string()));
        }
        let mut is_clean = stats.timeouts == 0 && failed == 0;
        if let Some(ledger) = ledger {
            let missing = ledger.missing();
            rows.extend([
                ("stored", ledger.count(Verdict::Stored).to_string()),
                ("relayed", ledger.count(Verdict::Relayed).to_string()),
                ("delivered", ledger.delivered.to_string()),
                ("missing", missing.to_string()),
                ("repeated", ledger.repeated.to_string()),
                ("out_of_order", ledger.out_of_order.to_string()),
                ("strangers", ledger.strangers.to_string()),
                ("server_retransmissions", ledger.retransmissions.to_string()),
            ]);
            is_clean &= missing == 0 && ledger.repeated == 0 && ledger.out_of_order == 0;
        }
        Self { rows, is_clean }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.is_clean
    }

    pub(super) fn plain(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.rows {
            let _ = writeln!(out, "{name} {value}");
        }
        out
    }

    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.rows {
            let _ = writeln!(out, "{:<24}{value}", name.replace('_', " "));
        }
        let verdict = if self.is_clean { "nothing lost, nothing twice" } else { "NOT CLEAN" };
        let _ = writeln!(out, "{verdict}");
        out
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1 of a length"
)]
fn percentile(sorted: &[u32], share: f64) -> String {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).map_or_else(|| "-".into(), |us| format!("{:.2}", f64::from(*us) / 1e3))
}
