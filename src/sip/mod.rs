//! SIP as values: bytes in, effects out.
//!
//! Fully deterministic: no socket, no clock, no source of chance. Header text is touched here and
//! nowhere else.
//!
//! * `codec`: bytes to messages: the index over the received bytes, and the framing of streams.
//! * `headers`: what stands inside a header value.
//! * `uri`: URIs, their equality and their address of record.
//! * `build`: messages to bytes; `rsip` is the typed model of what we make.

pub mod build;
pub mod codec;
#[doc(hidden)]
pub mod fuzz;
pub mod headers;
pub mod uri;

pub use codec::{Field, Frame, Framer, Malformed, Message, Name};
pub use headers::{Contact, NameAddr, Params, Via};
pub use uri::{Scheme, Uri};
