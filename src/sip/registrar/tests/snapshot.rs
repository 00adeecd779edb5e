//! Bindings over a graceful restart.

use super::*;
use crate::sip::registrar::SnapshotError;
use sha2::{Digest, Sha256};

fn populated() -> World {
    let mut world = World::new();
    world.contact("<sip:bob@192.0.2.10:5061>;q=0.5;+sip.instance=\"<urn:uuid:1>\"");
    world.register(
        "Path: <sip:198.51.100.30:5062;lr>\r\nContact: <sip:bob@phone>;methods=\"INVITE\"\r\n",
    );
    world.path = udp("[2001:db8::7]:5060");
    let alice = Aor::from_parts("alice", "example.com");
    world.register_as(&alice, "Contact: <sip:alice@[2001:db8::7]>, <tel:+1234>;expires=99\r\n");
    let zoe = Aor::from_parts("zoe", "example.com");
    world.register_as(&zoe, "Contact: <sip:zoe@Phone.example.net:5070;transport=tcp>\r\n");
    world
}

/// Replaces the checksum by the right one, as somebody who forges a file would.
fn reseal(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - 32);
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
}

/// R26.
#[test]
fn bindings_survive_a_restart() {
    let mut world = populated();
    let (before, reach) = (world.fetch(), world.reach());
    let bytes = world.bindings.export();
    world.bindings = Bindings::import(&bytes).unwrap();
    assert_eq!((world.bindings.users(), world.bindings.len()), (3, 5));
    assert_eq!((world.fetch(), world.reach()), (before, reach));
    assert_eq!(world.bindings.export(), bytes);
    let cseq = world.cseq;
    world.cseq = 0;
    assert_eq!(code(&world.register("Contact: *\r\nExpires: 0\r\n")), 400, "cseq is kept");
    world.cseq = cseq;
    assert_eq!(world.bindings.next_expiry(), Some((START_S + 99) * 1_000_000));
    world.pass(3_600);
    assert_eq!(world.bindings.expire(world.now).len(), 3);
    assert!(world.bindings.is_empty());
}

#[test]
fn connections_do_not_survive_and_the_contacts_own_address_takes_their_place() {
    let mut world = World::new();
    world.path = tcp("198.51.100.20:40123", 7);
    world.contact("<sip:bob@192.0.2.10:5061;transport=tcp>");
    world.bindings = Bindings::import(&world.bindings.export()).unwrap();
    let NextHop::Path(hop) = world.hops().remove(0) else { panic!("it is in numbers") };
    assert_eq!((hop.transport, hop.flow), (Transport::Tcp, None));
    assert_eq!(hop.remote, "192.0.2.10:5061".parse().unwrap());
    assert!(world.bindings.flow_closed(FlowId::new(0, 7)).is_empty());
}

#[test]
fn an_empty_shard_has_a_snapshot_too() {
    let bytes = Bindings::default().export();
    assert!(Bindings::import(&bytes).unwrap().is_empty());
}

#[test]
fn every_cut_and_every_altered_byte_is_found() {
    let bytes = populated().bindings.export();
    for length in 0..bytes.len() {
        assert!(Bindings::import(&bytes[..length]).is_err(), "cut to {length}");
    }
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 0x10;
        assert!(Bindings::import(&altered).is_err(), "altered at {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Bindings::import(&longer).is_err());
}

#[test]
fn a_forged_snapshot_with_a_right_checksum_never_panics_nor_takes_memory_it_does_not_have() {
    let bytes = populated().bindings.export();
    for at in 10..bytes.len() - 32 {
        for value in [0, 0x7f, 0xff] {
            let mut forged = bytes.clone();
            forged[at] = value;
            reseal(&mut forged);
            if let Ok(read) = Bindings::import(&forged) {
                assert!(read.len() <= 5);
            }
        }
    }
}

#[test]
fn other_files_and_other_versions_are_told_apart() {
    assert_eq!(Bindings::import(b"").unwrap_err(), SnapshotError::Foreign);
    assert_eq!(Bindings::import(b"# a text file").unwrap_err(), SnapshotError::Foreign);
    let mut later = Bindings::default().export();
    later[9] = 2;
    let error = Bindings::import(&later).unwrap_err();
    assert_eq!(error, SnapshotError::Version(2));
    assert!(error.to_string().contains("remove the file"));
}
