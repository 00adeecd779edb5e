//! Goal: what is no proper message is answered at most once, or not at all.
//! Method: malformed datagrams.

use super::*;
use proptest::prelude::*;

/// U10, Y7, U8: one answer for each copy, all alike, and no transaction.
#[test]
fn a_malformed_request_is_answered_the_same_each_time() {
    let mut world = World::new();
    let broken = message("z9hG4bKa").replace("SIP/2.0\r\n", "SIP/7.0\r\n");
    let first = world.receive(&broken);
    let [Effect::Malformed { .. }, Effect::Transmit { path, bytes, tag: None }] = &first[..] else {
        panic!("expected one answer: {first:?}")
    };
    let answer = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(answer.starts_with("SIP/2.0 505 "), "{answer}");
    assert!(field(&answer, "To").contains(";tag="));
    assert!(field(&answer, "Via").contains(";rport=40000"));
    assert_eq!(path, &udp(ALICE));
    assert_eq!(sent(&world.receive(&broken)), sent(&first));
    assert_eq!((world.endpoint.open_transactions(), world.endpoint.deadline()), (0, None));
}

/// X4
#[test]
fn a_datagram_shorter_than_its_content_length_is_answered_400() {
    let mut world = World::new();
    let short = message("z9hG4bKa").replace("Content-Length: 0", "Content-Length: 9");
    assert!(sent(&world.receive(&short))[0].1.starts_with("SIP/2.0 400 "));
}

/// X4
#[test]
fn what_follows_content_length_in_a_datagram_is_discarded() {
    let mut world = World::new();
    let key = world.open(&(message("z9hG4bKa") + "INVITE garbage"));
    assert!(world.receive(&message("z9hG4bKa")).is_empty(), "it is the same request");
    world.respond(key, 202);
}

/// X4: of a response that is cut short nothing is used.
#[test]
fn a_response_shorter_than_its_content_length_is_dropped() {
    let mut world = World::new();
    let sent_request = world.send(udp(ALICE), 1, Manner::default());
    let short = answer(&sent_request[0], 200).replace("Content-Length: 0", "Content-Length: 9");
    let effects = world.receive(&short);
    assert!(matches!(effects[..], [Effect::Malformed { .. }]), "{effects:?}");
    assert_eq!(world.endpoint.observe().waiting, 1);
}

/// Y7
#[test]
fn a_response_is_never_answered() {
    let mut world = World::new();
    let stray =
        message("z9hG4bKa").replace("MESSAGE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK");
    assert!(world.receive(&stray).is_empty());
    let broken = stray.replace("CSeq: 7", "CSeq: seven");
    assert_eq!(sent(&world.receive(&broken)), []);
    assert_eq!(world.counts().unmatched_responses, 1);
}

#[test]
fn a_malformed_ack_is_never_answered() {
    let mut world = World::new();
    let ack = message("z9hG4bKa").replace("MESSAGE", "ACK").replace("CSeq: 7", "CSeq: seven");
    assert_eq!(sent(&world.receive(&ack)), []);
}

/// X15
#[test]
fn what_is_not_sip_is_dropped() {
    let mut world = World::new();
    for junk in ["", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\0\u{1}\0\0", "MESSAGE\r\n\r\n"] {
        assert_eq!(sent(&world.receive(junk)), [], "{junk:?}");
    }
}

/// Y7: no input makes one packet into two, and none makes a panic.
#[test]
fn every_odd_message_is_answered_at_most_once() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = Bytes::from(std::fs::read(entry.unwrap().path()).unwrap());
        for path in [udp(ALICE), tcp(1)] {
            let mut world = World::new();
            let mut out = Vec::new();
            world.endpoint.receive(Packet { bytes: bytes.clone(), path }, world.now, &mut out);
            let is_response = bytes.starts_with(b"SIP/");
            assert!(sent_count(&out) <= usize::from(!is_response), "{out:?}");
            if let Some(Effect::Request { key, .. }) = out.first() {
                assert_eq!(sent_count(&world.respond(*key, 200)), 1);
            }
        }
        read += 1;
    }
    assert!(read > 20, "the folder of odd messages is not where it should be");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Y7: the same for messages with random damage.
    #[test]
    fn a_damaged_message_is_answered_at_most_once(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        is_response in any::<bool>(),
    ) {
        let start = if is_response { "SIP/2.0 200 OK" } else { "MESSAGE sip:bob@b SIP/2.0" };
        let text = message("z9hG4bK0.0000000000000000");
        let text = text.replacen("MESSAGE sip:bob@example.com SIP/2.0", start, 1);
        let mut bytes = text.into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            // The start line stays: what is a response stays one.
            if at >= start.len() {
                bytes[at] = byte;
            }
        }
        let mut world = World::new();
        let packet = Packet { bytes: bytes.into(), path: udp(ALICE) };
        let mut out = Vec::new();
        world.endpoint.receive(packet, world.now, &mut out);
        prop_assert!(sent_count(&out) <= usize::from(!is_response), "{:?}", out);
    }
}

fn sent_count(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Transmit { .. })).count()
}
