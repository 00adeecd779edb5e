//! When two URIs are the same (RFC 3261 section 19.1.4).
//!
//! * The user and the password count their case, everything else does not.
//! * An escape is equal to its character.
//! * A part that is absent is not equal to its default: `host` is not `host:5060`.
//! * `user`, `ttl`, `method`, `maddr` and `transport` are in both or in neither.
//! * Any other parameter that is in one only is ignored; one that is in both has to match.
//! * `?headers` are in both, in any order, and match.
//!
//! Comparing takes time in proportion to the product of the parts; URIs with more than
//! [`LIST_VALUES_MAX`] parameters or headers, which nobody needs, are equal byte for byte only.
//!
//! The relation is not transitive, so it cannot be a hash key.

use super::escape::decoded;
use super::{Scheme, Uri};
use crate::sip::headers::Params;
use crate::sip::headers::via::ip;
use crate::vocab::limits::LIST_VALUES_MAX;

/// Parameters that change what the URI means when they are there.
const TELLING: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];

pub(super) fn equals(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    if a.scheme != b.scheme {
        return false;
    }
    match a.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Im => {
            same_text(a.user, b.user)
                && same_text(a.password, b.password)
                && same_host(a.host, b.host)
                && a.port == b.port
                && same_params(&a.params, &b.params)
                && same_headers(a.headers, b.headers)
        }
        Scheme::Tel => same_number(a.user, b.user) && same_params(&a.params, &b.params),
        Scheme::Other => same_opaque(a.text, b.text),
    }
}

fn same_text(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a == b || decoded(a).eq(decoded(b)),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn same_word(a: &[u8], b: &[u8]) -> bool {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    a == b || decoded(a).map(lower).eq(decoded(b).map(lower))
}

fn same_host(a: &[u8], b: &[u8]) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    a.first() == Some(&b'[') && ip(a).is_some_and(|a| Some(a) == ip(b))
}

fn same_params(a: &Params<'_>, b: &Params<'_>) -> bool {
    if a.as_bytes() == b.as_bytes() {
        return true;
    }
    if [a, b].iter().any(|params| params.iter().nth(LIST_VALUES_MAX).is_some()) {
        return false;
    }
    if TELLING.iter().any(|name| find(a, name).is_some() != find(b, name).is_some()) {
        return false;
    }
    a.iter().all(|(name, value)| match find(b, name) {
        None => true,
        Some(other) => same_word(value.unwrap_or_default(), other.unwrap_or_default()),
    })
}

fn find<'a>(params: &Params<'a>, name: &[u8]) -> Option<Option<&'a [u8]>> {
    params.iter().find(|(found, _)| same_word(found, name)).map(|(_, value)| value)
}

/// Each header of one is in the other, as often, and the same.
fn same_headers(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let fields = |text| -> Vec<(&[u8], &[u8])> {
        <[u8]>::split(text, |&byte| byte == b'&')
            .filter(|field| !field.is_empty())
            .map(|field| super::split_once(field, b'=').unwrap_or((field, b"")))
            .collect()
    };
    let (a, mut b) = (fields(a), fields(b));
    if a.len() != b.len() || a.len() > LIST_VALUES_MAX {
        return false;
    }
    a.iter().all(|(name, value)| {
        let same = |other: &(&[u8], &[u8])| {
            same_word(name, other.0) && same_text(Some(value), Some(other.1))
        };
        b.iter().position(same).map(|at| b.swap_remove(at)).is_some()
    })
}

/// RFC 3966 section 4: visual separators do not count.
fn same_number(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    let digits = |number: Option<&[u8]>| {
        let number = number.unwrap_or_default().iter().map(u8::to_ascii_lowercase);
        number.filter(|byte| !matches!(byte, b'-' | b'.' | b'(' | b')')).collect::<Vec<u8>>()
    };
    digits(a) == digits(b)
}

/// The scheme in any case, the rest byte for byte.
fn same_opaque(a: &[u8], b: &[u8]) -> bool {
    match (super::split_once(a, b':'), super::split_once(b, b':')) {
        (Some((a, x)), Some((b, y))) => a.eq_ignore_ascii_case(b) && x == y,
        _ => false,
    }
}
