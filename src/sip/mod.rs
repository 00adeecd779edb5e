//! SIP as values: bytes in, effects out.
//!
//! Fully deterministic: no socket, no clock, no source of chance. Header text is touched here and
//! nowhere else.
//!
//! * `codec`: bytes to messages: the index over the received bytes, and the framing of streams.
//! * `headers`: what stands inside a header value.
//! * `uri`: URIs, their equality and their address of record.
//! * `build`: messages to bytes; `rsip` is the typed model of what we make.
//! * `transaction`: which response belongs to which request, retransmission and replay.
//! * `endpoint`: all of the above for one gateway: packets in, requests and outcomes out.
//! * `ingress`: what a request is to this server.
//! * `registrar`: where users can be reached.
//! * `relay`: a request on its way to several contacts.
//! * `egress`: a stored message on its way out, and what its answer means.

pub mod build;
pub mod codec;
pub mod egress;
pub mod endpoint;
#[doc(hidden)]
pub mod fuzz;
pub mod headers;
pub mod ingress;
pub mod registrar;
pub mod relay;
mod transaction;
pub mod uri;

pub use codec::{Field, Frame, Framer, Malformed, Message, Name};
pub use headers::{Contact, NameAddr, Params, Via};
pub use uri::{Scheme, Uri};
