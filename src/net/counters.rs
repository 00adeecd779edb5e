//! What the sockets of one worker did, in numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A reading of the counters of one worker; they only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Report {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Count,)*
        }

        impl Counters {
            pub(super) fn report(&self) -> Report {
                Report { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// System calls that took datagrams in.
    receive_calls,
    /// Datagrams taken in.
    datagrams_in,
    /// System calls that sent datagrams out.
    send_calls,
    /// Datagrams the kernel took from us.
    datagrams_out,
    /// Datagrams of ours that were dropped: the queue was full, or the kernel refused them.
    datagrams_dropped,
    /// Keep-alives over UDP: STUN requests answered, and datagrams of nothing but CRLF or NUL.
    keepalives,
    /// Connections accepted.
    accepted,
    /// Connections refused at a limit, of all or of one source.
    refused,
    /// Connections opened by us.
    opened,
    /// Connections we could not open.
    open_failed,
    /// Connections that ended.
    closed,
    /// Connections ended because the peer kept a message half sent, or did not read.
    stalled,
    /// Connections ended because what came on them was not SIP.
    junk,
    /// Messages cut from streams.
    stream_messages_in,
    /// Messages and answers written to streams.
    stream_messages_out,
}

/// One counter; shared with the tasks of the connections.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) type Shared = Arc<Counters>;
