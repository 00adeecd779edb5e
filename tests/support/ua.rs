//! Scripted user agents over UDP and TCP.

use super::line::{Heard, Line, TcpLine, UdpLine};
use super::text::Sip;
use super::{PATIENCE, SILENCE};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// A number that no other request of this test run has.
pub fn serial() -> u64 {
    SERIAL.fetch_add(1, Ordering::Relaxed) + u64::from(std::process::id()) * 1_000_000
}

/// A user agent on a UDP socket of its own.
pub type Ua = Agent<UdpLine>;
/// A user agent on one TCP connection.
pub type TcpUa = Agent<TcpLine>;

/// A user agent. A copy of a request it has seen is answered as before, or passed over.
pub struct Agent<L> {
    /// Its user part; the domain is `example.com`.
    pub name: String,
    /// The wire.
    pub line: L,
    /// What came while something else was waited for.
    aside: VecDeque<Sip>,
    /// The requests that came, by branch, with what they were answered.
    seen: HashMap<String, Option<Vec<u8>>>,
    cseq: u32,
    register_call: String,
}

impl<L: Line> Agent<L> {
    /// A user agent of `name@example.com` that talks to `server`.
    pub fn new(name: &str, server: SocketAddr) -> Self {
        Self::on(name, L::open(server))
    }

    /// The same on a wire that is there already.
    pub fn on(name: &str, line: L) -> Self {
        Self {
            name: name.into(),
            line,
            aside: VecDeque::new(),
            seen: HashMap::new(),
            cseq: 0,
            register_call: format!("reg-{}@test", serial()),
        }
    }

    /// Its own address.
    pub fn addr(&self) -> SocketAddr {
        self.line.addr()
    }

    /// Its contact URI.
    pub fn contact(&self) -> String {
        let transport = if L::TRANSPORT == "TCP" { ";transport=tcp" } else { "" };
        format!("sip:{}@{}{transport}", self.name, self.addr())
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.line.send(bytes.as_ref());
    }

    /// A request with a body; `extra` are header lines with line ends.
    pub fn draft(
        &self,
        method: &str,
        uri: &str,
        to: &str,
        extra: &str,
        body: impl AsRef<[u8]>,
    ) -> Vec<u8> {
        let (n, name, addr) = (serial(), &self.name, self.addr());
        let (transport, body) = (L::TRANSPORT, body.as_ref());
        let mut bytes = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {addr};rport;branch=z9hG4bK{n}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{name}@example.com>;tag=t{n}\r\n\
             To: <{to}>\r\nCall-ID: c{n}@test\r\nCSeq: 1 {method}\r\n{extra}\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    /// A request without body, as text that a story may change.
    pub fn request(&self, method: &str, uri: &str, extra: &str) -> String {
        String::from_utf8(self.draft(method, uri, uri, extra, "")).expect("text")
    }

    /// A MESSAGE with a text to `to@example.com`; `extra` are header lines.
    pub fn message(&self, to: &str, text: &str, extra: &str) -> String {
        let (uri, extra) =
            (format!("sip:{to}@example.com"), format!("Content-Type: text/plain\r\n{extra}"));
        String::from_utf8(self.draft("MESSAGE", &uri, &uri, &extra, text)).expect("text")
    }

    /// A REGISTER of its contact.
    pub fn register_request(&mut self, expires: u32) -> String {
        let contact = format!("<{}>;expires={expires}", self.contact());
        self.register_with(&format!("Contact: {contact}\r\n"))
    }

    /// A REGISTER with these header lines.
    pub fn register_with(&mut self, extra: &str) -> String {
        self.cseq += 1;
        let (n, name, addr, transport) = (serial(), &self.name, self.addr(), L::TRANSPORT);
        format!(
            "REGISTER sip:example.com SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {addr};rport;branch=z9hG4bK{n}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:{name}@example.com>;tag=t{n}\r\nTo: <sip:{name}@example.com>\r\n\
             Call-ID: {}\r\nCSeq: {} REGISTER\r\n{extra}Content-Length: 0\r\n\r\n",
            self.register_call, self.cseq
        )
    }

    /// Sends a request and waits for its final response, over UDP with the copies that RFC 3261
    /// wants.
    pub fn call(&mut self, request: impl AsRef<[u8]>) -> Sip {
        let request = request.as_ref();
        let deadline = Instant::now() + PATIENCE;
        let mut pause = if L::TRANSPORT == "TCP" { PATIENCE } else { Duration::from_millis(500) };
        loop {
            self.send(request);
            let until = (Instant::now() + pause).min(deadline);
            if let Some(answer) = self.answer_until(request, until) {
                return answer;
            }
            let request = String::from_utf8_lossy(request);
            assert!(Instant::now() < deadline, "no answer to\n{request}");
            pause *= 2;
        }
    }

    /// Waits for the final response to a request that was sent.
    pub fn answer_to(&mut self, request: impl AsRef<[u8]>) -> Sip {
        let answer = self.answer_until(request.as_ref(), Instant::now() + PATIENCE);
        answer.unwrap_or_else(|| panic!("{} waited for an answer in vain", self.name))
    }

    /// Asserts that a request that was sent gets no answer for a while.
    pub fn is_not_answered(&mut self, request: impl AsRef<[u8]>) {
        if let Some(sip) = self.answer_until(request.as_ref(), Instant::now() + SILENCE) {
            panic!("there was to be no answer\n{sip:?}");
        }
    }

    fn answer_until(&mut self, request: &[u8], until: Instant) -> Option<Sip> {
        let branch = branch_of(&String::from_utf8_lossy(request));
        self.wait_until(until, |sip| {
            sip.code() >= 200 && sip.header("Via").is_some_and(|via| branch_of(via) == branch)
        })
    }

    /// Registers with these header lines and asserts the 200.
    pub fn registers(&mut self, extra: &str) -> Sip {
        let request = self.register_with(extra);
        let answer = self.call(request);
        assert_eq!(answer.code(), 200, "{answer:?}");
        answer
    }

    /// Registers for an hour and asserts the 200.
    pub fn register(&mut self) -> Sip {
        let contact = self.contact();
        self.registers(&format!("Contact: <{contact}>;expires=3600\r\n"))
    }

    /// Removes its binding.
    pub fn unregister(&mut self) {
        let contact = self.contact();
        self.registers(&format!("Contact: <{contact}>;expires=0\r\n"));
    }

    /// Sends a MESSAGE and returns the final response.
    pub fn say(&mut self, to: &str, text: &str) -> Sip {
        let request = self.message(to, text, "");
        self.call(request)
    }

    /// Waits for the next MESSAGE and leaves it unanswered.
    pub fn next_message(&mut self) -> Sip {
        self.next_request("MESSAGE")
    }

    /// Waits for the next request of a method and leaves it unanswered.
    pub fn next_request(&mut self, method: &str) -> Sip {
        let until = Instant::now() + PATIENCE;
        self.wait_until(until, |sip| sip.is(method))
            .unwrap_or_else(|| panic!("{} waited for a {method} in vain", self.name))
    }

    /// Answers a request that came; `extra` are header lines.
    pub fn answer(&mut self, request: &Sip, code: u16, extra: &str) {
        let bytes = request.answer(code, "Whatever", extra);
        self.send(&bytes);
        if let Some(via) = request.header("Via") {
            self.seen.insert(branch_of(via), Some(bytes));
        }
    }

    /// Waits for the next MESSAGE and answers 200.
    pub fn take_message(&mut self) -> Sip {
        self.turn_down(200)
    }

    /// Waits for the next MESSAGE and answers with this code.
    pub fn turn_down(&mut self, code: u16) -> Sip {
        let message = self.next_message();
        self.answer(&message, code, "");
        message
    }

    /// Asserts that no MESSAGE comes for a while.
    pub fn hears_nothing(&mut self) {
        if let Some(sip) = self.wait_until(Instant::now() + SILENCE, |sip| sip.is("MESSAGE")) {
            panic!("{} was not to get\n{sip:?}", self.name);
        }
    }

    /// Whatever comes next.
    pub fn next(&mut self) -> Sip {
        let next = self.wait_until(Instant::now() + PATIENCE, |_| true);
        next.unwrap_or_else(|| panic!("{} waited in vain", self.name))
    }

    /// The next message that is `wanted`, up to a moment; others are kept for later.
    pub fn wait_until(&mut self, until: Instant, wanted: impl Fn(&Sip) -> bool) -> Option<Sip> {
        if let Some(at) = self.aside.iter().position(&wanted) {
            return self.aside.remove(at);
        }
        loop {
            match self.line.receive(until) {
                Heard::Message(sip) if self.is_copy(&sip) => {}
                Heard::Message(sip) if wanted(&sip) => return Some(sip),
                Heard::Message(sip) => self.aside.push_back(sip),
                Heard::Nothing => return None,
                Heard::Closed => panic!("the node closed the connection of {}", self.name),
            }
        }
    }

    /// Answers a copy of a request again, if it was answered.
    fn is_copy(&mut self, sip: &Sip) -> bool {
        if sip.code() > 0 {
            return false;
        }
        let branch = branch_of(sip.header("Via").expect("a request has a Via"));
        match self.seen.get(&branch) {
            Some(Some(bytes)) => {
                self.line.send(bytes);
                true
            }
            Some(None) => true,
            None => {
                self.seen.insert(branch, None);
                false
            }
        }
    }
}

/// The first branch in a text.
pub fn branch_of(text: &str) -> String {
    let Some(at) = text.find("branch=") else { return String::new() };
    text[at + 7..].chars().take_while(|c| !";\r\n, ".contains(*c)).collect()
}
