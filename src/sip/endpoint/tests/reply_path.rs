//! Goal: an answer finds its way back, and nowhere else.
//! Method: requests with every kind of Via, from every kind of source.

use super::*;

fn answered(path: Path, via: &str) -> (Path, String) {
    let mut world = World::new();
    let key = world.open_by(path, &request("OPTIONS", via));
    let effects = world.respond(key, 200);
    (only(&effects).0, field(&text(&effects), "Via"))
}

/// X8
#[test]
fn received_is_added_when_sent_by_is_not_the_source() {
    for host in ["10.0.0.7", "host.example.com"] {
        let (_, via) = answered(udp(ALICE), &format!("SIP/2.0/UDP {host};branch=z9hG4bKa"));
        assert!(via.contains(";received=198.51.100.7"), "{via}");
    }
    let (_, via) = answered(udp(ALICE), "SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKa");
    assert!(!via.contains("received"), "{via}");
}

/// X8, X9
#[test]
fn rport_is_filled_in_and_always_comes_with_received() {
    let (path, via) = answered(udp(ALICE), "SIP/2.0/UDP 198.51.100.7:5062;rport;branch=z9hG4bKa");
    assert!(via.contains(";rport=40000"), "{via}");
    assert!(via.contains(";received=198.51.100.7"), "{via}");
    assert!(via.contains(";branch=z9hG4bKa"), "{via}");
    assert_eq!(path, udp(ALICE), "from the socket it came to, to the port it came from");
}

/// X9: `rport` and `received` that a client makes up have no say.
#[test]
fn a_forged_way_back_is_overwritten() {
    let forged = "SIP/2.0/UDP 10.0.0.7;rport=9;received=203.0.113.66;branch=z9hG4bKa";
    let (path, via) = answered(udp(ALICE), forged);
    assert_eq!(path.remote, addr(ALICE));
    assert!(via.contains(";rport=40000") && !via.contains("203.0.113.66"), "{via}");
}

/// X10
#[test]
fn without_rport_the_answer_goes_to_the_source_address_and_the_port_of_sent_by() {
    for (sent_by, port) in [("10.0.0.7:5062", 5062), ("10.0.0.7", 5060), ("name.example", 5060)] {
        let (path, _) = answered(udp(ALICE), &format!("SIP/2.0/UDP {sent_by};branch=z9hG4bKa"));
        assert_eq!(path, udp(&format!("198.51.100.7:{port}")));
    }
}

/// X10: refused by policy.
#[test]
fn maddr_does_not_move_the_answer_to_somebody_else() {
    let via = "SIP/2.0/UDP 10.0.0.7:5062;maddr=203.0.113.66;branch=z9hG4bKa";
    assert_eq!(answered(udp(ALICE), via).0.remote, addr("198.51.100.7:5062"));
}

/// X9 with IPv6.
#[test]
fn an_ipv6_client_is_answered() {
    let mut path = udp("[2001:db8::7]:40000");
    path.local = addr("[2001:db8::1]:5060");
    let (to, via) = answered(path, "SIP/2.0/UDP [2001:db8::8]:5062;rport;branch=z9hG4bKa");
    assert_eq!(to, path);
    assert!(via.contains(";received=2001:db8::7"), "{via}");
}

/// X11
#[test]
fn over_tcp_the_answer_takes_the_connection() {
    let (path, _) = answered(tcp(5), "SIP/2.0/TCP 10.0.0.7:5062;branch=z9hG4bKa");
    assert_eq!(path, tcp(5));
}

/// X11
#[test]
fn when_the_connection_is_gone_the_answer_takes_a_new_one_to_the_port_of_sent_by() {
    let mut world = World::new();
    let via = |branch| format!("SIP/2.0/TCP 10.0.0.7:5062;branch={branch}");
    let lost = world.open_by(tcp(5), &request("MESSAGE", &via("z9hG4bKa")));
    let kept = world.open_by(tcp(6), &request("MESSAGE", &via("z9hG4bKb")));
    world.endpoint.flow_closed(FlowId(5), world.now, &mut Vec::new());
    let new = path(Transport::Tcp, "198.51.100.7:5062", None);
    assert_eq!(only(&world.respond(lost, 202)).0, new);
    assert_eq!(only(&world.respond(kept, 202)).0, tcp(6));
}

/// X12, Y7
#[test]
fn a_via_of_a_crowd_gets_nothing() {
    for host in ["255.255.255.255", "224.0.1.75", "[ff02::1]", "[::ffff:224.0.1.75]"] {
        for rport in ["", ";rport"] {
            let mut world = World::new();
            let via = format!("SIP/2.0/UDP {host}:5060{rport};branch=z9hG4bKa");
            let effects = world.receive(&request("OPTIONS", &via));
            assert!(matches!(effects[..], [Effect::Malformed { .. }]), "{via}: {effects:?}");
            let broken = request("OPTIONS", &via).replace("SIP/2.0\r\n", "SIP/7.0\r\n");
            assert_eq!(sent(&world.receive(&broken)), [], "{via}");
        }
    }
}

/// X12, Y7
#[test]
fn a_source_that_is_not_one_host_gets_nothing() {
    for (source, via) in [
        ("255.255.255.255:5060", "SIP/2.0/UDP 10.0.0.7;rport;branch=z9hG4bKa"),
        ("224.0.1.75:5060", "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKa"),
        ("0.0.0.0:5060", "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKa"),
        ("[::]:5060", "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bKa"),
        ("198.51.100.7:0", "SIP/2.0/UDP 10.0.0.7;rport;branch=z9hG4bKa"),
        ("198.51.100.7:5060", "SIP/2.0/UDP 10.0.0.7:0;branch=z9hG4bKa"),
    ] {
        let effects = World::new().receive_by(udp(source), &request("OPTIONS", via));
        assert!(matches!(effects[..], [Effect::Malformed { .. }]), "{source}: {effects:?}");
    }
}
