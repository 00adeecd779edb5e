//! Requests of ours.

use std::time::Duration;
use thiserror::Error;

use super::{ClientToken, Effect, Endpoint, via};
use crate::sip::build::{Outgoing, print_request};
use crate::sip::transaction::client::Call;
use crate::vocab::clock::micros;
use crate::vocab::{Now, Path, SendTag, Transport};

/// How a request is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Gives up earlier than Timer F (32 s) does.
    pub timeout: Option<Duration>,
    /// Keeps to UDP when the request is longer than UDP should carry: the only way to a contact
    /// behind a NAT.
    pub udp_oversize: bool,
}

/// Too many requests wait for an answer; this one was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many requests wait for an answer: send this one later")]
pub struct Full;

impl Endpoint {
    /// Sends a request, with a Via of ours on top, and again until it is answered. Its end is
    /// [`Effect::Outcome`] with `token`.
    ///
    /// A request that is too long for UDP goes by TCP to the same address (RFC 3261 section
    /// 18.1.1), unless `manner` says otherwise. If that cannot be connected its outcome is
    /// [`super::ClientResult::TransportError`]; the caller may then send it once more with
    /// [`Manner::udp_oversize`].
    ///
    /// # Errors
    ///
    /// [`Full`]: nothing was sent, and no outcome will come.
    pub fn send(
        &mut self,
        request: &Outgoing,
        path: Path,
        token: ClientToken,
        manner: Manner,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Result<(), Full> {
        if self.clients.is_full() {
            return Err(Full);
        }
        let mut serial = self.serials.next();
        while self.clients.has(serial) {
            serial = self.serials.next();
        }
        let mut path = path;
        via::write(&mut self.via, &path, self.settings.worker, serial);
        let mut bytes = print_request(request, &self.via);
        let too_long = bytes.len() > self.settings.udp_bytes_max;
        if path.transport == Transport::Udp && too_long && !manner.udp_oversize {
            path = Path { transport: Transport::Tcp, flow: None, ..path };
            via::write(&mut self.via, &path, self.settings.worker, serial);
            bytes = print_request(request, &self.via);
        }
        let call = Call::new(token.0, serial, request.method.clone(), path, bytes.clone());
        self.clients.start(call, manner.timeout.map(micros), now.mono_us);
        self.counts.client_requests += 1;
        out.push(Effect::Transmit { path, bytes, tag: Some(SendTag(serial)) });
        Ok(())
    }

    /// Forgets a request whose outcome is no longer wanted: no more copies, no outcome. Responses
    /// to it are dropped.
    pub fn cancel(&mut self, token: ClientToken) {
        self.clients.cancel(token.0);
    }
}
