//! Goal: whatever is thrown at the server, it goes on serving.
//! Method: torture messages, random bytes and bursts; then an ordinary story.

use crate::support::{Server, TcpUa, Ua};
use std::collections::HashMap;
use std::path::Path;

/// The messages of `tests/torture`, by name.
fn torture() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sip"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(files.len() > 50, "only {} torture messages", files.len());
    files
}

/// A message for somebody offline goes in and comes out.
fn serves(server: &Server) {
    let mut alice = Ua::new("alice", server.udp);
    let name = format!("bob{}", crate::support::ua::serial());
    assert_eq!(alice.say(&name, "still there").code(), 202);
    let mut bob = Ua::new(&name, server.udp);
    bob.register();
    assert_eq!(bob.take_message().text(), "still there");
}

#[test]
fn torture_messages_stop_nothing() {
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    for (_, bytes) in torture() {
        if bytes.len() < 60_000 {
            mallory.send(&bytes);
        }
        let mut stream = TcpUa::new("mallory", server.tcp);
        stream.send(&bytes);
    }
    serves(&server);
}

#[test]
fn a_bad_request_gets_the_code_that_it_deserves_over_a_connection() {
    // Over a connection each answer comes back, whatever Via says.
    let server = Server::start();
    let mut judged = 0;
    for (name, bytes) in torture() {
        let Some(code) = name.strip_prefix('i').and_then(|rest| rest.get(..3)) else { continue };
        let code: u16 = code.parse().unwrap();
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let has_length = text.contains("content-length") || text.contains("\r\nl:");
        if !has_length || !text.contains("\r\n\r\n") || name.contains("content_length") {
            continue;
        }
        let mut mallory = TcpUa::new("mallory", server.tcp);
        mallory.send(&bytes);
        let answer = mallory.next();
        assert_eq!(answer.code(), code, "{name}");
        judged += 1;
    }
    assert!(judged > 20, "only {judged} were judged");
}

/// xorshift64*: the same bytes at each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[test]
fn a_flood_of_junk_stops_nothing() {
    let seed = 0x5eed_0001;
    eprintln!("seed {seed:#x}");
    let mut chance = Chance(seed);
    let server = Server::start();
    let mut mallory = Ua::new("mallory", server.udp);
    for _ in 0..3_000 {
        let length = chance.below(1_400);
        let bytes = chance.bytes(length);
        mallory.send(&bytes);
        // A message of which some bytes were altered, or the end is missing.
        let mut bytes = mallory.message("nobody", "hello", "Subject: x\r\n").into_bytes();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len());
            bytes[at] = chance.next().to_le_bytes()[0];
        }
        bytes.truncate(chance.below(bytes.len()) + 1);
        mallory.send(&bytes);
    }
    for _ in 0..50 {
        let mut stream = TcpUa::new("mallory", server.tcp);
        let junk = chance.bytes(500);
        stream.send(&junk);
    }
    serves(&server);
}

#[test]
fn a_burst_is_answered_to_the_last_and_every_202_is_kept() {
    let server = Server::start();
    let mut alice = TcpUa::new("alice", server.tcp);
    let mut requests = Vec::new();
    for n in 0..400 {
        requests.push(alice.message(&format!("user{}", n % 20), &format!("number {n}"), ""));
    }
    alice.send(requests.concat());
    let mut accepted: HashMap<usize, Vec<String>> = HashMap::new();
    for (n, request) in requests.iter().enumerate() {
        match alice.answer_to(request).code() {
            202 => accepted.entry(n % 20).or_default().push(format!("number {n}")),
            503 => {}
            code => panic!("{code} to number {n}"),
        }
    }
    assert!(!accepted.is_empty());
    for (user, texts) in accepted {
        let mut ua = Ua::new(&format!("user{user}"), server.udp);
        ua.register();
        for text in texts {
            assert_eq!(ua.take_message().text(), text);
        }
    }
}

#[test]
fn a_reader_who_does_not_read_keeps_nobody_else_waiting() {
    let server = Server::start();
    let mut stalled = TcpUa::new("stalled", server.tcp);
    // Answers pile up at the node, for nobody takes them.
    for _ in 0..200 {
        let request = stalled.request("OPTIONS", "sip:example.com", "");
        stalled.send(&request);
    }
    serves(&server);
}
