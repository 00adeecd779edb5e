//! What an operator may turn.

use std::time::Duration;

/// The settings of one endpoint; a node has one endpoint for each gateway thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This gateway's number. It stands in the branches of its requests, so that a response that
    /// comes to another gateway of the node finds its way.
    pub worker: u16,
    /// T1 of RFC 3261: the round trip assumed. All other times follow from it.
    pub t1: Duration,
    /// T2 of RFC 3261: the longest interval between two copies of a request.
    pub t2: Duration,
    /// The most requests without a final response; a new one is answered 503.
    pub unanswered_max: usize,
    /// The most server transactions, unanswered and completed; past it the oldest completed ones
    /// are forgotten early.
    pub server_transactions_max: usize,
    /// The most bytes of unanswered requests and of final responses kept for replay, for this
    /// endpoint. Past it the oldest responses are forgotten early, and when there are none, a new
    /// request is answered 503. At 450 bytes for an answer, 256 MiB hold half a million of them.
    pub server_bytes_max: usize,
    /// The most requests of ours that wait for a final response at once.
    pub client_transactions_max: usize,
    /// The longest request sent by UDP (RFC 3261 section 18.1.1); a longer one goes by TCP.
    pub udp_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            worker: 0,
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            unanswered_max: 65_536,
            server_transactions_max: 2_097_152,
            server_bytes_max: 256 * 1024 * 1024,
            client_transactions_max: 65_536,
            udp_bytes_max: 1_300,
        }
    }
}
