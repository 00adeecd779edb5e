//! What an endpoint tells about itself.

/// What an endpoint holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Requests without a final response.
    pub unanswered: usize,
    /// Final responses kept for replay.
    pub completed: usize,
    /// The bytes they take.
    pub completed_bytes: usize,
    /// Requests of ours without a final response.
    pub waiting: usize,
    /// What happened so far.
    pub counts: Counts,
}

/// Events since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New requests that were passed up.
    pub requests: u64,
    /// Copies of a request that had no answer yet; nothing was sent.
    pub absorbed: u64,
    /// Copies of a request that were answered with the bytes sent before.
    pub replayed: u64,
    /// Requests answered 503 because too many wait for an answer.
    pub refused_full: u64,
    /// Answers 100 after 3.5 seconds.
    pub trying_sent: u64,
    /// Responses that may not be sent: provisional ones and 408 (RFC 4320).
    pub withheld: u64,
    /// Responses that came too late, after the transaction's end.
    pub late_responses: u64,
    /// Final responses forgotten before their time, because a bound was reached.
    pub evicted: u64,
    /// ACKs, which are absorbed.
    pub acks: u64,
    /// CANCELs, which are answered and have no effect.
    pub cancels: u64,
    /// Packets that held no proper SIP message.
    pub malformed: u64,
    /// Requests of ours sent.
    pub client_requests: u64,
    /// Requests of ours that had a final answer.
    pub client_answers: u64,
    /// Copies of requests of ours.
    pub client_retransmissions: u64,
    /// Requests of ours that were not answered in time.
    pub client_timeouts: u64,
    /// Requests of ours that could not be sent.
    pub transport_errors: u64,
    /// Responses that belong to no request of ours; late copies are among them.
    pub unmatched_responses: u64,
    /// Responses handed to another gateway.
    pub misdirected: u64,
}
