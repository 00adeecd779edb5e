//! The file that carries bindings over a planned restart.
//!
//! Written when a node goes down in order, read and removed when it comes up: a binding that is
//! older than the last run is never believed twice.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"silobnd1";
/// The largest file that is read back, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 30;

fn file_in(folder: &Path) -> PathBuf {
    folder.join("bindings.snapshot")
}

/// Writes each shard's bindings, one block after the other, durably.
pub(super) fn write(folder: &Path, shards: &[Vec<u8>]) -> io::Result<()> {
    let temporary = folder.join("bindings.snapshot.new");
    let mut file = fs::File::create(&temporary)?;
    let mut bytes = MAGIC.to_vec();
    for block in shards {
        bytes.extend_from_slice(&(block.len() as u64).to_le_bytes());
        bytes.extend_from_slice(block);
    }
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(temporary, file_in(folder))
}

/// Reads what [`write()`] left, if anything, and removes it.
pub(super) fn take(folder: &Path) -> io::Result<Option<Vec<Vec<u8>>>> {
    let path = file_in(folder);
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    fs::remove_file(&path)?;
    blocks(&bytes).map(Some).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "it is not a whole snapshot of bindings")
    })
}

fn blocks(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (block, tail) = tail.split_at_checked(length)?;
        all.push(block.to_vec());
        rest = tail;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_come_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let shards = vec![b"one".to_vec(), Vec::new(), b"three".to_vec()];
        write(folder.path(), &shards).unwrap();
        assert_eq!(take(folder.path()).unwrap(), Some(shards));
        assert_eq!(take(folder.path()).unwrap(), None);
    }

    #[test]
    fn a_cut_snapshot_is_an_error_and_not_half_a_truth() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &[b"whole".to_vec()]).unwrap();
        let path = file_in(folder.path());
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(take(folder.path()).is_err());
    }
}
