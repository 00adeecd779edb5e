//! The system's clock: the one place where time is read.

use crate::vocab::clock::micros;
use crate::vocab::{Clock, Now};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Time as the operating system tells it.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic side begins now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_us: micros(self.started.elapsed()),
            unix_us: i64::try_from(unix.as_micros()).unwrap_or(i64::MAX),
        }
    }
}
