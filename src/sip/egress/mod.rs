//! What the inbox decided, as SIP: a stored message on its way to a contact, what the contact's
//! answer means for it, and what its sender is told.
//!
//! * `delivery`: the MESSAGE that is sent.
//! * `outcome`: final responses by what they mean.
//! * `answer`: the inbox's answers as responses.
//! * `date`: the time format of `Date`.

mod answer;
pub mod date;
mod delivery;
mod outcome;
#[cfg(test)]
mod tests;

pub use answer::answer;
pub use delivery::{Ids, delivery};
pub use outcome::{RETRY_AFTER_MAX, outcome};
