//! The file layer: the few verbs the embedded store needs from a disk, behind a trait, so that a
//! test can make any of them fail.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many zeros are written at once when a file is prepared: one block. The page cache keeps what
/// one call wrote as one unit, and dirties all of it when a byte of it is overwritten.
const ZERO_BYTES: usize = 4 * 1024;

/// Files by path.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing; makes it when `create` says so.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes names given in `folder` durable.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Lists the files of `folder`.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// One open file. Calls may come from any thread.
pub trait DiskFile: Debug + Send + Sync + 'static {
    /// The length in bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// True for a file without bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Fills `out` from `at` on.
    ///
    /// # Errors
    /// What the operating system says; `UnexpectedEof` past the end.
    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` from `at` on.
    ///
    /// # Errors
    /// What the operating system says; part of it may have been written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or lengthens the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when everything written is durable.
    ///
    /// # Errors
    /// What the operating system says; what had been written since the last success is then lost
    /// or not, nobody knows.
    fn sync(&self) -> io::Result<()>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|meta| meta.len())
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, at)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Writes `len` zeros and makes them durable, so that overwriting them later changes no metadata
/// and cannot run out of space.
///
/// # Errors
/// What the disk says.
pub(super) fn fill(file: &dyn DiskFile, len: u64) -> io::Result<()> {
    let zeros = vec![0; ZERO_BYTES];
    let mut at = 0;
    while at < len {
        let step = usize::try_from(len - at).unwrap_or(usize::MAX).min(ZERO_BYTES);
        file.write_at(at, &zeros[..step])?;
        at += step as u64;
    }
    file.set_len(len)?;
    file.sync()
}
