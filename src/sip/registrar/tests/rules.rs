//! What a REGISTER does and does not do.

use super::*;
use crate::sip::registrar::{Full, PathSupport};

const A: &str = "<sip:bob@192.0.2.10:5060>";
const B: &str = "<sip:bob@192.0.2.11:5060>";

/// Shows that `lines` are refused with `expected` and leave no trace.
fn refused(world: &mut World, lines: &str, expected: u16) -> Registered {
    let before = (world.fetch(), world.reach(), world.bindings.len());
    let registered = world.register(lines);
    assert_eq!(code(&registered), expected, "{lines}");
    assert_eq!(registered.change, Change::None, "{lines}");
    assert!(contacts(&registered.reply).is_empty());
    assert_eq!((world.fetch(), world.reach(), world.bindings.len()), before, "{lines}");
    registered
}

/// R6.
#[test]
fn a_register_without_contact_shows_the_bindings_and_changes_nothing() {
    let mut world = World::new();
    assert!(world.fetch().is_empty());
    assert_eq!(world.bindings.users(), 0, "asking about a stranger leaves nothing behind");
    world.contact(A);
    assert_eq!(world.fetch(), ["<sip:bob@192.0.2.10:5060>;expires=3600"]);
    world.register("Expires: 0\r\n");
    assert_eq!(world.fetch().len(), 1, "expires without contact removes nothing");
}

/// R7.
#[test]
fn a_star_with_expires_0_removes_all_and_starts_no_dump() {
    let mut world = World::new();
    world.contact(A);
    world.contact(B);
    let registered = world.register("Contact: *\r\nExpires: 0\r\n");
    assert_eq!(code(&registered), 200);
    assert!(contacts(&registered.reply).is_empty());
    assert_eq!(registered.change, Change::Updated { reach: Reach::offline(), dump: false });
    assert!(world.bindings.is_empty());
    assert_eq!(world.bindings.len(), 0);
}

/// R7, R14.
#[test]
fn a_star_that_comes_out_of_order_removes_nothing() {
    let mut world = World::new();
    world.contact(A);
    world.call_id = "other@client";
    world.contact(B);
    world.cseq = 1;
    let request = message(&bob(), "call-1@client", 1, "Contact: *\r\nExpires: 0\r\n");
    let registered =
        world.bindings.register(&bob(), &request, &world.path, &world.settings, world.now);
    assert_eq!((code(&registered), registered.change), (400, Change::None));
    assert_eq!(world.reach().contacts().len(), 2);
}

/// R8.
#[test]
fn a_star_in_any_other_company_is_refused() {
    let mut world = World::new();
    world.contact(A);
    for lines in [
        "Contact: *\r\n",
        "Contact: *\r\nExpires: 1\r\n",
        "Contact: *\r\nExpires: none\r\n",
        "Contact: *;expires=0\r\n",
        "Contact: *;expires=0\r\nExpires: 0\r\n",
        "Contact: *, <sip:bob@192.0.2.12>\r\nExpires: 0\r\n",
        "Contact: <sip:bob@192.0.2.12>\r\nContact: *\r\nExpires: 0\r\n",
        "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
    ] {
        refused(&mut world, lines, 400);
    }
}

/// R14.
#[test]
fn an_older_cseq_of_the_same_call_changes_nothing() {
    let mut world = World::new();
    world.cseq = 9;
    world.contact(A);
    for cseq in [10, 9, 0] {
        world.cseq = cseq;
        let registered = world.register_as(&bob(), &format!("Contact: {A};expires=0\r\n"));
        assert_eq!((code(&registered), registered.change), (400, Change::None), "{cseq}");
        assert_eq!(world.reach().contacts().len(), 1);
    }
    world.cseq = 10;
    assert!(dumps(&world.contact(A)), "11 is above 10");
}

/// R14, R16.
#[test]
fn one_contact_out_of_order_fails_the_whole_request() {
    let mut world = World::new();
    world.cseq = 5;
    world.contact(A);
    world.cseq = 5;
    let lines = format!("Contact: {B}, {A}\r\nContact: <sip:bob@192.0.2.13>\r\n");
    let registered = world.register_as(&bob(), &lines);
    assert_eq!((code(&registered), registered.change), (400, Change::None));
    assert_eq!(world.fetch(), ["<sip:bob@192.0.2.10:5060>;expires=3600"]);
}

/// R15.
#[test]
fn another_call_may_update_and_remove_whatever_its_cseq() {
    let mut world = World::new();
    world.cseq = 100;
    world.contact(A);
    world.call_id = "after-reboot@client";
    world.cseq = 0;
    world.contact(&format!("{A};q=0.3"));
    assert_eq!(world.fetch(), ["<sip:bob@192.0.2.10:5060>;q=0.3;expires=3600"]);
    world.call_id = "third@client";
    world.cseq = 0;
    world.contact(&format!("{A};expires=0"));
    assert!(world.fetch().is_empty());
}

/// R16.
#[test]
fn one_request_may_add_and_remove() {
    let mut world = World::new();
    world.contact(A);
    let registered = world.register(&format!("Contact: {A};expires=0, {B}\r\n"));
    assert_eq!(contacts(&registered.reply), ["<sip:bob@192.0.2.11:5060>;expires=3600"]);
    assert!(dumps(&registered));
}

/// R17.
#[test]
fn the_200_lists_every_binding_and_the_date() {
    let mut world = World::new();
    world.contact(A);
    world.pass(100);
    let registered = world.contact(&format!("{B};expires=600"));
    assert_eq!(
        contacts(&registered.reply),
        ["<sip:bob@192.0.2.11:5060>;expires=600", "<sip:bob@192.0.2.10:5060>;expires=3500"]
    );
    assert_eq!(values(&registered.reply, "Date"), ["Sun, 13 Sep 2020 12:28:20 GMT"]);
}

/// R19.
#[test]
fn a_record_route_is_ignored_and_never_answered() {
    let mut world = World::new();
    let lines = format!("Record-Route: <sip:proxy.example.net;lr>\r\nContact: {A}\r\n");
    let registered = world.register(&lines);
    assert_eq!(code(&registered), 200);
    assert!(values(&registered.reply, "Record-Route").is_empty());
    assert!(world.reach().contacts()[0].route.is_empty());
}

/// R22.
#[test]
fn one_contact_too_many_is_403_and_nothing_changes() {
    let mut world = World::new();
    world.settings.contacts_max = 2;
    world.contact(A);
    world.contact(B);
    refused(&mut world, "Contact: <sip:bob@192.0.2.12>\r\n", 403);
    let swap = format!("Contact: <sip:bob@192.0.2.12>, {A};expires=0\r\n");
    assert_eq!(code(&world.register(&swap)), 200, "it counts what is there in the end");
}

/// R22.
#[test]
fn by_option_the_longest_unrefreshed_binding_makes_room() {
    let mut world = World::new();
    world.settings.contacts_max = 2;
    world.settings.full = Full::ReplaceOldest;
    world.contact(A);
    world.contact(B);
    world.contact(A);
    world.contact("<sip:bob@192.0.2.12>");
    let left: Vec<_> = world.fetch();
    assert_eq!(
        left,
        ["<sip:bob@192.0.2.12>;expires=3600", "<sip:bob@192.0.2.10:5060>;expires=3600"]
    );
    refused(&mut world, "Contact: <sip:a@h1>, <sip:a@h2>, <sip:a@h3>\r\n", 403);
}

/// R24.
#[test]
fn a_contact_that_leads_back_to_this_server_is_refused() {
    let mut world = World::new();
    world.settings.own_addresses = ["198.51.100.7:5070".parse().unwrap()].into();
    world.settings.own_hosts = ["silo.example.com".into()].into();
    for own in [
        "sip:bob@example.com",
        "sip:alice@EXAMPLE.com",
        "sip:bob@example.com:5060",
        "sip:bob@silo.example.com:5070",
        "sip:x@203.0.113.1",
        "sip:x@198.51.100.7:5070",
        "sip:x@elsewhere.example.net:5070;maddr=198.51.100.7",
    ] {
        let lines = format!("Contact: <{own}>\r\n");
        refused(&mut world, &lines, 400);
    }
    world.contact("<sip:bob@198.51.100.7:5071>");
    world.contact("<sip:bob@example.com:5099>");
}

/// R27.
#[test]
fn an_invalid_second_contact_keeps_the_first_from_being_stored() {
    let mut world = World::new();
    for second in
        ["<sip:bob@>", "<>", "sip:bob@192.0.2.1?x=y", "<sip:bob@h>;q=7", "\"open <sip:b@h>"]
    {
        let lines = format!("Contact: {A}\r\nContact: {second}\r\n");
        refused(&mut world, &lines, 400);
        assert_eq!(world.bindings.users(), 0);
    }
}

#[test]
fn an_empty_contact_is_no_fetch() {
    refused(&mut World::new(), "Contact:\r\n", 400);
}

#[test]
fn more_contacts_than_are_looked_at_are_refused_as_a_whole() {
    let mut world = World::new();
    world.settings.contacts_max = 1_000;
    let many: String = (0..80).map(|i| format!("Contact: <sip:bob@h{i}>\r\n")).collect();
    refused(&mut world, &many, 400);
}

#[test]
fn a_contact_beyond_all_measure_is_refused() {
    let long = format!("Contact: {A};x={}\r\n", "y".repeat(9_000));
    refused(&mut World::new(), &long, 400);
}

#[test]
fn a_path_is_kept_in_order_and_shown_to_a_client_that_knows_path() {
    let mut world = World::new();
    let paths = "Path: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\nPath: <sip:p3;lr>\r\n";
    let registered = world.register(&format!("Supported: gruu, path\r\n{paths}Contact: {A}\r\n"));
    let expected = ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>", "<sip:p3;lr>"];
    assert_eq!(values(&registered.reply, "Path"), expected);
    let reach = world.reach();
    let route: Vec<&str> = reach.contacts()[0].route.iter().map(|value| &**value).collect();
    assert_eq!(route, expected);
    let registered = world.register(&format!("{paths}Contact: {A}\r\n"));
    assert_eq!(code(&registered), 200, "edge proxies add it for clients that do not know it");
    assert!(values(&registered.reply, "Path").is_empty());
}

#[test]
fn by_option_a_path_needs_a_client_that_supports_it() {
    let mut world = World::new();
    world.settings.path = PathSupport::Required;
    let lines = format!("Path: <sip:p1.example.com;lr>\r\nContact: {A}\r\n");
    let registered = refused(&mut world, &lines, 420);
    assert_eq!(values(&registered.reply, "Unsupported"), ["path"]);
}

#[test]
fn a_refusal_says_what_was_wrong() {
    let registered = World::new().register("Contact: *\r\n");
    assert_eq!(
        values(&registered.reply, "Warning"),
        ["399 sipsilo \"contact * needs expires: 0 and no other contact\""]
    );
}
