//! Random input. A failure prints the seed's shrunk input, and `PROPTEST_RNG_SEED` repeats a run.

use crate::files::all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sipsilo::sip::{Uri, fuzz};

/// One change to a message.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        vec(any::<u8>(), 1..4),
        prop::sample::select(vec![
            &b"\r\n"[..],
            b"\r",
            b"\n",
            b"\r\n ",
            b"\r\n\r\n",
            b"\"",
            b"\\",
            b"<",
            b">",
            b",",
            b";",
            b"=",
            b":",
            b"@",
            b"%",
            b"%00",
            b"%4",
            b"[",
            b"]",
            b"\0",
            b"\xff",
            b" ",
            b"\t",
            b"*",
            b"4294967296",
            b"-1",
            b"SIP/2.0",
            b"Via: x",
            b"Content-Length: 9",
            b"Route: <sip:x>",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (any::<Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, len)| Change::Remove(at, len)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, len)| Change::Repeat(at, len)),
    ]
}

fn apply(message: &mut Vec<u8>, change: &Change) {
    let from = |at: &Index| at.index(message.len() + 1);
    match change {
        Change::Replace(at, byte) => {
            let at = from(at);
            if let Some(old) = message.get_mut(at) {
                *old = *byte;
            }
        }
        Change::Insert(at, piece) => {
            let at = from(at);
            message.splice(at..at, piece.iter().copied());
        }
        Change::Remove(at, len) => {
            let at = from(at);
            let end = (at + usize::from(*len)).min(message.len());
            message.drain(at..end);
        }
        Change::Repeat(at, len) => {
            let at = from(at);
            let end = (at + usize::from(*len)).min(message.len());
            let piece = message[at..end].to_vec();
            message.splice(at..at, piece);
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let files = all("tests/torture").into_iter().map(|(_, data)| data);
    files.filter(|data| data.len() < 4_096).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(data in vec(any::<u8>(), 0..600)) {
        fuzz::datagram(&data);
        fuzz::stream(&data);
        fuzz::uri(&data);
    }

    #[test]
    fn changed_messages_never_panic_and_what_is_read_survives_being_printed(
        seed in prop::sample::select(seeds()),
        changes in vec(change(), 1..6),
        piece in 1_u8..,
    ) {
        let mut data = seed;
        for change in &changes {
            apply(&mut data, change);
        }
        fuzz::datagram(&data);
        data.insert(0, piece);
        fuzz::stream(&data);
    }

    #[test]
    fn uris_of_any_characters_keep_their_promises(
        data in r#"(sip|SIPS|tel|im|urn):[a-c%04A;:@.,?&=\[\]+é/"<> -]{0,40}"#
    ) {
        fuzz::uri(data.as_bytes());
    }

    #[test]
    fn equality_of_uris_is_symmetric(
        a in "sip:(a|%61|b)@(h|H)(:5060)?(;x=[12])?(;transport=(tcp|UDP))?(;lr)?(\\?s=(1|%31))?",
        b in "sip:(a|%61|b)@(h|H)(:5060)?(;x=[12])?(;transport=(TCP|udp))?(;lr)?(\\?s=(1|%31))?",
    ) {
        let a = Uri::parse(a.as_bytes()).unwrap();
        let b = Uri::parse(b.as_bytes()).unwrap();
        prop_assert_eq!(a.equals(&b), b.equals(&a));
    }
}
