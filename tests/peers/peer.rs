//! A foreign program as a child process.

use crate::support::PATIENCE;
use crate::support::process::{Log, ends_within};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A running program. Killed when dropped, with all processes it started.
pub(crate) struct Peer {
    child: Option<Child>,
    name: String,
    log: Log,
}

impl Peer {
    /// Starts `program`.
    pub(crate) fn start(program: &str, args: &[&str]) -> Self {
        // Debian keeps some of them outside a user's path.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new(program)
            .args(args)
            .env("PATH", path)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| {
                panic!("{program} does not start ({e}): run scripts/test, which installs it")
            });
        let log = Log::default();
        log.follow(child.stdout.take().expect("stdout is piped"));
        log.follow(child.stderr.take().expect("stderr is piped"));
        Self { child: Some(child), name: program.to_owned(), log }
    }

    /// Waits until it says something.
    pub(crate) fn says(&self, text: &str) {
        self.log.wait_for(text);
    }

    /// Waits for its end and asserts success.
    pub(crate) fn succeeds(mut self) {
        let child = self.child.take().expect("it was not waited for");
        let status = ends_within(child, PATIENCE * 2);
        let is_well = status.is_some_and(|status| status.success());
        assert!(is_well, "{} failed ({status:?}); it says:\n{}", self.name, self.log.text());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Ok(group) = child.id().try_into() {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = child.wait();
        if std::thread::panicking() {
            eprintln!("{} says:\n{}", self.name, self.log.text());
        }
    }
}

/// A port that is free for UDP and TCP at this moment.
pub(crate) fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free UDP port");
        let addr: SocketAddr = udp.local_addr().expect("bound");
        if TcpListener::bind(addr).is_ok() {
            return addr.port();
        }
    }
}
