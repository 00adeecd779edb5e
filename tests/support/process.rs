//! Child processes: what they say, and their end.

use super::PATIENCE;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a process writes, as it comes.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<String>, Condvar)>);

impl Log {
    /// Reads to the end in a thread of its own.
    pub fn follow(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = self.clone();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let (text, more) = &*log.0;
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&line));
                more.notify_all();
                line.clear();
            }
        })
    }

    /// All so far.
    pub fn text(&self) -> String {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a text turns up.
    pub fn wait_for(&self, wanted: &str) {
        let (text, more) = &*self.0;
        let text = text.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, _) = more
            .wait_timeout_while(text, PATIENCE, |text| !text.contains(wanted))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(text.contains(wanted), "'{wanted}' never came up in:\n{text}");
    }
}

/// Waits for the end of a child; one that does not end in time is killed.
pub fn ends_within(mut child: Child, patience: Duration) -> Option<ExitStatus> {
    let pid = child.id();
    let (ended, end) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let _ = ended.send(child.wait());
    });
    if let Ok(status) = end.recv_timeout(patience) {
        return status.ok();
    }
    if let Ok(pid) = pid.try_into() {
        let pid = nix::unistd::Pid::from_raw(pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    None
}
