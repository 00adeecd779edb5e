//! The server of the story: this program again, as a child process.

use super::PATIENCE;
use crate::cli::screen::one_line;
use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, DirBuilder, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

/// Between two looks at whether the node has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Lines of the log that are shown when the story fails.
const LOG_LINES: usize = 20;
/// Any free port.
const ANY_PORT: &str = "udp:127.0.0.1:0";

/// A folder for nobody else, gone when it is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn create() -> anyhow::Result<Self> {
        let name = format!("sipsilo-demo-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot create {}; set TMPDIR", path.display()))?;
        Ok(Self(path))
    }

    /// Removes it, and says so if that fails.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("cannot remove {}", self.0.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // There is nothing to remove after `remove`, and nobody to tell in a panic.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A node on a free port. Killed when dropped.
pub(super) struct Node {
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// A free port at first; then the one that was given, for the phones know it.
    listen: String,
    child: Option<Child>,
}

impl Node {
    pub(super) fn new(folder: &Folder) -> anyhow::Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("cannot find this program")?,
            data: folder.0.join("data"),
            log: folder.0.join("log"),
            listen: ANY_PORT.into(),
            child: None,
        })
    }

    /// Its arguments, as its operator would type them.
    pub(super) fn arguments(&self) -> Vec<String> {
        let db_url = format!("embedded:{}", self.data.display());
        let words =
            ["run", "--listen", &self.listen, "--domain", "example.com", "--db-url", &db_url];
        words.map(str::to_owned).to_vec()
    }

    /// Starts it and waits for its `ready`; answers the line and the address in it.
    pub(super) async fn start(&mut self) -> anyhow::Result<(String, SocketAddr)> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = self.program();
        command.args(self.arguments()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().context("cannot start a node")?;
        let out = child.stdout.take();
        self.child = Some(child);
        let (found, ready) = oneshot::channel();
        // Reading blocks; the thread ends with the node's output.
        std::thread::spawn(move || {
            let mut lines = out.into_iter().flat_map(|out| BufReader::new(out).lines());
            if let Some(Ok(line)) = lines.next() {
                let _ = found.send(line);
            }
            lines.for_each(drop);
        });
        let line = timeout(PATIENCE, ready).await;
        let Ok(Ok(line)) = line else { bail!("the node does not say that it is ready") };
        let address = line.split(' ').find_map(|word| word.strip_prefix("udp:")?.parse().ok());
        let address: SocketAddr = address.context("there is no address in the node's output")?;
        self.listen = format!("udp:{address}");
        Ok((line, address))
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// SIGKILL: it has no say in this and saves nothing.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("there is no node to kill")?;
        child.kill()?;
        let status = child.wait()?;
        ensure!(status.signal() == Some(Signal::SIGKILL as i32), "the node ended first: {status}");
        Ok(())
    }

    /// SIGTERM, and how it ended.
    pub(super) async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().context("there is no node to end")?;
        let pid = Pid::from_raw(child.id().try_into()?);
        kill(pid, Signal::SIGTERM)?;
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let now = Instant::now();
            if now > patience {
                self.child = Some(child);
                bail!("the node does not end");
            }
            sleep_until(now + LOOK_AGAIN).await;
        }
    }

    /// The arguments that list what is in its store while it is down.
    pub(super) fn listing(&self) -> Vec<String> {
        ["inbox", "list", "--data", &self.data.display().to_string()].map(str::to_owned).to_vec()
    }

    /// Runs [`Node::listing`] and answers its output.
    pub(super) fn list(&self) -> anyhow::Result<String> {
        let output = self.program().args(self.listing()).stdin(Stdio::null()).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the inboxes cannot be listed: {}", complaint.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// This program, with nothing of the settings that the environment may hold.
    fn program(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SIPSILO__") {
                command.env_remove(name);
            }
        }
        command
    }

    /// The end of its log, safe for a terminal.
    pub(super) fn log_tail(&self) -> Vec<String> {
        let log = fs::read(Path::new(&self.log)).unwrap_or_default();
        let lines: Vec<_> = log.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()).collect();
        lines.iter().skip(lines.len().saturating_sub(LOG_LINES)).map(|l| one_line(l)).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails when it has ended by itself, which is as well.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
