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

pub mod build;
pub mod codec;
pub mod endpoint;
#[doc(hidden)]
pub mod fuzz;
pub mod headers;
mod transaction;
pub mod uri;

pub use codec::{Field, Frame, Framer, Malformed, Message, Name};
pub use headers::{Contact, NameAddr, Params, Via};
pub use uri::{Scheme, Uri};
