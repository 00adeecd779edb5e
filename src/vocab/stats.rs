//! Counters of a node: msilo's five by their names, and the ends of custody.

use std::sync::atomic::{AtomicU64, Ordering};

/// One event count, cheap to raise from any thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one.
    pub fn one(&self) {
        self.many(1);
    }

    /// Counts `n`.
    pub fn many(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! stats {
    ($($(#[doc = $help:literal])+ $name:ident,)+) => {
        /// All counters of a node.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[doc = $help])+ pub $name: Counter,)+
        }

        impl Stats {
            /// Every counter by name, in the order of declaration.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.get()),)+].into_iter()
            }
        }
    };
}

stats! {
    /// Messages stored for offline users (msilo).
    stored_messages,
    /// Stored messages delivered (msilo).
    dumped_messages,
    /// Delivery attempts of stored messages that failed (msilo).
    failed_messages,
    /// Messages refused as already stored.
    duplicate_messages,
    /// Messages refused because the mailbox was full.
    mailbox_full,
    /// Messages answered by a live contact.
    relayed_messages,
    /// Ends: a contact took the message.
    ended_delivered,
    /// Ends: the time ran out.
    ended_expired,
    /// Ends: attempts ran out, kept as a dead letter.
    ended_undeliverable,
    /// Ends: removed by a person.
    ended_withdrawn,
    /// Requests answered 503 because a queue was full.
    overloaded,
    /// Requests answered 503 because the store could not take them.
    store_down,
    /// Datagrams and streams that held no SIP message.
    malformed,
    /// Handlers that panicked; each cost one AoR actor.
    panics,
}
