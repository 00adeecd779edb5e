//! Final responses kept for replay (RFC 3261 section 17.2.2, state *Completed*).
//!
//! Timer J has one length, so responses expire in the order they were sent: they are written one
//! behind the other into large segments, and a segment is let go when its last record is. At
//! 70,000 REGISTERs a second this is where a gateway's memory goes; a record costs the response
//! and 40 bytes of head (IPv4), and no allocation of its own.
//!
//! Only responses over UDP come here: over a stream transport Timer J is zero.

use bytes::{Buf, BufMut, Bytes};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::key::ServerKey;

/// Bits of a [`Place`] that say where in the segment.
const OFFSET_BITS: u32 = 18;
/// One segment; more than the longest record.
const SEGMENT_BYTES: usize = 1 << OFFSET_BITS;
/// A bound of the head of a record: due time, key, two IPv6 ends, length.
const HEAD_BYTES_MAX: usize = 8 + 16 + 2 * (1 + 16 + 2 + 4) + 2;

/// Where a record lies: the number of its segment, and the offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Place {
    /// Bits a place never uses, free for its holder.
    pub(super) const SPARE_BIT: u64 = 1 << 63;

    /// The place as a number below [`Place::SPARE_BIT`].
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    /// The place that `to_bits` came from.
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Whose final response it is.
    pub(super) key: ServerKey,
    /// When Timer J fires.
    pub(super) due: u64,
    /// The socket the response left from.
    pub(super) local: SocketAddr,
    /// Where it went.
    pub(super) remote: SocketAddr,
}

/// The kept responses, oldest first.
#[derive(Debug, Default)]
pub(super) struct Completed {
    segments: VecDeque<Vec<u8>>,
    /// The number of the first segment.
    first: u64,
    /// Where the oldest record starts in the first segment.
    oldest: usize,
    len: usize,
    bytes: usize,
    spare: Option<Vec<u8>>,
}

impl Completed {
    /// How many responses are kept.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes their records take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a response behind all others. `None`: it is longer than a datagram can be.
    pub(super) fn push(&mut self, head: &Head, response: &[u8]) -> Option<Place> {
        let length = u16::try_from(response.len()).ok()?;
        let fits = self
            .segments
            .back()
            .is_some_and(|last| last.len() + HEAD_BYTES_MAX + response.len() <= SEGMENT_BYTES);
        if !fits {
            let fresh = self.spare.take().unwrap_or_else(|| Vec::with_capacity(SEGMENT_BYTES));
            self.segments.push_back(fresh);
        }
        let number = self.first + self.segments.len() as u64 - 1;
        let segment = self.segments.back_mut()?;
        let start = segment.len();
        segment.put_u64_ne(head.due);
        segment.put_u128_ne(head.key.0);
        put_end(segment, head.local);
        put_end(segment, head.remote);
        segment.put_u16_ne(length);
        segment.extend_from_slice(response);
        self.len += 1;
        self.bytes += segment.len() - start;
        Some(Place((number << OFFSET_BITS) | start as u64))
    }

    /// The oldest record's head and place.
    pub(super) fn oldest(&self) -> Option<(Head, Place)> {
        let place = self.oldest_place()?;
        Some((self.read(place)?.0, place))
    }

    /// Lets the oldest record go.
    pub(super) fn pop(&mut self) {
        let Some(place) = self.oldest_place() else { return };
        let Some((_, _, size)) = self.read_sized(place) else { return };
        self.len -= 1;
        self.bytes -= size;
        self.oldest += size;
        let drained = self.segments.front().is_some_and(|first| self.oldest >= first.len());
        if drained && let Some(mut segment) = self.segments.pop_front() {
            segment.clear();
            self.spare = Some(segment);
            self.oldest = 0;
            self.first += 1;
        }
    }

    /// A record that has not been let go.
    pub(super) fn get(&self, place: Place) -> Option<(Head, Bytes)> {
        let (head, response) = self.read(place)?;
        Some((head, Bytes::copy_from_slice(response)))
    }

    fn oldest_place(&self) -> Option<Place> {
        (self.len > 0).then_some(Place((self.first << OFFSET_BITS) | self.oldest as u64))
    }

    fn read(&self, place: Place) -> Option<(Head, &[u8])> {
        self.read_sized(place).map(|(head, response, _)| (head, response))
    }

    fn read_sized(&self, place: Place) -> Option<(Head, &[u8], usize)> {
        let number = (place.0 >> OFFSET_BITS).checked_sub(self.first)?;
        let offset = usize::try_from(place.0).ok()? & (SEGMENT_BYTES - 1);
        let record = self.segments.get(usize::try_from(number).ok()?)?.get(offset..)?;
        let mut rest = record;
        let due = rest.try_get_u64_ne().ok()?;
        let key = ServerKey(rest.try_get_u128_ne().ok()?);
        let local = get_end(&mut rest)?;
        let remote = get_end(&mut rest)?;
        let length = usize::from(rest.try_get_u16_ne().ok()?);
        let response = rest.get(..length)?;
        let size = record.len() - rest.len() + length;
        Some((Head { key, due, local, remote }, response, size))
    }
}

fn put_end(segment: &mut Vec<u8>, end: SocketAddr) {
    match end {
        SocketAddr::V4(end) => {
            segment.put_u8(4);
            segment.put_slice(&end.ip().octets());
            segment.put_u16_ne(end.port());
        }
        SocketAddr::V6(end) => {
            segment.put_u8(6);
            segment.put_slice(&end.ip().octets());
            segment.put_u16_ne(end.port());
            segment.put_u32_ne(end.scope_id());
        }
    }
}

fn get_end(rest: &mut &[u8]) -> Option<SocketAddr> {
    let family = rest.try_get_u8().ok()?;
    if family == 4 {
        let mut octets = [0; 4];
        rest.try_copy_to_slice(&mut octets).ok()?;
        return Some(SocketAddr::new(IpAddr::from(octets), rest.try_get_u16_ne().ok()?));
    }
    let mut octets = [0; 16];
    rest.try_copy_to_slice(&mut octets).ok()?;
    let port = rest.try_get_u16_ne().ok()?;
    let scope = rest.try_get_u32_ne().ok()?;
    Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(n: u64) -> Head {
        Head {
            key: ServerKey(u128::from(n) << 70 | 1),
            due: n,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "198.51.100.7:40000".parse().unwrap(),
        }
    }

    fn body(n: u64) -> Vec<u8> {
        n.to_be_bytes().repeat(56)
    }

    #[test]
    fn responses_come_back_as_they_were_and_leave_in_order() {
        let mut kept = Completed::default();
        let places: Vec<Place> =
            (0..2_000).map(|n| kept.push(&head(n), &body(n)).unwrap()).collect();
        assert!(places.last().unwrap().0 >> OFFSET_BITS > 2, "several segments are in use");
        for (n, place) in (0..2_000).zip(&places) {
            assert_eq!(kept.oldest(), Some((head(n), *place)));
            let (found, response) = kept.get(*place).unwrap();
            assert_eq!((found, response), (head(n), Bytes::from(body(n))));
            kept.pop();
        }
        assert_eq!((kept.len(), kept.bytes(), kept.oldest()), (0, 0, None));
        assert_eq!(kept.get(places[0]), None);
    }

    #[test]
    fn a_record_of_an_ipv4_peer_adds_forty_bytes_to_the_response() {
        let mut kept = Completed::default();
        kept.push(&head(1), &[0; 400]).unwrap();
        assert_eq!(kept.bytes(), 400 + 40);
    }

    #[test]
    fn an_ipv6_peer_keeps_its_scope() {
        let mut kept = Completed::default();
        let mut head = head(1);
        head.remote = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 5070, 0, 3));
        let place = kept.push(&head, b"SIP/2.0 200 OK").unwrap();
        assert_eq!(kept.get(place).unwrap().0, head);
    }

    #[test]
    fn segments_are_used_again() {
        let mut kept = Completed::default();
        for n in 0..10_000 {
            kept.push(&head(n), &[7; 450]).unwrap();
            if n >= 100 {
                kept.pop();
            }
        }
        assert!(kept.segments.len() <= 2);
        assert_eq!(kept.len(), 100);
    }

    #[test]
    fn what_no_datagram_can_carry_is_not_kept() {
        assert_eq!(Completed::default().push(&head(1), &vec![0; 70_000]), None);
    }
}
