//! Goal: memory has an end, and nobody is woken for nothing.
//! Method: small settings, many requests, and a count of wake-ups.

use super::*;

fn numbered(n: usize) -> String {
    message(&format!("z9hG4bK{n}"))
}

/// Y3: 503 without Retry-After.
#[test]
fn when_too_many_wait_for_an_answer_a_new_request_is_refused() {
    let mut world = World::with(Settings { unanswered_max: 2, ..Settings::default() });
    let first = world.open(&numbered(1));
    world.open(&numbered(2));
    let refusal = world.receive(&numbered(3));
    assert!(text(&refusal).starts_with("SIP/2.0 503 "));
    assert!(!text(&refusal).contains("Retry-After"));
    assert_eq!(sent(&world.receive(&numbered(3))), sent(&refusal), "the same for a copy");
    assert!(world.receive(&numbered(1)).is_empty(), "what is known is still absorbed");
    world.respond(first, 202);
    world.open(&numbered(3));
    assert_eq!(world.counts().refused_full, 2);
}

#[test]
fn when_unanswered_requests_take_all_memory_a_new_one_is_refused() {
    let mut world = World::with(Settings { server_bytes_max: 800, ..Settings::default() });
    let long = |n| numbered(n).replace("Max-Forwards", &format!("X: {}\r\nMax", "x".repeat(300)));
    let key = world.open(&long(1));
    assert!(text(&world.receive(&long(2))).starts_with("SIP/2.0 503 "));
    world.respond(key, 202);
    assert_eq!(world.endpoint.observe().completed, 1);
    world.open(&long(2));
    assert_eq!(world.endpoint.observe().completed, 0, "its room is needed");
}

#[test]
fn past_the_count_the_oldest_answers_are_forgotten() {
    let mut world = World::with(Settings { server_transactions_max: 3, ..Settings::default() });
    for n in 0..5 {
        let key = world.open(&numbered(n));
        world.respond(key, 202);
    }
    assert_eq!((world.endpoint.observe().completed, world.counts().evicted), (3, 2));
    assert!(text(&world.receive(&numbered(4))).contains(" 202 "));
    world.open(&numbered(0));
}

#[test]
fn past_the_bytes_the_oldest_answers_are_forgotten() {
    let mut world = World::with(Settings { server_bytes_max: 10_000, ..Settings::default() });
    for n in 0..1_000 {
        let key = world.open(&numbered(n));
        world.respond(key, 202);
    }
    let seen = world.endpoint.observe();
    assert!(seen.completed_bytes <= 10_000 && seen.completed > 20, "{seen:?}");
    assert_eq!(seen.completed as u64 + seen.counts.evicted, 1_000);
    assert!(text(&world.receive(&numbered(999))).contains(" 202 "));
}

#[test]
fn when_too_many_requests_are_out_the_next_one_is_refused_at_once() {
    let mut world = World::with(Settings { client_transactions_max: 1, ..Settings::default() });
    world.send(udp(ALICE), 1, Manner::default());
    assert_eq!(world.send_body(udp(ALICE), 2, Manner::default(), "").unwrap_err(), Full);
    world.endpoint.cancel(ClientToken(1));
    assert!(world.send_body(udp(ALICE), 2, Manner::default(), "").is_ok());
}

#[test]
fn an_idle_endpoint_has_no_deadline() {
    assert_eq!(World::new().endpoint.deadline(), None);
}

#[test]
fn answered_requests_cost_few_wake_ups() {
    let mut world = World::new();
    for n in 0..2_000_u64 {
        world.run_to(n);
        let key = world.open(&numbered(usize::try_from(n).unwrap()));
        world.respond(key, 202);
        let sent = world.send(udp(ALICE), n, Manner::default());
        world.receive(&answer(&sent[0], 200));
    }
    assert_eq!(world.ticks, 0, "nothing waits but Timer J");
    assert!(world.run_to(60_000).is_empty());
    assert_eq!(world.endpoint.observe().completed, 0);
    // Two seconds' worth of responses expire, swept once a second in slices of 512.
    assert!(world.ticks <= 8, "{} wake-ups", world.ticks);
    assert_eq!(world.endpoint.deadline(), None);
}

#[test]
fn expired_answers_leave_with_the_traffic() {
    let mut world = World::new();
    for n in 0..100_u64 {
        world.now.mono_us += 1_000_000;
        let key = world.open(&numbered(usize::try_from(n).unwrap()));
        world.respond(key, 202);
    }
    assert!(world.endpoint.observe().completed <= 32, "without a single tick");
}

#[test]
fn ticks_at_any_moment_do_no_harm() {
    let mut world = World::new();
    world.open(&numbered(1));
    let mut out = Vec::new();
    for _ in 0..34 {
        world.endpoint.tick(world.now, &mut out);
        world.now.mono_us += 100_000;
    }
    assert!(out.is_empty(), "no 100 before 3.5 seconds: {out:?}");
    world.now.mono_us += 3_600_000_000;
    world.endpoint.tick(world.now, &mut out);
    assert_eq!(world.endpoint.open_transactions(), 0);
}
