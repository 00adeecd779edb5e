//! What reading and printing cost on one core; `rsip` beside it.
//!
//! `cargo bench --bench codec`

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rsip::{Header, Headers, Method};
use sipsilo::sip::build::{Edit, Outgoing, Reply, forward_lines, print_request, print_response};
use sipsilo::sip::{Framer, Message, Uri};
use std::hint::black_box;

const MESSAGE: &[u8] = include_bytes!("../tests/message.sip");

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(1));
    let raw = Bytes::from_static(MESSAGE);
    group.bench_function("message", |b| b.iter(|| Message::parse_datagram(black_box(raw.clone()))));
    group.bench_function("routable request", |b| {
        b.iter(|| {
            let message = Message::parse_datagram(black_box(raw.clone())).expect("it is valid");
            let uri = Uri::parse(message.request_uri()).expect("it is valid");
            let aor = uri.aor().expect("it is a SIP URI");
            black_box((message.top_via(), message.from_tag(), message.to_tag(), message.cseq()));
            (aor, message)
        });
    });
    group.bench_function("framer", |b| {
        let mut framer = Framer::new();
        b.iter(|| {
            framer.push(black_box(MESSAGE));
            framer.next()
        });
    });
    group.bench_function("rsip", |b| {
        b.iter(|| rsip::SipMessage::try_from(black_box(MESSAGE)));
    });
    group.finish();
}

fn headers() -> Headers {
    vec![
        Header::From("<sip:ann.archer@example.net>;tag=49583a7c".into()),
        Header::To("<sip:bob.builder@example.com>".into()),
        Header::CallId("7f1c2b3a-asd88asd77a".into()),
        Header::CSeq("1 MESSAGE".into()),
        Header::MaxForwards("70".into()),
        Header::Date("Mon, 23 Nov 2026 15:52:56 GMT".into()),
        Header::ContentType("text/plain;charset=UTF-8".into()),
    ]
    .into()
}

fn print(c: &mut Criterion) {
    let mut group = c.benchmark_group("print");
    group.throughput(Throughput::Elements(1));
    let mut request = Message::parse_datagram(Bytes::from_static(MESSAGE)).expect("it is valid");
    let reply = Reply::new(202);
    group.bench_function("202", |b| {
        b.iter(|| print_response(black_box(&request), black_box(&reply), "a1b2c3d4"));
    });
    request.set_source(([198, 51, 100, 9], 5060).into());
    group.bench_function("202 with received and rport", |b| {
        b.iter(|| print_response(black_box(&request), black_box(&reply), "a1b2c3d4"));
    });
    group.bench_function("build and print a message", |b| {
        b.iter(|| {
            let headers = headers();
            let body = Bytes::from_static(b"Are we still on for lunch at the harbour?");
            let out = Outgoing::new(Method::Message, "sip:bob@192.0.2.4:5060", &headers, body);
            print_request(&out, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1.8877665544332211;rport")
        });
    });
    group.bench_function("pass a request on", |b| {
        let edit = Edit { max_forwards: Some(68), ..Edit::default() };
        b.iter(|| forward_lines(black_box(&request), &edit));
    });
    let theirs = rsip::SipMessage::try_from(MESSAGE).expect("rsip reads it");
    group.bench_function("rsip", |b| b.iter(|| black_box(&theirs).to_string()));
    group.finish();
}

criterion_group!(benches, decode, print);
criterion_main!(benches);
