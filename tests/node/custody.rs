//! Goal: no message is lost, doubled or forgotten between the actors.
//! Method: a node on one thread with held time.

use crate::world::{World, pass, story};
use sipsilo::node::NoSockets;
use sipsilo::store::failing::Faults;
use sipsilo::vocab::limits::AOR_IDLE;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn a_message_is_stored_and_delivered_when_its_user_registers() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        assert_eq!(alice.says(&world, "bob", "hello").await, 202);
        bob.registers(&world, 3600).await;
        assert_eq!(bob.take(200).await, "hello");
        bob.hears_nothing(Duration::from_secs(40)).await;
        assert_eq!(world.held("bob").await, 0);
    });
}

#[test]
fn a_burst_for_one_new_user_is_stored_whole() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        for n in 0..100 {
            alice.send(alice.message(&world, "bob", &format!("number {n}"), ""));
        }
        for _ in 0..100 {
            assert_eq!(alice.answer().await, 202);
        }
        bob.registers(&world, 3600).await;
        for n in 0..100 {
            assert_eq!(bob.take(200).await, format!("number {n}"));
        }
    });
}

#[test]
fn messages_that_come_while_their_actor_goes_are_kept_in_order_and_nobody_panics() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        // The idle time of each round ends at a slightly different moment of the burst.
        for round in 0..40_u32 {
            assert_eq!(alice.says(&world, "bob", &format!("{round}")).await, 202);
            pass(AOR_IDLE - Duration::from_micros(100)).await;
            for burst in 0..20 {
                let text = format!("{round} {burst}");
                alice.send(alice.message(&world, "bob", &text, ""));
                pass(Duration::from_micros(u64::from(round))).await;
                assert_eq!(alice.answer().await, 202);
            }
            pass(AOR_IDLE * 3).await;
        }
        assert_eq!(world.node.world().stats.panics.get(), 0);
        assert_eq!(world.node.observe().await.actors, 0);
        bob.registers(&world, 3600).await;
        for round in 0..40 {
            assert_eq!(bob.take(200).await, format!("{round}"));
            for burst in 0..20 {
                assert_eq!(bob.take(200).await, format!("{round} {burst}"));
            }
        }
    });
}

#[test]
fn what_is_left_of_an_inbox_after_a_sweep_is_still_delivered() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        for text in ["one", "two"] {
            alice.send(alice.message(&world, "bob", text, "Expires: 30\r\n"));
            assert_eq!(alice.answer().await, 202);
        }
        assert_eq!(alice.says(&world, "bob", "stays").await, 202);
        pass(Duration::from_secs(200)).await;
        assert_eq!(world.held("bob").await, 1);
        bob.registers(&world, 3600).await;
        assert_eq!(bob.take(200).await, "stays");
    });
}

#[test]
fn an_inbox_that_was_swept_empty_takes_no_memory_and_costs_no_read() {
    story(async {
        let world = World::start().await;
        let mut alice = world.ua("alice", 10);
        for user in 0..50 {
            alice.send(alice.message(&world, &format!("u{user}"), "x", "Expires: 30\r\n"));
            assert_eq!(alice.answer().await, 202);
        }
        assert_eq!(world.node.observe().await.occupied, 50);
        pass(Duration::from_secs(200)).await;
        assert_eq!(world.node.observe().await.occupied, 0);
    });
}

#[test]
fn a_sender_hears_503_in_time_when_the_store_says_nothing_and_his_retry_is_one_message() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        world.store.set_faults(Faults { slow: 1.0, ..Faults::default() });
        let request = alice.message(&world, "bob", "once", "");
        let asked = tokio::time::Instant::now();
        alice.send(request.clone());
        assert_eq!(alice.answer().await, 100);
        assert_eq!(alice.answer().await, 503);
        assert!(asked.elapsed() < Duration::from_secs(30));
        world.store.set_faults(Faults::default());
        alice.send(request.replacen("branch=z9hG4bK", "branch=z9hG4bKagain", 1));
        assert_eq!(alice.answer().await, 202);
        bob.registers(&world, 3600).await;
        assert_eq!(bob.take(200).await, "once");
        bob.hears_nothing(Duration::from_secs(60)).await;
        assert_eq!(world.node.observe().await.actors, 0);
    });
}

#[test]
fn a_delivered_message_is_not_sent_again_when_the_store_does_not_answer_the_delete() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        assert_eq!(alice.says(&world, "bob", "once").await, 202);
        bob.registers(&world, 3600).await;
        let (message, path) = bob.next().await.unwrap();
        world.store.set_faults(Faults { slow: 1.0, ..Faults::default() });
        bob.end.send_on(path, message.answer(200, "OK", ""));
        pass(Duration::from_secs(45)).await;
        world.store.set_faults(Faults::default());
        bob.registers(&world, 3600).await;
        bob.hears_nothing(Duration::from_secs(120)).await;
        assert_eq!(world.held("bob").await, 0);
    });
}

#[test]
fn a_registration_counts_for_messages_that_were_accepted_in_the_same_moment() {
    story(async {
        let world = World::start().await;
        let (alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        // All that comes lies in the queues at once: the REGISTER between the messages.
        for n in 0..10 {
            alice.send(alice.message(&world, "bob", &format!("{n}"), ""));
        }
        let request = bob.register_request(&world, 3600);
        bob.send(request);
        for n in 10..20 {
            alice.send(alice.message(&world, "bob", &format!("{n}"), ""));
        }
        assert_eq!(bob.answer().await, 200);
        let mut taken = Vec::new();
        for _ in 0..20 {
            taken.push(bob.take(200).await);
        }
        let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        taken.sort_by_key(|text| text.parse::<u32>().unwrap());
        assert_eq!(taken, expected);
        pass(Duration::from_secs(10)).await;
        assert_eq!(world.held("bob").await, 0);
    });
}

#[test]
fn the_limit_of_a_mailbox_holds_over_many_lives_of_its_actor() {
    story(async {
        let world = World::with(1, |parts| parts.options.inbox.max_messages = 5).await;
        let mut alice = world.ua("alice", 10);
        for _ in 0..5 {
            assert_eq!(alice.says(&world, "bob", "one of five").await, 202);
            assert_eq!(alice.says(&world, "carol", "one of five").await, 202);
            pass(AOR_IDLE * 2).await;
        }
        assert_eq!(alice.says(&world, "bob", "the sixth").await, 480);
        assert_eq!(world.node.observe().await.occupied, 2);
    });
}

#[test]
fn what_a_retry_waits_for_survives_the_actor() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        assert_eq!(alice.says(&world, "bob", "later").await, 202);
        bob.registers(&world, 3600).await;
        assert_eq!(bob.take(480).await, "later");
        pass(AOR_IDLE * 2).await;
        assert_eq!(world.node.observe().await.actors, 0);
        assert_eq!(bob.take(200).await, "later");
        pass(AOR_IDLE * 2).await;
        assert_eq!((world.held("bob").await, world.node.observe().await.actors), (0, 0));
    });
}

#[test]
fn bindings_that_are_taken_over_do_not_undo_a_newer_registration() {
    story(async {
        let world = World::start().await;
        let mut bob = world.ua("bob", 11);
        bob.registers(&world, 3600).await;
        let bindings = world.node.export().await;
        let mut next = World::prepared(1, |_| {});
        let (mut alice, mut again) = (next.ua("alice", 10), next.ua("bob", 11));
        assert_eq!(next.node.import(bindings).await, Ok(1));
        next.node.open().await.unwrap();
        let request = bob.register_request(&next, 0);
        again.send(request);
        assert_eq!(again.answer().await, 200);
        assert_eq!(alice.says(&next, "bob", "he is gone").await, 202);
        assert_eq!(next.node.observe().await.users, 0);
    });
}

#[test]
fn a_node_whose_sockets_fail_is_not_open() {
    story(async {
        let mut world = World::prepared(1, |parts| {
            parts.nets = vec![Box::new(|| Err(std::io::Error::other("no more descriptors")))];
        });
        assert_eq!(world.node.open().await, Err(NoSockets { worker: 0 }));
        assert!(!world.node.is_whole());
    });
}

#[test]
fn the_death_of_an_actor_costs_its_callers_an_answer_500_and_nobody_a_message() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        assert_eq!(alice.says(&world, "bob", "stored").await, 202);
        pass(AOR_IDLE * 2).await;
        world.store.set_faults(Faults { slow: 1.0, ..Faults::default() });
        world.poison.store(true, Ordering::Relaxed);
        assert_eq!(alice.says(&world, "carol", "poison").await, 500);
        bob.registers(&world, 3600).await;
        pass(Duration::from_millis(10)).await;
        world.poison.store(false, Ordering::Relaxed);
        world.store.set_faults(Faults::default());
        // Nobody asks for it: the node finds out by itself.
        assert_eq!(bob.take(200).await, "stored");
        assert_eq!(world.node.world().stats.panics.get(), 2);
        assert_eq!(alice.says(&world, "carol", "antidote").await, 202);
        pass(AOR_IDLE * 3).await;
        let seen = world.node.observe().await;
        assert_eq!((seen.actors, seen.occupied), (0, 1));
        assert_eq!(world.node.world().load.open_now(), 0);
        assert_eq!(world.node.world().load.deliveries_now(), 0);
    });
}

#[test]
fn a_node_that_goes_down_refuses_what_is_new_and_waits_for_what_is_open() {
    story(async {
        let world = World::start().await;
        let (mut alice, mut bob) = (world.ua("alice", 10), world.ua("bob", 11));
        for text in ["first", "second"] {
            assert_eq!(alice.says(&world, "bob", text).await, 202);
        }
        bob.registers(&world, 3600).await;
        let (first, path) = bob.next().await.unwrap();
        let going_down = world.node.drain(Duration::from_secs(5));
        let meanwhile = async {
            pass(Duration::from_millis(100)).await;
            assert_eq!(alice.says(&world, "bob", "too late").await, 503);
            bob.end.send_on(path, first.answer(200, "OK", ""));
            tokio::time::Instant::now()
        };
        let ((), answered) = tokio::join!(going_down, meanwhile);
        assert!(answered.elapsed() < Duration::from_secs(1), "nothing is open any more");
        assert_eq!(world.held("bob").await, 1);
        bob.hears_nothing(Duration::from_secs(30)).await;
        world.node.stop().await.unwrap();
    });
}
