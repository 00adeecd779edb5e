//! The tables of the base (redb), and how their rows are spelled.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | name | u64 |
//! | `users` | user number | name |
//! | `rows` | user number, `inc_us`, `mid` (big-endian: sorts as it must) | where the record is, expiry, attempts, dead |
//! | `alive` | file number | bytes of it that rows point at (high half), bytes of it in all |
//! | `recent` | moment, serial | identities put shortly before, 16 bytes each |
//!
//! Only integers and byte strings are keys and values, so no change of redb's own encodings can
//! touch them. The records themselves stand in files (`bodies`): a delete changes one narrow row.

use super::record::array;
use crate::vocab::{Key, MessageId};
use redb::TableDefinition;

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const USERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("users");
pub(super) const ROWS: TableDefinition<'_, &[u8; KEY], &[u8; ROW]> = TableDefinition::new("rows");
pub(super) const ALIVE: TableDefinition<'_, u64, u64> = TableDefinition::new("alive");
pub(super) const RECENT: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("recent");

/// The format this code writes, and the only one it reads.
pub(super) const FORMAT: u64 = 1;

/// Bytes of a key of `rows`.
pub(super) const KEY: usize = 32;
/// Bytes of a value of `rows`.
pub(super) const ROW: usize = 27;

/// The key of a row. The sign of `inc_us` is flipped so that byte order is number order.
pub(super) fn row_key(user: u64, key: Key) -> [u8; KEY] {
    let mut out = [0; KEY];
    out[..8].copy_from_slice(&user.to_be_bytes());
    out[8..16].copy_from_slice(&(key.inc_us ^ i64::MIN).to_be_bytes());
    out[16..].copy_from_slice(&key.id.0);
    out
}

/// The message a key of `rows` stands for.
pub(super) fn key_of(row: &[u8; KEY]) -> Key {
    Key { inc_us: i64::from_be_bytes(array(row, 8)) ^ i64::MIN, id: MessageId(array(row, 16)) }
}

/// The user a key of `rows` belongs to.
pub(super) fn user_of(row: &[u8; KEY]) -> u64 {
    u64::from_be_bytes(array(row, 0))
}

/// The key of a row of `recent`.
pub(super) fn recent_key(us: i64, serial: u64) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&(us ^ i64::MIN).to_be_bytes());
    out[8..].copy_from_slice(&serial.to_be_bytes());
    out
}

/// The first and the last key a user's rows can have.
pub(super) fn span(user: u64) -> ([u8; KEY], [u8; KEY]) {
    let first = Key { inc_us: i64::MIN, id: MessageId([0; 16]) };
    let last = Key { inc_us: i64::MAX, id: MessageId([0xff; 16]) };
    (row_key(user, first), row_key(user, last))
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) file: u64,
    pub(super) at: u32,
    pub(super) len: u32,
    pub(super) expires_s: i64,
    pub(super) attempts: u16,
    pub(super) dead: bool,
}

impl Row {
    pub(super) fn encode(&self) -> [u8; ROW] {
        let mut out = [0; ROW];
        out[..8].copy_from_slice(&self.file.to_le_bytes());
        out[8..12].copy_from_slice(&self.at.to_le_bytes());
        out[12..16].copy_from_slice(&self.len.to_le_bytes());
        out[16..24].copy_from_slice(&self.expires_s.to_le_bytes());
        out[24..26].copy_from_slice(&self.attempts.to_le_bytes());
        out[26] = u8::from(self.dead);
        out
    }

    pub(super) fn decode(bytes: &[u8; ROW]) -> Self {
        Self {
            file: u64::from_le_bytes(array(bytes, 0)),
            at: u32::from_le_bytes(array(bytes, 8)),
            len: u32::from_le_bytes(array(bytes, 12)),
            expires_s: i64::from_le_bytes(array(bytes, 16)),
            attempts: u16::from_le_bytes(array(bytes, 24)),
            dead: bytes[26] != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sort_as_their_messages_do_even_before_1970() {
        let key = |inc_us, id| Key { inc_us, id: MessageId([id; 16]) };
        let keys = [key(-9, 0), key(-9, 1), key(0, 0), key(5, 9), key(300, 0)];
        let rows: Vec<_> = keys.iter().map(|key| row_key(3, *key)).collect();
        assert!(rows.is_sorted());
        assert!(rows.iter().all(|row| span(3).0 < *row && *row < span(4).0));
        assert_eq!(rows.iter().map(key_of).collect::<Vec<_>>(), keys);
    }

    #[test]
    fn rows_come_back_as_they_went() {
        let row = Row { file: 8, at: 4, len: 700, expires_s: -1, attempts: 3, dead: true };
        assert_eq!(Row::decode(&row.encode()), row);
    }
}
