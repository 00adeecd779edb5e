//! The STUN of RFC 5626 section 3.5.2: a client asks on our SIP port which address it has, to keep
//! its NAT binding and to notice when it changes.
//!
//! Only the Binding request of RFC 5389 without attributes that need understanding is answered;
//! everything else is left unanswered, so that this is no help to anybody but the asker: the answer
//! is smaller than twice the request and goes where the request claims to come from.

use bytes::{BufMut, Bytes, BytesMut};
use std::net::{IpAddr, SocketAddr};

const COOKIE: u32 = 0x2112_A442;
const HEADER_BYTES: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// True for what cannot be SIP and may be STUN: its first byte is 0 or 1 (RFC 5626 section 8).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_BYTES && datagram[0] <= 1
}

/// The Binding success response for a well-formed Binding request from `source`.
pub(super) fn answer(datagram: &[u8], source: SocketAddr) -> Option<Bytes> {
    let header = datagram.first_chunk::<HEADER_BYTES>()?;
    let kind = u16::from_be_bytes([header[0], header[1]]);
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if kind != BINDING_REQUEST || cookie != COOKIE || length != datagram.len() - HEADER_BYTES {
        return None;
    }
    if !attributes_may_be_ignored(&datagram[HEADER_BYTES..]) {
        return None;
    }
    let transaction = &header[8..];
    let address = xor_address(source.ip(), transaction);
    let value_bytes = 4 + address.len();
    let mut out = BytesMut::with_capacity(HEADER_BYTES + 4 + value_bytes);
    out.put_u16(BINDING_SUCCESS);
    out.put_u16(if source.is_ipv4() { 12 } else { 24 });
    out.put_u32(COOKIE);
    out.put_slice(transaction);
    out.put_u16(XOR_MAPPED_ADDRESS);
    out.put_u16(if source.is_ipv4() { 8 } else { 20 });
    out.put_u8(0);
    out.put_u8(if source.is_ipv4() { 1 } else { 2 });
    out.put_u16(source.port() ^ (COOKIE >> 16) as u16);
    out.put_slice(&address);
    Some(out.freeze())
}

/// The attributes from 0x8000 on are the ones a server may skip (RFC 5389 section 15).
fn attributes_may_be_ignored(mut attributes: &[u8]) -> bool {
    while let Some((head, rest)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])).next_multiple_of(4);
        if head[0] & 0x80 == 0 || length > rest.len() {
            return false;
        }
        attributes = &rest[length..];
    }
    attributes.is_empty()
}

fn xor_address(ip: IpAddr, transaction: &[u8]) -> Vec<u8> {
    let mask = COOKIE.to_be_bytes().into_iter().chain(transaction.iter().copied());
    match ip {
        IpAddr::V4(v4) => v4.octets().into_iter().zip(mask).map(|(a, m)| a ^ m).collect(),
        IpAddr::V6(v6) => v6.octets().into_iter().zip(mask).map(|(a, m)| a ^ m).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(attributes.len()).unwrap();
        let mut bytes = vec![0, 1, 0, length, 0x21, 0x12, 0xA4, 0x42];
        bytes.extend_from_slice(b"transaction!");
        bytes.extend_from_slice(attributes);
        bytes
    }

    #[test]
    fn the_vector_of_rfc_5769_section_2_2_is_reproduced() {
        let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        bytes.extend_from_slice(&[
            0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
        ]);
        let answer = answer(&bytes, "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(answer[20..], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        assert_eq!(answer[..4], [1, 1, 0, 12]);
        assert_eq!(answer[4..20], bytes[4..20]);
    }

    #[test]
    fn the_ipv6_vector_of_rfc_5769_section_2_3_is_reproduced() {
        let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        bytes.extend_from_slice(&[
            0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
        ]);
        let source = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        let answer = answer(&bytes, source).unwrap();
        let expected = [
            0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2,
            0xb9, 0xd9,
        ];
        assert_eq!(answer[28..], expected);
        assert_eq!(answer.len(), 44);
    }

    #[test]
    fn attributes_that_may_be_ignored_are_ignored_and_others_leave_it_unanswered() {
        let source = "192.0.2.1:5060".parse().unwrap();
        assert!(answer(&request(&[0x80, 0x22, 0, 1, b'x', 0, 0, 0]), source).is_some());
        assert!(answer(&request(&[0x00, 0x24, 0, 4, 0, 0, 0, 1]), source).is_none());
        assert!(answer(&request(&[0x80, 0x22, 0, 9, b'x', 0, 0, 0]), source).is_none());
    }

    #[test]
    fn what_is_not_a_binding_request_is_left_unanswered() {
        let source = "192.0.2.1:5060".parse().unwrap();
        let good = request(&[]);
        assert!(answer(&good, source).is_some());
        for (at, byte) in [(0, 1), (1, 2), (3, 4), (4, 0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(answer(&bad, source).is_none(), "byte {at} as {byte}");
        }
        assert!(answer(&good[..19], source).is_none());
    }
}
