//! A real node as a child process on free ports and a folder of its own.

use super::process::{Log, ends_within};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A running `sipsilo run`. Killed when dropped, and then asked whether it ever panicked.
pub struct Server {
    child: Option<Child>,
    folder: tempfile::TempDir,
    options: Vec<String>,
    listen: Vec<String>,
    has_config: bool,
    /// The longest file that it may write, in blocks of the shell's `ulimit -f`.
    file_blocks_max: Option<u32>,
    /// Where it answers over UDP.
    pub udp: SocketAddr,
    /// Where it answers over TCP.
    pub tcp: SocketAddr,
    log: Log,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// A node for `example.com` with the embedded store in a fresh folder.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// The same with `--set` options.
    pub fn with(options: &[&str]) -> Self {
        Self::listening("127.0.0.1", options)
    }

    /// The same on another address.
    pub fn listening(ip: &str, options: &[&str]) -> Self {
        let mut server = Self::prepare(ip, options);
        server.launch();
        server
    }

    /// A node with a configuration file that [`Server::write_config`] may change.
    pub fn configured(text: &str) -> Self {
        let mut server = Self::prepare("127.0.0.1", &[]);
        server.has_config = true;
        server.write_config(text);
        server.launch();
        server
    }

    /// A node whose disk takes no file that is longer than a few hundred kilobytes.
    pub fn with_little_room() -> Self {
        let mut server = Self::prepare("127.0.0.1", &[]);
        server.file_blocks_max = Some(600);
        server.launch();
        server
    }

    fn prepare(ip: &str, options: &[&str]) -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            child: None,
            folder: tempfile::tempdir().expect("a temporary folder"),
            options: options.iter().map(|&o| o.to_owned()).collect(),
            listen: vec![format!("udp:{ip}:0"), format!("tcp:{ip}:0")],
            has_config: false,
            file_blocks_max: None,
            udp: nowhere,
            tcp: nowhere,
            log: Log::default(),
            reader: None,
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("sipsilo.toml")
    }

    /// Replaces the configuration file.
    pub fn write_config(&self, text: &str) {
        std::fs::write(self.config(), text).expect("the configuration file is written");
    }

    /// The folder of its store.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_sipsilo");
        let mut command = match self.file_blocks_max {
            None => Command::new(program),
            Some(blocks) => {
                // A write beyond the limit is then an error and no signal.
                let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                let mut shell = Command::new("sh");
                shell.args(["-c", &script, program]);
                shell
            }
        };
        // What the environment of the test run sets is not meant for it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SIPSILO__") {
                command.env_remove(name);
            }
        }
        command.arg("run").args(["--domain", "example.com"]);
        if self.has_config {
            command.arg("--config").arg(self.config());
        }
        for listen in &self.listen {
            command.args(["--listen", listen]);
        }
        command.arg("--db-url").arg(format!("embedded:{}", self.data().display()));
        for option in &self.options {
            command.args(["--set", option]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn launch(&mut self) {
        let mut child = self.command().spawn().expect("the sipsilo binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        self.reader = Some(self.log.follow(stderr));
        self.child = Some(child);
        let (found, ready) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.starts_with("ready") {
                    let _ = found.send(line);
                    return;
                }
            }
        });
        let Ok(line) = ready.recv_timeout(Duration::from_secs(30)) else {
            self.kill();
            panic!("the node never said ready; its log:\n{}", self.log.text());
        };
        for word in line.split_whitespace() {
            if let Some(addr) = word.strip_prefix("udp:") {
                self.udp = addr.parse().expect("an address in the ready line");
            } else if let Some(addr) = word.strip_prefix("tcp:") {
                self.tcp = addr.parse().expect("an address in the ready line");
            }
        }
        // A restart comes up where it was: user agents know that address.
        self.listen = vec![format!("udp:{}", self.udp), format!("tcp:{}", self.tcp)];
    }

    /// What it has logged so far, over all its lives.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until it logs a text.
    pub fn logs(&self, text: &str) {
        self.log.wait_for(text);
    }

    /// SIGKILL: what a power cut looks like to the processes around it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.read_log_to_its_end();
    }

    fn read_log_to_its_end(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    /// Sends a signal by name, e.g. `TERM`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -{name} failed");
    }

    /// SIGTERM, and the exit status with the log.
    pub fn terminate(&mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.terminated()
    }

    /// Waits for the end that was asked for: the exit status with the log.
    pub fn terminated(&mut self) -> (ExitStatus, String) {
        let patience = Duration::from_secs(30);
        let status = ends_within(self.child.take().expect("a running node"), patience);
        self.read_log_to_its_end();
        let status = status.unwrap_or_else(|| panic!("the node does not end:\n{}", self.log()));
        (status, self.log.text())
    }

    /// SIGKILL and a fresh start on the same folder and ports.
    pub fn crash_and_restart(&mut self) {
        self.kill();
        self.launch();
    }

    /// A fresh start on the same folder and ports after [`Server::terminate`] or
    /// [`Server::kill`].
    pub fn restart(&mut self) {
        self.launch();
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("a running node");
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let log = self.log.text();
        let is_told_already = std::thread::panicking();
        assert!(is_told_already || !log.contains("panicked at"), "the node panicked:\n{log}");
        if is_told_already {
            eprintln!("the node's log:\n{log}");
        }
    }
}
