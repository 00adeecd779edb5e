//! How long a binding lives, by the clock the test holds.

use super::*;
use crate::sip::registrar::Short;

const A: &str = "<sip:bob@192.0.2.10>";

/// The seconds that `lines` are granted.
fn granted(lines: &str) -> String {
    let registered = World::new().register(lines);
    assert_eq!(code(&registered), 200, "{lines}");
    let value = contacts(&registered.reply).remove(0);
    value.rsplit_once(";expires=").unwrap().1.to_owned()
}

/// R9.
#[test]
fn the_contacts_own_time_goes_before_the_header_and_that_before_the_default() {
    assert_eq!(granted(&format!("Contact: {A};expires=100\r\nExpires: 200\r\n")), "100");
    assert_eq!(granted(&format!("Expires: 200\r\nContact: {A}\r\n")), "200");
    assert_eq!(granted(&format!("Contact: {A}\r\n")), "3600");
    let mut world = World::new();
    world.settings.default_expires_s = 1_800;
    assert!(contacts(&world.contact(A).reply)[0].ends_with(";expires=1800"));
}

/// R9: each contact has its own.
#[test]
fn contacts_of_one_request_may_ask_for_different_times() {
    let mut world = World::new();
    world.contact("<sip:a@h>;expires=60");
    world.register(
        "Contact: <sip:a@h>;expires=0, <sip:b@h>, <sip:c@h>;expires=90\r\nExpires: 70\r\n",
    );
    assert_eq!(world.fetch(), ["<sip:c@h>;expires=90", "<sip:b@h>;expires=70"]);
}

/// R10.
#[test]
fn too_brief_a_time_is_423_with_the_shortest_one_and_changes_nothing() {
    let mut world = World::new();
    world.contact("<sip:first@h>");
    let registered = world.register(&format!("Contact: <sip:ok@h>, {A};expires=59\r\n"));
    assert_eq!((code(&registered), registered.change), (423, Change::None));
    assert_eq!(values(&registered.reply, "Min-Expires"), ["60"]);
    assert_eq!(world.fetch(), ["<sip:first@h>;expires=3600"]);
    world.contact(&format!("{A};expires=60"));
    world.contact(&format!("{A};expires=0"));
}

/// R10.
#[test]
fn by_option_too_brief_a_time_is_lifted() {
    let mut world = World::new();
    world.settings.short = Short::Lift;
    assert_eq!(
        contacts(&world.contact(&format!("{A};expires=1")).reply),
        ["<sip:bob@192.0.2.10>;expires=60"]
    );
    world.contact(&format!("{A};expires=0"));
    assert!(world.fetch().is_empty(), "zero is not brief, it removes");
}

/// R10: RFC 3261 section 10.3 forbids to refuse an hour.
#[test]
fn an_hour_is_never_too_brief() {
    let mut world = World::new();
    world.settings.min_expires_s = 7_200;
    world.settings.default_expires_s = 7_200;
    world.contact(&format!("{A};expires=3600"));
    let refused = world.register(&format!("Contact: {A};expires=3599\r\n"));
    assert_eq!(code(&refused), 423);
    assert_eq!(values(&refused.reply, "Min-Expires"), ["7200"]);
}

/// R11.
#[test]
fn too_long_a_time_is_shortened() {
    assert_eq!(granted(&format!("Contact: {A};expires=86401\r\n")), "86400");
    assert_eq!(granted(&format!("Contact: {A};expires=4294967295\r\n")), "86400");
}

/// R12.
#[test]
fn a_malformed_time_counts_as_an_hour() {
    for malformed in ["soon", "-1", "1.5", "4294967296", "99999999999999999999999", "\"\""] {
        assert_eq!(granted(&format!("Contact: {A};expires={malformed}\r\n")), "3600");
    }
    assert_eq!(granted(&format!("Contact: {A};expires\r\nExpires: 60\r\n")), "3600");
    assert_eq!(granted(&format!("Contact: {A}\r\nExpires: 99999999999\r\n")), "3600");
}

/// R26.
#[test]
fn a_binding_ends_to_the_second_and_is_seen_no_more() {
    let mut world = World::new();
    world.contact(&format!("{A};expires=60"));
    let end_us = world.now.unix_us + 60_000_000;
    assert_eq!(world.bindings.next_expiry(), Some(end_us));
    world.pass(59);
    assert!(world.bindings.expire(world.now).is_empty());
    assert_eq!(world.fetch(), ["<sip:bob@192.0.2.10>;expires=1"]);
    assert!(!world.reach().is_offline(world.now.unix_us));
    world.pass(1);
    assert!(world.fetch().is_empty(), "before anybody cleaned up");
    assert_eq!(world.reach(), Reach::offline());
    assert_eq!(world.bindings.expire(world.now), [bob()]);
    assert!(world.bindings.is_empty());
    assert_eq!((world.bindings.len(), world.bindings.next_expiry()), (0, None));
    assert!(world.bindings.expire(world.now).is_empty(), "told once");
}

/// R26.
#[test]
fn a_refreshed_binding_outlives_its_first_end() {
    let mut world = World::new();
    world.contact(&format!("{A};expires=60"));
    world.pass(50);
    world.contact(&format!("{A};expires=60"));
    world.pass(50);
    assert!(world.bindings.expire(world.now).is_empty());
    let due = world.bindings.next_expiry().unwrap();
    assert_eq!(due, (START_S + 110) * 1_000_000, "looked up early, entered again at its end");
    world.pass(10);
    assert_eq!(world.bindings.expire(world.now), [bob()]);
}

/// R26.
#[test]
fn a_shortened_binding_ends_at_its_new_end() {
    let mut world = World::new();
    world.contact(&format!("{A};expires=3600"));
    world.contact(&format!("{A};expires=60"));
    assert_eq!(world.bindings.next_expiry(), Some((START_S + 60) * 1_000_000));
    world.pass(60);
    assert_eq!(world.bindings.expire(world.now), [bob()]);
    world.pass(3_600);
    assert!(world.bindings.expire(world.now).is_empty(), "the old end means nothing");
}

/// R26.
#[test]
fn when_one_of_two_bindings_ends_the_user_stays() {
    let mut world = World::new();
    world.contact("<sip:short@h>;expires=60, <sip:long@h>;expires=600");
    world.pass(60);
    assert_eq!(world.bindings.expire(world.now), [bob()]);
    assert_eq!(world.fetch(), ["<sip:long@h>;expires=540"]);
    assert_eq!(world.bindings.next_expiry(), Some((START_S + 600) * 1_000_000));
}

/// R26: an expired binding is no binding, so its CSeq guards nothing.
#[test]
fn an_expired_binding_does_not_stand_in_the_way_of_a_new_one() {
    let mut world = World::new();
    world.settings.contacts_max = 1;
    world.cseq = 50;
    world.contact(&format!("{A};expires=60"));
    world.pass(60);
    world.cseq = 0;
    assert!(dumps(&world.contact(A)), "same call, lower cseq");
    world.pass(3_600);
    assert!(dumps(&world.contact("<sip:other@h>")), "the bound does not count it either");
    assert_eq!(world.bindings.len(), 1);
}

#[test]
fn users_are_told_of_in_order_of_their_ends() {
    let mut world = World::new();
    for (user, seconds) in [("carol", 90), ("alice", 70), ("dave", 80), ("erin", 200)] {
        let aor = Aor::from_parts(user, "example.com");
        world.register_as(&aor, &format!("Contact: <sip:{user}@h>;expires={seconds}\r\n"));
    }
    world.pass(100);
    let told = world.bindings.expire(world.now);
    assert_eq!(told.iter().map(Aor::user).collect::<Vec<_>>(), ["alice", "dave", "carol"]);
    assert_eq!(world.bindings.users(), 1);
}

#[test]
fn a_clock_set_back_lengthens_no_promise() {
    let mut world = World::new();
    world.contact(&format!("{A};expires=60"));
    world.now.unix_us -= 3_600_000_000;
    assert_eq!(world.fetch(), ["<sip:bob@192.0.2.10>;expires=60"]);
    world.contact(&format!("{A};expires=60"));
    world.pass(60);
    assert!(world.fetch().is_empty());
    assert_eq!(world.bindings.expire(world.now), [bob()], "by the clock as it is now");
}

#[test]
fn a_clock_set_forward_ends_what_is_over_by_then() {
    let mut world = World::new();
    world.contact(A);
    world.now.unix_us += 86_400_000_000;
    assert!(world.fetch().is_empty());
    assert_eq!(world.bindings.expire(world.now), [bob()]);
    assert!(dumps(&world.contact(A)));
}

/// Law 7: a client must not make the agenda grow with each request.
#[test]
fn entries_of_the_agenda_stay_in_proportion_to_users() {
    let mut world = World::new();
    for seconds in (100..3_000).rev() {
        world.contact(&format!("{A};expires={seconds}"));
        world.contact(&format!("{A};expires=0"));
    }
    assert!(world.bindings.agenda_len() <= 70, "{}", world.bindings.agenda_len());
    world.contact(A);
    world.pass(3_600);
    assert_eq!(world.bindings.expire(world.now), [bob()]);
}
