//! Where a message for a binding is sent.

use super::*;
use crate::sip::registrar::Nat;

/// The one hop of `contact` registered over `path`.
fn hop(contact: &str, path: Path, nat: Nat) -> NextHop {
    let mut world = World::new();
    (world.path, world.settings.nat) = (path, nat);
    world.contact(contact);
    world.hops().remove(0)
}

fn to(path: Path) -> NextHop {
    NextHop::Path(path)
}

#[test]
fn over_udp_the_contact_is_reached_at_its_own_address_from_the_same_socket() {
    let from = udp("192.0.2.99:5060");
    assert_eq!(hop("<sip:bob@192.0.2.10:5099>", from, Nat::Auto), to(udp("192.0.2.10:5099")));
    assert_eq!(hop("<sip:bob@192.0.2.10>", from, Nat::Auto), to(udp("192.0.2.10:5060")));
    assert_eq!(
        hop("<sip:bob@h.example.net;maddr=192.0.2.20>", from, Nat::Auto),
        to(udp("192.0.2.20:5060"))
    );
}

#[test]
fn a_contact_that_asks_for_tcp_is_reached_over_tcp_at_its_own_address() {
    let NextHop::Path(path) =
        hop("<sip:bob@192.0.2.10:5099;transport=tcp>", udp("192.0.2.10:5060"), Nat::Auto)
    else {
        panic!("an address in numbers needs no look-up");
    };
    assert_eq!((path.transport, path.remote), (Transport::Tcp, "192.0.2.10:5099".parse().unwrap()));
    assert_eq!(path.flow, None);
}

#[test]
fn a_contact_with_a_name_is_left_to_be_looked_up() {
    let expected = NextHop::Name { transport: None, host: "phone.example.net".into(), port: None };
    assert_eq!(hop("<sip:bob@Phone.example.net>", udp("192.0.2.1:5060"), Nat::Auto), expected);
}

/// O12.
#[test]
fn a_private_contact_from_another_source_is_reached_at_the_source() {
    let natted = udp("198.51.100.20:40123");
    for private in ["10.0.0.5", "192.168.1.5:5070", "127.0.0.1", "169.254.1.1", "[fd00::1]"] {
        let contact = format!("<sip:bob@{private}>");
        assert_eq!(hop(&contact, natted, Nat::Auto), to(natted), "{private}");
    }
    let near = udp("10.0.0.5:40123");
    assert_eq!(hop("<sip:bob@10.0.0.5:5070>", near, Nat::Auto), to(udp("10.0.0.5:5070")));
}

/// O12, RFC 7118 section 5.
#[test]
fn a_contact_that_says_invalid_is_reached_at_the_source() {
    let natted = udp("198.51.100.20:40123");
    assert_eq!(hop("<sip:bob@df7jal23ls0d.invalid>", natted, Nat::Auto), to(natted));
}

/// O12: what the client is shown is what it said.
#[test]
fn a_contact_behind_a_nat_is_shown_as_it_came() {
    let mut world = World::new();
    world.path = udp("198.51.100.20:40123");
    world.contact("<sip:bob@10.0.0.5>");
    assert_eq!(world.fetch(), ["<sip:bob@10.0.0.5>;expires=3600"]);
    assert_eq!(&*world.reach().contacts()[0].uri, "sip:bob@10.0.0.5");
}

/// O12.
#[test]
fn by_option_the_source_is_believed_never_or_always() {
    let source = udp("198.51.100.20:40123");
    assert_eq!(hop("<sip:bob@10.0.0.5>", source, Nat::Off), to(udp("10.0.0.5:5060")));
    assert_eq!(hop("<sip:bob@192.0.2.10>", source, Nat::Always), to(source));
    assert_eq!(hop("<sip:bob@phone.example.net>", source, Nat::Always), to(source));
}

#[test]
fn over_tcp_the_connection_that_registered_is_used() {
    let flow = tcp("198.51.100.20:40123", 7);
    assert_eq!(hop("<sip:bob@10.0.0.5;transport=tcp>", flow, Nat::Off), to(flow));
    assert_eq!(hop("<sips:bob@phone.example.net>", flow, Nat::Auto), to(flow));
}

/// O9.
#[test]
fn with_a_path_its_first_value_is_the_first_hop() {
    for path in [udp("198.51.100.20:5060"), tcp("198.51.100.20:40123", 7)] {
        let mut world = World::new();
        world.path = path;
        world.register(
            "Path: <sip:198.51.100.30:5062;lr>, <sip:p2;lr>\r\nContact: <sip:bob@10.0.0.5>\r\n",
        );
        let NextHop::Path(hop) = world.hops().remove(0) else { panic!("it is in numbers") };
        assert_eq!(hop.remote, "198.51.100.30:5062".parse().unwrap());
        assert_eq!((hop.transport, hop.flow), (Transport::Udp, None));
    }
}

#[test]
fn a_path_this_server_cannot_follow_leads_back_to_its_sender() {
    let mut world = World::new();
    world.register("Path: <sips:edge.example.com;lr>\r\nContact: <sip:bob@10.0.0.5>\r\n");
    assert_eq!(world.hops(), [to(world.path)]);
}

/// R28.
#[test]
fn a_closed_connection_ends_the_bindings_on_it_and_only_those() {
    let mut world = World::new();
    world.path = tcp("198.51.100.20:40123", 7);
    world.contact("<sip:bob@10.0.0.5;transport=tcp>");
    world.path = tcp("198.51.100.21:40124", 8);
    world.contact("<sip:bob@10.0.0.6;transport=tcp>");
    assert_eq!(world.bindings.flow_closed(FlowId::new(0, 7)), [bob()]);
    assert_eq!(world.fetch(), ["<sip:bob@10.0.0.6;transport=tcp>;expires=3600"]);
    assert!(world.bindings.flow_closed(FlowId::new(0, 7)).is_empty());
    assert_eq!(world.bindings.flow_closed(FlowId::new(0, 8)), [bob()]);
    assert!(world.bindings.is_empty());
}

/// R28.
#[test]
fn whoever_gets_the_same_port_later_inherits_nothing() {
    let mut world = World::new();
    world.path = tcp("198.51.100.20:40123", 7);
    world.contact("<sip:bob@10.0.0.5;transport=tcp>");
    world.bindings.flow_closed(FlowId::new(0, 7));
    let thief = Aor::from_parts("mallory", "example.com");
    world.path = tcp("198.51.100.20:40123", 8);
    world.register_as(&thief, "Contact: <sip:mallory@10.0.0.9;transport=tcp>\r\n");
    assert!(world.reach().is_offline(world.now.unix_us));
    assert!(world.bindings.flow_closed(FlowId::new(0, 7)).is_empty());
}

/// R28.
#[test]
fn a_binding_that_moved_to_a_new_connection_survives_the_end_of_the_old_one() {
    let mut world = World::new();
    world.path = tcp("198.51.100.20:40123", 7);
    world.contact("<sip:bob@10.0.0.5;transport=tcp>");
    world.path = tcp("198.51.100.20:40125", 9);
    world.contact("<sip:bob@10.0.0.5;transport=tcp>");
    assert!(world.bindings.flow_closed(FlowId::new(0, 7)).is_empty());
    assert_eq!(world.hops(), [to(world.path)]);
}

#[test]
fn one_connection_may_carry_many_users_and_their_ends_are_told_once_each() {
    let mut world = World::new();
    world.path = tcp("198.51.100.20:40123", 7);
    for user in ["1", "alice", "zoe"] {
        let aor = Aor::from_parts(user, "example.com");
        world.register_as(&aor, "Contact: <sip:a@10.0.0.1>, <sip:b@10.0.0.1>\r\n");
    }
    let told = world.bindings.flow_closed(FlowId::new(0, 7));
    assert_eq!(told.iter().map(Aor::user).collect::<Vec<_>>(), ["1", "alice", "zoe"]);
    assert!(world.bindings.is_empty());
    assert_eq!(world.bindings.len(), 0);
}

#[test]
fn the_end_of_a_proxys_connection_does_not_end_its_clients_bindings() {
    let mut world = World::new();
    world.path = tcp("198.51.100.20:40123", 7);
    world.register(
        "Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKu\r\nContact: <sip:bob@192.0.2.10>\r\n",
    );
    assert_eq!(world.hops(), [to(world.path)]);
    assert_eq!(world.bindings.flow_closed(FlowId::new(0, 7)), [bob()]);
    let NextHop::Path(hop) = world.hops().remove(0) else { panic!("it is in numbers") };
    assert_eq!((hop.remote, hop.flow), ("192.0.2.10:5060".parse().unwrap(), None));
}
