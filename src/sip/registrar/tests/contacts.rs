//! Contacts: when two are the same, in which order they are tried, what is kept of them.

use super::*;

fn counts_as_same(first: &str, second: &str) -> bool {
    let mut world = World::new();
    world.contact(&format!("<{first}>"));
    world.contact(&format!("<{second}>"));
    let count = world.bindings.len();
    assert!(count == 1 || count == 2);
    count == 1
}

/// R13.
#[test]
fn equal_uris_are_one_binding() {
    for (first, second) in [
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.1"),
        ("sip:bob@HOST.example.net", "sip:bob@host.EXAMPLE.net"),
        ("sip:%62ob@192.0.2.1", "sip:bob@192.0.2.1"),
        ("sip:bob@192.0.2.1;x=1", "sip:bob@192.0.2.1"),
        ("sip:bob@192.0.2.1;x=1;y=2", "sip:bob@192.0.2.1;y=2;x=1"),
        ("sip:bob@192.0.2.1;transport=UDP", "sip:bob@192.0.2.1;transport=udp"),
    ] {
        assert!(counts_as_same(first, second), "{first} and {second}");
        assert!(counts_as_same(second, first), "{second} and {first}");
    }
}

/// R13.
#[test]
fn unequal_uris_are_two_bindings() {
    for (first, second) in [
        ("sip:bob@192.0.2.1", "sip:Bob@192.0.2.1"),
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.1:5060"),
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.1;transport=udp"),
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.1;user=phone"),
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.1;maddr=192.0.2.9"),
        ("sip:bob@192.0.2.1;x=1", "sip:bob@192.0.2.1;x=2"),
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.1?subject=hi"),
        ("sip:bob@192.0.2.1", "sip:192.0.2.1"),
        ("sip:bob@192.0.2.1", "sips:bob@192.0.2.1"),
    ] {
        assert!(!counts_as_same(first, second), "{first} and {second}");
        assert!(!counts_as_same(second, first), "{second} and {first}");
    }
}

/// R13: equality is not transitive, so the same text goes first.
#[test]
fn among_several_equal_bindings_the_one_of_the_same_text_is_meant() {
    let mut world = World::new();
    world.contact("<sip:bob@192.0.2.1;x=1>");
    world.contact("<sip:bob@192.0.2.1;x=2>");
    world.contact("<sip:bob@192.0.2.1;x=1>;q=0.1");
    assert_eq!(
        world.fetch(),
        ["<sip:bob@192.0.2.1;x=2>;expires=3600", "<sip:bob@192.0.2.1;x=1>;q=0.1;expires=3600"]
    );
}

#[test]
fn the_same_contact_twice_in_one_request_is_one_binding_and_the_last_counts() {
    let mut world = World::new();
    world.contact("<sip:bob@192.0.2.1>;q=0.1, <sip:bob@192.0.2.1>;q=0.2");
    assert_eq!(world.fetch(), ["<sip:bob@192.0.2.1>;q=0.2;expires=3600"]);
    world.contact("<sip:bob@192.0.2.1>, <sip:bob@192.0.2.1>;expires=0");
    assert!(world.fetch().is_empty());
}

/// R20.
#[test]
fn contacts_are_tried_by_falling_q_and_the_newest_first_among_equals() {
    let mut world = World::new();
    world.contact("<sip:half@192.0.2.1>;q=0.5, <sip:most@192.0.2.1>;q=1.0");
    world.contact("<sip:none@192.0.2.1>;q=0, <sip:half2@192.0.2.1>;q=0.500");
    world.contact("<sip:silent@192.0.2.1>");
    let reach = world.reach();
    let order: Vec<_> = reach.contacts().iter().map(|c| (&c.uri[4..8], c.q)).collect();
    let expected = [("sile", 1_000), ("most", 1_000), ("half", 500), ("half", 500), ("none", 0)];
    assert_eq!(order, expected);
    assert!(reach.contacts()[2].uri.contains("half2"), "refreshed later");
    assert!(world.fetch()[0].starts_with("<sip:silent@"), "the 200 has the same order");
}

/// R21.
#[test]
fn everything_a_contact_says_is_kept_and_shown_again() {
    let mut world = World::new();
    world.contact(
        "\"Bob; at <work>\" <sip:bob@192.0.2.1:5061;transport=udp;x=%41?Subject=hi>;q=0.70;\
         expires=120 ;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\";reg-id=1;\
         audio;methods=\"INVITE,MESSAGE\";odd=\"a;b,\\\"c\\\"\"",
    );
    assert_eq!(
        world.fetch(),
        ["<sip:bob@192.0.2.1:5061;transport=udp;x=%41?Subject=hi>;q=0.70;\
          +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\";reg-id=1;audio;\
          methods=\"INVITE,MESSAGE\";odd=\"a;b,\\\"c\\\"\";expires=120"]
    );
    let reach = world.reach();
    assert_eq!(&*reach.contacts()[0].uri, "sip:bob@192.0.2.1:5061;transport=udp;x=%41?Subject=hi");
    let instance = reach.contacts()[0].instance.as_deref();
    assert_eq!(instance, Some("<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"));
}

/// R21.
#[test]
fn parameters_without_angle_brackets_belong_to_the_contact_not_to_its_uri() {
    let mut world = World::new();
    world.contact("sip:bob@192.0.2.1;transport=udp;expires=90");
    assert_eq!(world.fetch(), ["<sip:bob@192.0.2.1>;transport=udp;expires=90"]);
}

/// R23.
#[test]
fn a_contact_that_leaves_message_out_is_bound_but_gets_no_dump() {
    for lines in [
        "Contact: <sip:bob@192.0.2.1>;methods=\"INVITE,BYE\"\r\n",
        "Contact: <sip:bob@192.0.2.1>;methods=\"!MESSAGE\"\r\n",
        "Contact: <sip:bob@192.0.2.1>\r\nAllow: INVITE, ACK\r\nAllow: BYE\r\n",
        "Contact: <sip:bob@192.0.2.1>;methods=\"INVITE\"\r\nAllow: INVITE, MESSAGE\r\n",
        "Contact: <sip:bob@192.0.2.1>\r\nAllow:\r\n",
    ] {
        let mut world = World::new();
        let registered = world.register(lines);
        assert_eq!((code(&registered), dumps(&registered)), (200, false), "{lines}");
        assert_eq!(world.reach().for_messages(world.now.unix_us).count(), 0, "{lines}");
        assert!(!world.reach().is_offline(world.now.unix_us));
    }
}

/// R23.
#[test]
fn a_contact_that_names_message_or_no_methods_at_all_gets_the_dump() {
    for lines in [
        "Contact: <sip:bob@192.0.2.1>\r\n",
        "Contact: <sip:bob@192.0.2.1>;methods=\"INVITE,MESSAGE\"\r\nAllow: INVITE\r\n",
        "Contact: <sip:bob@192.0.2.1>\r\nAllow: INVITE\r\nAllow: OPTIONS, MESSAGE\r\n",
        "Contact: <sip:bob@192.0.2.1>;methods=\"INVITE\", <sip:bob@192.0.2.2>\r\n",
    ] {
        let mut world = World::new();
        assert!(dumps(&world.register(lines)), "{lines}");
        assert!(dumps(&world.register(lines)), "a refresh too: {lines}");
        assert_eq!(world.reach().for_messages(world.now.unix_us).count(), 1, "{lines}");
    }
}

#[test]
fn unregistering_one_of_two_contacts_starts_no_dump() {
    let mut world = World::new();
    world.contact("<sip:bob@192.0.2.1>, <sip:bob@192.0.2.2>");
    let registered = world.contact("<sip:bob@192.0.2.1>;expires=0");
    assert!(!dumps(&registered));
    assert_eq!(registered.change, Change::Updated { reach: world.reach(), dump: false });
    let again = world.contact("<sip:bob@192.0.2.1>;expires=0");
    assert_eq!(again.change, Change::None, "it was not there any more");
}

#[test]
fn a_contact_no_message_can_be_sent_to_is_shown_but_reaches_nobody() {
    let mut world = World::new();
    let registered = world.contact("<mailto:bob@example.com>");
    assert!(!dumps(&registered));
    assert_eq!(world.fetch(), ["<mailto:bob@example.com>;expires=3600"]);
    assert!(world.reach().is_offline(world.now.unix_us));
}
