//! Route headers: which of them are ours, and where the others lead (RFC 3261 section 16.4).

use super::{Policy, is_sip, refuse};
use crate::sip::build::Reply;
use crate::sip::codec::{Message, Name};
use crate::sip::headers::{List, NameAddr};
use crate::sip::uri::Uri;
use crate::vocab::limits::LIST_VALUES_MAX;
use smallvec::SmallVec;
use std::net::SocketAddr;

/// The request's way on, after our own part of it was taken off.
pub(super) struct Routing<'a> {
    /// The Request-URI, repaired if a strict router had put it elsewhere.
    pub(super) uri: &'a [u8],
    /// The remaining Route values in order, brackets and parameters included.
    pub(super) routes: SmallVec<[&'a [u8]; 2]>,
    /// True when a Route named us: the sender chose us as a proxy.
    pub(super) is_by_us: bool,
}

impl<'a> Routing<'a> {
    /// Reads the Route headers of `request`. The error is a 400 for one that cannot be read.
    pub(super) fn of(
        request: &'a Message,
        policy: &Policy,
        arrived: SocketAddr,
    ) -> Result<Self, Reply> {
        let mut routes: SmallVec<[&[u8]; 2]> = SmallVec::new();
        let mut uri = request.request_uri();
        let mut is_by_us = false;
        let values = request.fields(Name::Route).flat_map(List::new);
        for value in values.filter(|value| !value.is_empty()) {
            if routes.len() == LIST_VALUES_MAX {
                return Err(refuse::bad_request());
            }
            routes.push(value);
        }
        if let Some(&last) = routes.last()
            && is_our_route_as_target(uri, policy, arrived)
        {
            // A strict router sent us our own Route value as the Request-URI; the true one is
            // the last Route (RFC 3261 section 16.4).
            uri = NameAddr::parse(last).ok_or_else(refuse::bad_request)?.uri;
            routes.truncate(routes.len() - 1);
            is_by_us = true;
        }
        // More than one in a row may name us: double record-routing between two of our transports.
        let mut ours = 0;
        for value in &routes {
            let address = NameAddr::parse(value).ok_or_else(refuse::bad_request)?;
            let hop = Uri::parse(address.uri).ok_or_else(refuse::bad_request)?;
            if !is_sip(hop.scheme) || !policy.is_this_server(hop.host, hop.port, arrived) {
                break;
            }
            ours += 1;
        }
        routes.drain(..ours);
        Ok(Self { uri, routes, is_by_us: is_by_us || ours > 0 })
    }
}

/// True when the Request-URI is what only a Route value of ours looks like: our address, nobody's
/// name, and the `lr` parameter.
fn is_our_route_as_target(uri: &[u8], policy: &Policy, arrived: SocketAddr) -> bool {
    Uri::parse(uri).is_some_and(|uri| {
        is_sip(uri.scheme)
            && uri.user.is_none()
            && uri.params.get(b"lr").is_some()
            && policy.is_this_server(uri.host, uri.port, arrived)
    })
}
