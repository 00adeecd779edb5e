//! What a transaction costs: from the bytes that came to the bytes that leave.
//!
//! The clock of the endpoint runs as it would at 70,000 requests a second, so that the table of
//! kept responses is at its working size and expires while it is measured.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sipsilo::sip::build::{Outgoing, Reply, print_response};
use sipsilo::sip::codec::Message;
use sipsilo::sip::endpoint::{ClientToken, Effect, Endpoint, Manner, Settings};
use sipsilo::vocab::{Now, Packet, Path, Transport};
use std::hint::black_box;

/// A REGISTER as a telephone sends it, 10 lines; `{n}` is a number of eight digits.
const REGISTER: &str = "REGISTER sip:example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.168.1.20:5060;rport;branch=z9hG4bKhjhs8ass{n}\r\n\
    Max-Forwards: 70\r\n\
    From: \"Bob\" <sip:bob{n}@example.com>;tag=456248{n}\r\n\
    To: \"Bob\" <sip:bob{n}@example.com>\r\n\
    Call-ID: 843817637684230@998sdasdh{n}\r\n\
    CSeq: 1826 REGISTER\r\n\
    Contact: <sip:bob{n}@192.168.1.20:5060;transport=udp>;expires=3600\r\n\
    User-Agent: Telephone/1.2.3\r\n\
    Content-Length: 0\r\n\r\n";

const EVERY_US: u64 = 14;

struct Bench {
    endpoint: Endpoint,
    now: Now,
    out: Vec<Effect>,
    n: u64,
    path: Path,
    ok: Reply,
}

impl Bench {
    fn new() -> Self {
        let path = Path {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().expect("an address"),
            remote: "198.51.100.7:40000".parse().expect("an address"),
            flow: None,
        };
        Self {
            endpoint: Endpoint::new(Settings::default(), [1, 2, 3, 4]),
            now: Now { mono_us: 0, unix_us: 0 },
            out: Vec::new(),
            n: 0,
            path,
            ok: Reply::new(200),
        }
    }

    fn register(&mut self) -> Packet {
        self.n += 1;
        let text = REGISTER.replace("{n}", &format!("{:08}", self.n));
        Packet { bytes: text.into(), path: self.path }
    }

    fn pass(&mut self) {
        self.now.mono_us += EVERY_US;
        if self.endpoint.deadline().is_some_and(|at| at <= self.now.mono_us) {
            self.endpoint.tick(self.now, &mut self.out);
        }
        self.out.clear();
    }

    fn answer(&mut self, packet: Packet) {
        self.endpoint.receive(packet, self.now, &mut self.out);
        if let Some(Effect::Request { key, .. }) = self.out.first() {
            let key = *key;
            self.endpoint.respond(key, &self.ok, self.now, &mut self.out);
        }
        black_box(&self.out);
        self.pass();
    }

    fn send(&mut self, request: &Outgoing) -> Bytes {
        self.n += 1;
        let token = ClientToken(self.n);
        let manner = Manner::default();
        let full =
            self.endpoint.send(request, self.path, token, manner, self.now, &mut self.out).is_err();
        assert!(!full, "every request is answered");
        match self.out.pop() {
            Some(Effect::Transmit { bytes, .. }) => bytes,
            other => panic!("not sent: {other:?}"),
        }
    }
}

fn server(c: &mut Criterion) {
    let mut group = c.benchmark_group("server");
    let mut bench = Bench::new();
    for _ in 0..600_000 {
        let packet = bench.register();
        bench.answer(packet);
    }
    let mut cell = std::cell::RefCell::new(bench);
    group.bench_function("parse only", |b| {
        b.iter_batched(
            || cell.borrow_mut().register().bytes,
            |bytes| Message::parse_datagram(bytes).is_ok(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("receive and answer a REGISTER", |b| {
        b.iter_batched(
            || cell.borrow_mut().register(),
            |packet| cell.borrow_mut().answer(packet),
            BatchSize::SmallInput,
        );
    });
    let seen = cell.get_mut().endpoint.observe();
    println!("kept: {} responses in {} bytes", seen.completed, seen.completed_bytes);
    let packet = cell.borrow_mut().register();
    cell.borrow_mut().answer(packet.clone());
    group.bench_function("replay an answer", |b| {
        b.iter(|| {
            let mut bench = cell.borrow_mut();
            let now = bench.now;
            let mut out = std::mem::take(&mut bench.out);
            bench.endpoint.receive(packet.clone(), now, &mut out);
            black_box(&out);
            out.clear();
            bench.out = out;
        });
    });
    group.finish();
}

fn client(c: &mut Criterion) {
    let lines = "From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\n\
        To: <sip:bob@example.com>\r\nCall-ID: 3848276298220188511@silo.example.com\r\n\
        CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nDate: Thu, 21 Feb 2002 13:02:03 GMT\r\n\
        Content-Type: text/plain;charset=utf-8\r\n";
    let request = Outgoing {
        method: Bytes::from_static(b"MESSAGE"),
        uri: Bytes::from_static(b"sip:bob@192.168.1.20:5060;transport=udp"),
        lines: Bytes::from_static(lines.as_bytes()),
        body: Bytes::from_static(&[b'x'; 120]),
        via_params: Bytes::new(),
    };
    let mut group = c.benchmark_group("client");
    let bench = std::cell::RefCell::new(Bench::new());
    group.bench_function("send a MESSAGE", |b| {
        b.iter(|| {
            let mut bench = bench.borrow_mut();
            let bytes = bench.send(&request);
            let token = ClientToken(bench.n);
            bench.endpoint.cancel(token);
            bench.pass();
            bytes
        });
    });
    group.bench_function("take in its answer", |b| {
        b.iter_batched(
            || {
                let mut bench = bench.borrow_mut();
                let sent = Message::parse_datagram(bench.send(&request)).expect("our own request");
                let bytes = print_response(&sent, &bench.ok, "bob");
                Packet { bytes, path: bench.path }
            },
            |packet| {
                let mut bench = bench.borrow_mut();
                let now = bench.now;
                let mut out = std::mem::take(&mut bench.out);
                bench.endpoint.receive(packet, now, &mut out);
                assert!(matches!(out[..], [Effect::Outcome { .. }]));
                bench.out = out;
                bench.pass();
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, server, client);
criterion_main!(benches);
