//! What a user agent talks through: a UDP socket or a TCP connection.

use super::PATIENCE;
use super::text::Sip;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// What came, or did not.
pub enum Heard {
    /// A whole message.
    Message(Sip),
    /// Nothing by then.
    Nothing,
    /// The other end closed the connection.
    Closed,
}

/// One end of a transport.
pub trait Line {
    /// Its name in a Via.
    const TRANSPORT: &'static str;
    /// Opens it towards a node.
    fn open(server: SocketAddr) -> Self;
    /// Its own address.
    fn addr(&self) -> SocketAddr;
    /// Sends bytes as they are.
    fn send(&mut self, bytes: &[u8]);
    /// Waits for the next message up to a moment.
    fn receive(&mut self, until: Instant) -> Heard;
}

fn left(until: Instant) -> Option<Duration> {
    let left = until.checked_duration_since(Instant::now())?;
    Some(left.max(Duration::from_millis(1)))
}

fn is_timeout(error: &std::io::Error) -> bool {
    // A machine that was put to sleep for a while interrupts every wait.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// A UDP socket of its own.
pub struct UdpLine {
    socket: UdpSocket,
    /// Where it sends; a story may change it.
    pub server: SocketAddr,
    /// Where the last datagram came from.
    pub heard_from: Option<SocketAddr>,
}

impl UdpLine {
    /// The next datagram, whatever it is.
    pub fn datagram(&mut self, until: Instant) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 65_536];
        loop {
            self.socket.set_read_timeout(Some(left(until)?)).expect("a timeout");
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    self.heard_from = Some(from);
                    buffer.truncate(length);
                    return Some(buffer);
                }
                Err(e) if is_timeout(&e) => {}
                // The node is down for a moment and its port said so.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
                Err(e) => panic!("receive: {e}"),
            }
        }
    }
}

impl Line for UdpLine {
    const TRANSPORT: &'static str = "UDP";

    fn open(server: SocketAddr) -> Self {
        let ip: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        Self { socket, server, heard_from: None }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    fn send(&mut self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("loopback takes a datagram");
    }

    fn receive(&mut self, until: Instant) -> Heard {
        match self.datagram(until) {
            Some(bytes) => Heard::Message(Sip::read(&bytes)),
            None => Heard::Nothing,
        }
    }
}

/// One TCP connection.
pub struct TcpLine {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What a read brought.
enum Fill {
    More,
    Nothing,
    Closed,
}

impl TcpLine {
    /// A connection that the node opened.
    pub fn accepted(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, received: Vec::new() }
    }

    /// Exactly the next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        while self.received.len() < n {
            assert!(matches!(self.fill(deadline), Fill::More), "the bytes never came");
        }
        let rest = self.received.split_off(n);
        std::mem::replace(&mut self.received, rest)
    }

    /// Waits for a whole buffer of bytes; false when the connection is closed first.
    pub fn try_bytes(&mut self, bytes: &mut [u8]) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.received.len() < bytes.len() {
            if !matches!(self.fill(deadline), Fill::More) {
                return false;
            }
        }
        bytes.copy_from_slice(&self.received[..bytes.len()]);
        self.received.drain(..bytes.len());
        true
    }

    /// Waits until the node has closed the connection.
    pub fn is_closed_by_node(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.fill(deadline) {
                Fill::More => {}
                Fill::Nothing => panic!("the node keeps the connection open"),
                Fill::Closed => return,
            }
        }
    }

    fn fill(&mut self, until: Instant) -> Fill {
        let Some(left) = left(until) else { return Fill::Nothing };
        self.stream.set_read_timeout(Some(left)).expect("a timeout");
        let mut buffer = [0; 16_384];
        match self.stream.read(&mut buffer) {
            Ok(0) => Fill::Closed,
            Ok(n) => {
                self.received.extend_from_slice(&buffer[..n]);
                Fill::More
            }
            Err(e) if is_timeout(&e) => Fill::Nothing,
            Err(_) => Fill::Closed,
        }
    }
}

impl Line for TcpLine {
    const TRANSPORT: &'static str = "TCP";

    fn open(server: SocketAddr) -> Self {
        Self::accepted(TcpStream::connect(server).expect("the node accepts"))
    }

    fn addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket")
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection takes bytes");
    }

    fn receive(&mut self, until: Instant) -> Heard {
        loop {
            if let Some(length) = whole(&self.received) {
                let rest = self.received.split_off(length);
                let bytes = std::mem::replace(&mut self.received, rest);
                return Heard::Message(Sip::read(&bytes));
            }
            match self.fill(until) {
                Fill::More => {}
                Fill::Nothing => return Heard::Nothing,
                Fill::Closed => return Heard::Closed,
            }
        }
    }
}

/// The length of the first message in `bytes`, if it is all there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length:"))?;
    let total = end + length.trim().parse::<usize>().ok()?;
    (bytes.len() >= total).then_some(total)
}
