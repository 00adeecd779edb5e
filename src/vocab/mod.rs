//! The words every other folder speaks: who a mailbox belongs to, what is kept in it, where a
//! user can be reached, what became of a message, and what time it is.
//!
//! Values only. Nothing here reads a clock, opens a socket or knows the text of a SIP header.

pub mod aor;
pub mod clock;
pub mod limits;
pub mod message;
pub mod outcome;
pub mod path;
pub mod reach;
pub mod stats;

pub use aor::Aor;
pub use clock::{Clock, Now};
pub use message::{Key, Message, MessageId, Submission};
pub use outcome::{Answer, End, Outcome};
pub use path::{FlowId, NextHop, Packet, Path, SendTag, Transport};
pub use reach::{Contact, Reach};
