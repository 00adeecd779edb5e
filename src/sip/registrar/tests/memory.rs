//! Goal: a registered user costs at most 1 KiB. Method: count what is allocated, block by block,
//! with what an allocator adds to a block.

use super::*;

/// The REGISTER of a softphone of today: long contact, instance, a Path of an edge proxy.
const TYPICAL: &str = "Supported: path, outbound, gruu\r\n\
    Path: <sip:edge-17.example.com:5060;transport=udp;lr;ob>\r\n\
    Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, NOTIFY, SUBSCRIBE, REFER, UPDATE\r\n\
    Contact: \"Bob\" <sip:+14155550123@100.72.13.200:49152;transport=udp;ob>;q=0.8;reg-id=1;\
    +sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\";expires=3600;\
    +g.3gpp.smsip;+g.oma.sip-im;methods=\"INVITE,MESSAGE\"\r\n";

fn registered(users: usize, path: fn(usize) -> Path) -> Bindings {
    let mut world = World::new();
    world.call_id = "7f3a9c1e-5b42-4d1b-9d7e-0f1a2b3c4d5e@100.72.13.200";
    for user in 0..users {
        let aor = Aor::from_parts(&format!("+1415555{user:06}"), "ims.mnc001.mcc001.example.org");
        world.path = path(user);
        assert_eq!(code(&world.register_as(&aor, TYPICAL)), 200);
    }
    assert_eq!((world.bindings.users(), world.bindings.len()), (users, users));
    world.bindings
}

#[test]
fn a_registered_user_costs_at_most_1_kib() {
    // Just after the table doubled is the worst moment.
    for users in [900, 1_793, 3_585] {
        let over_udp = registered(users, |_| udp("198.51.100.20:5060"));
        let each = over_udp.allocated_bytes() / users;
        assert!(each <= 1_024, "{each} bytes with {users} users");
    }
}

#[test]
fn a_user_with_a_connection_of_its_own_costs_at_most_1_kib() {
    for users in [900, 1_793, 3_585] {
        let over_tcp = registered(users, |user| tcp("198.51.100.20:5060", user as u64));
        let each = over_tcp.allocated_bytes() / users;
        assert!(each <= 1_024, "{each} bytes with {users} users");
    }
}

#[test]
fn an_empty_shard_allocates_nothing() {
    let empty = Bindings::default();
    assert_eq!(empty.allocated_bytes(), 0);
    assert!(size_of::<Bindings>() <= 256, "{}", size_of::<Bindings>());
    let mut world = World::new();
    world.contact("<sip:bob@192.0.2.1>");
    world.pass(3_600);
    assert_eq!(world.bindings.expire(world.now).len(), 1);
    let left = world.bindings.allocated_bytes();
    assert!(left <= 1_024, "{left} bytes stay after the last user went");
}
