//! Messages to bytes.
//!
//! `rsip` is the typed model of what we make; the printer is our own, because headers of others
//! are passed on byte for byte and bodies are bytes. Whatever a value holds, it cannot begin a
//! line: CR, LF and NUL of ours become spaces.

mod forward;
mod outgoing;
mod phrase;
mod reply;
mod text;

pub use forward::{Edit, forward_lines, relay_response};
pub use outgoing::{Outgoing, print_request};
pub use phrase::phrase;
pub use reply::{Reply, print_response};

#[cfg(test)]
mod tests;
