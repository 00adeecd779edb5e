//! What waits to be written on one connection.

use crate::vocab::SendTag;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The most pieces that are written with one system call.
const PIECES_MAX: usize = 32;

/// How many of the last tagged messages a connection remembers after they were written.
const WRITTEN_MAX: usize = 256;

/// Shared by the table of connections, which fills it, and the connection's task, which empties it.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    bytes_max: usize,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
    phase: Phase,
    /// Tags of what was written: should the connection end, no answer comes over it any more.
    written: VecDeque<SendTag>,
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    tag: Option<SendTag>,
}

/// How far the life of a connection's outbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Takes more.
    #[default]
    Open,
    /// Takes no more; what is there is written.
    Closing,
    /// Took more than its peer reads; the connection is to end.
    Overflown,
    /// The connection has ended.
    Gone,
}

impl Outbox {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), bytes_max, changed: Notify::new() })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message; false when this connection does not take it.
    pub(super) fn push(&self, bytes: Bytes, tag: Option<SendTag>) -> bool {
        let mut queue = self.queue();
        if queue.phase != Phase::Open {
            return false;
        }
        if queue.bytes + bytes.len() > self.bytes_max {
            queue.phase = Phase::Overflown;
            drop(queue);
            self.changed.notify_one();
            return false;
        }
        queue.bytes += bytes.len();
        queue.pieces.push_back(Piece { bytes, tag });
        true
    }

    /// Has the task look at the queue.
    pub(super) fn nudge(&self) {
        self.changed.notify_one();
    }

    /// Waits for a nudge.
    pub(super) async fn nudged(&self) {
        self.changed.notified().await;
    }

    /// Takes no more from here on.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        if queue.phase == Phase::Open {
            queue.phase = Phase::Closing;
        }
        drop(queue);
        self.changed.notify_one();
    }

    pub(super) fn phase(&self) -> Phase {
        self.queue().phase
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().pieces.is_empty()
    }

    /// Shows the front of the queue to `write` and takes off as many bytes as it says went; says
    /// how many messages went whole.
    pub(super) fn write_with<E>(
        &self,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut queue = self.queue();
        let written = {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let count = queue.pieces.len().min(PIECES_MAX);
            for (slice, piece) in slices.iter_mut().zip(&queue.pieces) {
                *slice = IoSlice::new(&piece.bytes);
            }
            write(&slices[..count])?
        };
        queue.bytes -= written;
        let mut left = written;
        let mut whole = 0;
        while let Some(piece) = queue.pieces.front_mut() {
            if piece.bytes.len() > left {
                piece.bytes.advance(left);
                break;
            }
            left -= piece.bytes.len();
            whole += 1;
            if let Some(tag) = queue.pieces.pop_front().and_then(|piece| piece.tag) {
                if queue.written.len() == WRITTEN_MAX {
                    queue.written.pop_front();
                }
                queue.written.push_back(tag);
            }
        }
        if queue.pieces.is_empty() {
            queue.pieces = VecDeque::new();
        }
        Ok(whole)
    }

    /// The end: the tags of what was written last, and of what did not leave.
    pub(super) fn give_up(&self) -> Vec<SendTag> {
        let mut queue = self.queue();
        queue.phase = Phase::Gone;
        queue.bytes = 0;
        let unsent = std::mem::take(&mut queue.pieces).into_iter().filter_map(|piece| piece.tag);
        std::mem::take(&mut queue.written).into_iter().chain(unsent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_leave_in_order_however_little_the_peer_takes() {
        let outbox = Outbox::new(100);
        for text in ["one", "", "two", "three"] {
            assert!(outbox.push(Bytes::from(text), None));
        }
        let mut seen = Vec::new();
        let mut whole = 0;
        while !outbox.is_empty() {
            whole += outbox
                .write_with(|slices| {
                    let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                    seen.extend_from_slice(&all[..all.len().min(2)]);
                    Ok::<_, ()>(all.len().min(2))
                })
                .unwrap();
        }
        assert_eq!((seen, whole), (b"onetwothree".to_vec(), 4));
    }

    #[test]
    fn what_is_too_much_is_refused_and_ends_the_connection() {
        let outbox = Outbox::new(5);
        assert!(outbox.push(Bytes::from_static(b"12345"), Some(SendTag(1))));
        assert!(!outbox.push(Bytes::from_static(b"6"), Some(SendTag(2))));
        assert_eq!(outbox.phase(), Phase::Overflown);
        assert_eq!(outbox.give_up(), [SendTag(1)]);
        assert!(!outbox.push(Bytes::from_static(b"7"), None));
    }

    #[test]
    fn a_closing_connection_takes_no_more_but_keeps_what_it_has() {
        let outbox = Outbox::new(5);
        assert!(outbox.push(Bytes::from_static(b"1"), None));
        outbox.close();
        assert!(!outbox.push(Bytes::from_static(b"2"), None));
        assert!(!outbox.is_empty());
        assert_eq!(outbox.phase(), Phase::Closing);
    }
}
