//! What stands inside a header value.
//!
//! Every parser here borrows from the value, allocates nothing and never panics. They are generous
//! with white space (RFC 3261 section 25.1 allows it nearly everywhere) and strict with structure.

mod contact;
pub mod cseq;
mod list;
mod name_addr;
mod params;
pub mod text;
pub mod via;

pub use contact::Contact;
pub use list::List;
pub use name_addr::NameAddr;
pub use params::Params;
pub use via::Via;
