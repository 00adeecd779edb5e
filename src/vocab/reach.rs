//! Where a user can be reached just now.

use super::path::NextHop;
use std::sync::Arc;

/// One binding of a user, as far as sending a request to it needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The contact URI as it was registered, without angle brackets: the Request-URI of what is
    /// sent there.
    pub uri: Arc<str>,
    /// Preference in thousandths (RFC 3261 section 20.10), 0 to 1,000; absent `q` is 1,000.
    pub q: u16,
    /// Where to send: the flow that registered, or the URI's own address.
    pub next_hop: NextHop,
    /// Stored `Path` values in order: they become `Route` (RFC 3327 section 5.4).
    pub route: Arc<[Arc<str>]>,
    /// `+sip.instance`, if any: one copy for each device (RFC 5626 section 7).
    pub instance: Option<Arc<str>>,
    /// False when `methods` or `Allow` say that MESSAGE is not understood there.
    pub takes_messages: bool,
    /// The wall-clock microsecond at which the binding ends.
    pub expires_us: i64,
}

/// All live bindings of one user, best first: by falling `q`, then newest first.
///
/// Cloning is a reference count. Empty = offline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach(Arc<[Contact]>);

impl Default for Reach {
    fn default() -> Self {
        Self::offline()
    }
}

impl Reach {
    /// Wraps contacts that are already in order.
    #[must_use]
    pub fn new(contacts: Vec<Contact>) -> Self {
        Self(contacts.into())
    }

    /// Nobody is there.
    #[must_use]
    pub fn offline() -> Self {
        Self(Arc::new([]))
    }

    /// The bindings that are live at `unix_us` and understand MESSAGE.
    pub fn for_messages(&self, unix_us: i64) -> impl Iterator<Item = &Contact> {
        self.0.iter().filter(move |c| c.takes_messages && c.expires_us > unix_us)
    }

    /// Every binding, live or just expired.
    #[must_use]
    pub fn contacts(&self) -> &[Contact] {
        &self.0
    }

    /// True when no binding is live at `unix_us`.
    #[must_use]
    pub fn is_offline(&self, unix_us: i64) -> bool {
        self.0.iter().all(|c| c.expires_us <= unix_us)
    }
}
