//! A scripted server and a running command.

use bytes::Bytes;
use sipsilo::sip::Message;
use sipsilo::sip::build::{Reply, print_response};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for a busy machine; what has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// One end of a conversation by UDP.
pub(crate) struct Peer {
    socket: UdpSocket,
}

impl Peer {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next SIP message; keep-alives are passed over.
    pub(crate) fn hear(&self) -> (Message, SocketAddr) {
        let mut buffer = vec![0; 65_535];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer).expect("a message in time");
            if let Ok(message) = Message::parse_datagram(Bytes::copy_from_slice(&buffer[..length]))
            {
                return (message, from);
            }
        }
    }

    pub(crate) fn answer(&self, (request, from): &(Message, SocketAddr), reply: &Reply) {
        self.say(&print_response(request, reply, "server"), *from);
    }

    pub(crate) fn say(&self, bytes: &[u8], to: SocketAddr) {
        self.socket.send_to(bytes, to).unwrap();
    }
}

/// Takes one connection, reads one message and answers it.
pub(crate) fn answer_by_tcp(listener: &TcpListener, reply: &Reply) -> Message {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = read_message(&mut stream);
    stream.write_all(&print_response(&request, reply, "server")).unwrap();
    request
}

fn read_message(stream: &mut TcpStream) -> Message {
    let mut framer = sipsilo::sip::Framer::new();
    let mut buffer = [0; 4_096];
    loop {
        let length = stream.read(&mut buffer).expect("a message in time");
        framer.push(&buffer[..length]);
        if let Some(sipsilo::sip::Frame::Message(bytes)) = framer.next() {
            return Message::parse_framed(bytes).unwrap();
        }
    }
}

/// A command that runs beside the test; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(super::command(args))
    }

    /// The same for a command with an environment of its own.
    pub(crate) fn of(mut command: std::process::Command) -> Self {
        let mut child =
            command.env("TZ", "UTC").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::sync_channel(1_024);
        let (out, err): (ChildStdout, ChildStderr) =
            (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let err_sender = sender.clone();
        std::thread::spawn(move || pass_on(out, &sender));
        std::thread::spawn(move || pass_on(err, &err_sender));
        Self { child, lines }
    }

    /// The next line of output, of either kind.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line of output in time")
    }

    /// All lines of output that are still to come.
    pub(crate) fn rest(&self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            lines.push(line);
        }
        lines
    }

    /// Asks the command to end.
    pub(crate) fn terminate(&self) {
        let id = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// Waits until the command has ended.
    pub(crate) fn end(mut self) -> ExitStatus {
        // The output ends when the command does.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails when it has ended, which is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(from: impl std::io::Read, to: &mpsc::SyncSender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        if to.send(line).is_err() {
            return;
        }
    }
}
