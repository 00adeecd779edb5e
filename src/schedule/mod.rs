//! What is to happen when: one agenda for reminders, retries and expiry.
//!
//! It promises one entry for each key, work that grows with the logarithm of the entries, and no
//! memory but for the entries that are armed. It refuses to know clocks and what the keys mean.

mod agenda;

pub use agenda::Agenda;
