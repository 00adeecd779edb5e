//! The bytes that carry bindings over a graceful restart.
//!
//! ```text
//! "SILOBIND" · version u16 · users u32 · user* · SHA-256 of all before
//! user    = aor · bindings u32 · binding*
//! binding = hop · expires_us i64 · granted_s u32 · cseq u32 · q u16 · flags u8 ·
//!           call_id · uri · instance · params · paths
//! text    = length u16 · bytes                    (aor and the texts of a binding)
//! hop     = 0 | 1 · transport u8 · local · remote | 2 · transport u8 · host · port u16
//! address = 4 · ip · port u16 | 6 · ip · port u16 · scope u32
//! ```
//!
//! Numbers are big-endian. Connections do not outlive the process: a binding that was reached
//! over one is written with the address its contact names itself.

use super::binding::{Binding, Facts, Texts};
use super::bindings::Bindings;
use crate::sip::Uri;
use crate::vocab::{Aor, NextHop, Path, Transport};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

const MAGIC: &[u8; 8] = b"SILOBIND";
const VERSION: u16 = 1;
const DIGEST_BYTES: usize = 32;
const TAKES_MESSAGES: u8 = 1;
const DIRECT: u8 = 2;

/// Why a snapshot is not taken. Nothing of it is used then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Other bytes altogether.
    #[error("this is not a snapshot of bindings: remove the file to start without it")]
    Foreign,
    /// Written by another version.
    #[error("the snapshot has version {0}, this server reads version 1: remove the file")]
    Version(u16),
    /// Cut short or altered.
    #[error("the snapshot is damaged ({0}): remove the file to start without it")]
    Damaged(&'static str),
}

impl Bindings {
    /// Writes all bindings down. Equal bindings give equal bytes.
    #[must_use]
    pub fn export(&self) -> Vec<u8> {
        let mut users: Vec<_> = self.all().collect();
        users.sort_unstable_by_key(|(aor, _)| *aor);
        let mut out = Vec::from(MAGIC);
        out.extend(VERSION.to_be_bytes());
        out.extend(count_u32(users.len()).to_be_bytes());
        for (aor, bindings) in users {
            put_text(&mut out, aor.as_str());
            out.extend(count_u32(bindings.len()).to_be_bytes());
            for binding in bindings {
                put_binding(&mut out, binding);
            }
        }
        let digest = Sha256::digest(&out);
        out.extend(digest);
        out
    }

    /// Reads what [`Bindings::export`] wrote. Bindings that expired since are there too, and are
    /// found by the next [`Bindings::expire`].
    ///
    /// # Errors
    /// [`SnapshotError`] says what is wrong with the bytes.
    pub fn import(bytes: &[u8]) -> Result<Self, SnapshotError> {
        const SHORT: SnapshotError = SnapshotError::Damaged("it is cut short");
        let mut input = Input(bytes.strip_prefix(MAGIC).ok_or(SnapshotError::Foreign)?);
        let version = input.u16().ok_or(SHORT)?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let (body, digest) = bytes.split_last_chunk::<DIGEST_BYTES>().ok_or(SHORT)?;
        if *Sha256::digest(body) != *digest {
            return Err(SnapshotError::Damaged("its checksum is wrong"));
        }
        input.0 = &input.0[..input.0.len().checked_sub(DIGEST_BYTES).ok_or(SHORT)?];
        read_users(&mut input).ok_or(SnapshotError::Damaged("its parts do not fit together"))
    }
}

fn read_users(input: &mut Input<'_>) -> Option<Bindings> {
    let mut all = Bindings::default();
    for _ in 0..input.u32()? {
        let aor = Aor::from_canonical(input.text()?)?;
        // Bounded by the bytes that are left: each binding takes some.
        let mut bindings = Vec::new();
        for _ in 0..input.u32()? {
            bindings.push(input.binding()?);
        }
        if bindings.is_empty() || !all.restore(aor, bindings) {
            return None;
        }
    }
    input.0.is_empty().then_some(all)
}

fn count_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a shard holds fewer than 2^32 bindings: each takes memory")
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("it came in a message of at most 65,535 bytes");
    out.extend(length.to_be_bytes());
    out.extend(text.as_bytes());
}

fn put_binding(out: &mut Vec<u8>, binding: &Binding) {
    let facts = &binding.facts;
    match binding.flow() {
        Some(_) => put_hop(out, binding.own_hop().as_ref()),
        None => put_hop(out, facts.hop.as_ref()),
    }
    out.extend(facts.expires_us.to_be_bytes());
    out.extend(facts.granted_s.to_be_bytes());
    out.extend(facts.cseq.to_be_bytes());
    out.extend(facts.q.to_be_bytes());
    let takes_messages = if facts.takes_messages { TAKES_MESSAGES } else { 0 };
    out.push(takes_messages | if facts.direct { DIRECT } else { 0 });
    let texts = binding.texts();
    for text in [texts.call_id, texts.uri, texts.instance, texts.params, texts.paths] {
        put_text(out, text);
    }
}

fn put_hop(out: &mut Vec<u8>, hop: Option<&NextHop>) {
    match hop {
        None => out.push(0),
        Some(NextHop::Path(path)) => {
            out.extend([1, transport_code(Some(path.transport))]);
            put_address(out, path.local);
            put_address(out, path.remote);
        }
        Some(NextHop::Name { transport, host, port }) => {
            out.extend([2, transport_code(*transport)]);
            put_text(out, host);
            out.extend(port.unwrap_or(0).to_be_bytes());
        }
    }
}

const fn transport_code(transport: Option<Transport>) -> u8 {
    match transport {
        None => 0,
        Some(Transport::Udp) => 1,
        Some(Transport::Tcp) => 2,
    }
}

fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            out.push(4);
            out.extend(v4.ip().octets());
            out.extend(v4.port().to_be_bytes());
        }
        SocketAddr::V6(v6) => {
            out.push(6);
            out.extend(v6.ip().octets());
            out.extend(v6.port().to_be_bytes());
            out.extend(v6.scope_id().to_be_bytes());
        }
    }
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u16()?.into();
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(taken).ok()
    }

    fn binding(&mut self) -> Option<Binding> {
        let hop = self.hop()?;
        let expires_us = self.take().map(i64::from_be_bytes)?;
        let (granted_s, cseq, q) = (self.u32()?, self.u32()?, self.u16()?);
        let flags = self.u8()?;
        let facts = Facts {
            hop,
            expires_us,
            granted_s,
            cseq,
            q,
            takes_messages: flags & TAKES_MESSAGES != 0,
            direct: flags & DIRECT != 0,
        };
        let texts = Texts {
            call_id: self.text()?,
            uri: self.text()?,
            instance: self.text()?,
            params: self.text()?,
            paths: self.text()?,
        };
        Uri::parse(texts.uri.as_bytes())?;
        Binding::pack(&texts, facts)
    }

    /// `None` = not readable, `Some(None)` = no hop.
    #[expect(clippy::option_option, reason = "the outer one is the reader's, as everywhere here")]
    fn hop(&mut self) -> Option<Option<NextHop>> {
        Some(match self.u8()? {
            0 => None,
            1 => {
                let transport = self.transport()??;
                let (local, remote) = (self.address()?, self.address()?);
                Some(NextHop::Path(Path { transport, local, remote, flow: None }))
            }
            2 => {
                let transport = self.transport()?;
                let host = self.text()?.into();
                let port = Some(self.u16()?).filter(|port| *port != 0);
                Some(NextHop::Name { transport, host, port })
            }
            _ => return None,
        })
    }

    #[expect(clippy::option_option, reason = "the outer one is the reader's, as everywhere here")]
    fn transport(&mut self) -> Option<Option<Transport>> {
        match self.u8()? {
            0 => Some(None),
            1 => Some(Some(Transport::Udp)),
            2 => Some(Some(Transport::Tcp)),
            _ => None,
        }
    }

    fn address(&mut self) -> Option<SocketAddr> {
        match self.u8()? {
            4 => {
                let ip = IpAddr::from(self.take::<4>()?);
                Some(SocketAddr::new(ip, self.u16()?))
            }
            6 => {
                let ip = Ipv6Addr::from(self.take::<16>()?);
                let (port, scope) = (self.u16()?, self.u32()?);
                Some(SocketAddrV6::new(ip, port, 0, scope).into())
            }
            _ => None,
        }
    }
}
