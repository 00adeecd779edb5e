//! How much a node has taken on, and what may still begin.
//!
//! When too much is open, dumps wait first, then MESSAGEs are refused, and REGISTERs last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that may be open on a node: taken in and not yet answered.
pub const OPEN_MAX: usize = 16_384;
/// Past this many open requests no new delivery begins.
pub const OPEN_BEFORE_DUMPS_WAIT: usize = OPEN_MAX / 2;
/// Past this many open requests MESSAGEs are refused.
pub const OPEN_BEFORE_STORES_END: usize = OPEN_MAX / 4 * 3;

/// What kind of work asks to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A MESSAGE, or another request that is relayed.
    Message,
    /// A REGISTER or a question to the server itself.
    Register,
}

/// The gauge.
#[derive(Debug)]
pub struct Load {
    open: AtomicUsize,
    draining: AtomicBool,
    deliveries: Arc<Semaphore>,
    deliveries_max: usize,
}

impl Load {
    /// A gauge that lets `deliveries_max` deliveries be in flight.
    #[must_use]
    pub fn new(deliveries_max: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            deliveries: Arc::new(Semaphore::new(deliveries_max)),
            deliveries_max,
        }
    }

    /// Lets a request begin, or not. Each that begins must [`Load::close`].
    pub fn open(&self, work: Work) -> bool {
        let limit = match work {
            Work::Message => OPEN_BEFORE_STORES_END,
            Work::Register => OPEN_MAX,
        };
        if self.open.load(Ordering::Relaxed) >= limit || self.is_draining() {
            return false;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// A request was answered.
    pub fn close(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests taken in and not yet answered.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// True when a delivery may begin as far as open requests go.
    #[must_use]
    pub fn has_room_for_dumps(&self) -> bool {
        self.open_now() <= OPEN_BEFORE_DUMPS_WAIT && !self.is_draining()
    }

    /// Where deliveries take their permits.
    #[must_use]
    pub fn deliveries(&self) -> &Arc<Semaphore> {
        &self.deliveries
    }

    /// Takes a permit at once, or not.
    #[must_use]
    pub fn try_delivery(&self) -> Option<OwnedSemaphorePermit> {
        self.deliveries.clone().try_acquire_owned().ok()
    }

    /// Deliveries in flight.
    #[must_use]
    pub fn deliveries_now(&self) -> usize {
        self.deliveries_max - self.deliveries.available_permits()
    }

    /// From now on nothing begins any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// True once the node is on its way down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_wait_before_messages_are_refused_and_registers_are_refused_last() {
        let load = Load::new(1);
        for _ in 0..=OPEN_BEFORE_DUMPS_WAIT {
            assert!(load.open(Work::Message));
        }
        assert!(!load.has_room_for_dumps());
        while load.open(Work::Message) {}
        assert_eq!(load.open_now(), OPEN_BEFORE_STORES_END);
        while load.open(Work::Register) {}
        assert_eq!(load.open_now(), OPEN_MAX);
        load.close();
        assert!(load.open(Work::Register));
    }

    #[test]
    fn nothing_begins_on_a_node_that_is_going_down() {
        let load = Load::new(1);
        load.drain();
        assert!(!load.open(Work::Register));
        assert!(!load.has_room_for_dumps());
    }
}
