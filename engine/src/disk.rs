//! Files and directories. Nothing here blocks the shard.

use std::io;
use std::path::{Path, PathBuf};

use crate::buf::AlignedBuf;

/// An open directory; names below are single path components inside it.
#[derive(Debug)]
pub struct Dir;

/// One entry of [`Dir::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name. Names that are not UTF-8 are left out of a listing.
    pub name: String,
    /// Size of the file in bytes.
    pub len_bytes: u64,
    /// True for a directory.
    pub is_dir: bool,
}

/// How to open a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// Open for writing as well as reading.
    pub write: bool,
    /// Create it; an error when it exists and `exclusive`.
    pub create: bool,
    /// With `create`: refuse an existing file.
    pub exclusive: bool,
    /// Bypass the page cache where the file system allows it ([`File::is_direct`] tells).
    pub direct: bool,
    /// Permission bits for a created file; 0 means 0o640.
    pub mode: u32,
}

/// Free space of the file system under a directory, as an unprivileged process may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free bytes.
    pub free_bytes: u64,
    /// Free inodes.
    pub free_inodes: u64,
}

/// An exclusive lock on a file, held until dropped or the process dies.
#[derive(Debug)]
pub struct Lock;

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; its pid where the lock file tells.
    Held(Option<u32>),
    /// The file cannot be opened or locked.
    Io(io::Error),
}

impl Dir {
    /// Opens a directory.
    pub async fn open(path: &Path) -> io::Result<Dir> {
        todo!()
    }
    /// Creates a directory and its parents (mode 0o750), syncs each parent, and opens it.
    pub async fn create(path: &Path) -> io::Result<Dir> {
        todo!()
    }
    /// Its path, for messages.
    pub fn path(&self) -> &Path {
        todo!()
    }
    /// Opens the subdirectory `name`.
    pub async fn open_dir(&self, name: &str) -> io::Result<Dir> {
        todo!()
    }
    /// All entries, in no particular order.
    pub async fn list(&self) -> io::Result<Vec<Entry>> {
        todo!()
    }
    /// Opens a file of this directory.
    pub async fn open_file(&self, name: &str, options: OpenOptions) -> io::Result<File> {
        todo!()
    }
    /// Removes a file.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        todo!()
    }
    /// Renames a file within this directory, replacing `to`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        todo!()
    }
    /// Makes creations, removals and renames in this directory durable.
    pub async fn sync(&self) -> io::Result<()> {
        todo!()
    }
    /// Free space below it.
    pub async fn space(&self) -> io::Result<Space> {
        todo!()
    }
    /// Takes an exclusive lock on the file `name` (created if missing) and writes our pid into it.
    pub async fn lock(&self, name: &str) -> Result<Lock, LockError> {
        todo!()
    }
}

/// Whether a write waits for stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The data may sit in a cache when the write completes.
    Cached,
    /// Data, and the metadata needed to read it, are on stable storage when the write completes.
    Durable,
}

/// An open file. Operations take `&self` and may overlap.
#[derive(Debug)]
pub struct File;

impl File {
    /// Reads up to `len` bytes at `offset`; fewer at the end of the file. With direct I/O both are multiples of
    /// [`File::alignment`].
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<AlignedBuf> {
        todo!()
    }
    /// Writes all of `buf` at `offset`; the buffer comes back. A short write is an error. With direct I/O,
    /// offset and length are multiples of [`File::alignment`].
    pub async fn write_at(
        &self,
        offset: u64,
        buf: AlignedBuf,
        durability: Durability,
    ) -> (io::Result<()>, AlignedBuf) {
        todo!()
    }
    /// Makes all completed writes, and the length, durable.
    pub async fn sync(&self) -> io::Result<()> {
        todo!()
    }
    /// Its length.
    pub async fn len(&self) -> io::Result<u64> {
        todo!()
    }
    /// Cuts or extends it (with zeros).
    pub async fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        todo!()
    }
    /// True when opened without the page cache.
    pub fn is_direct(&self) -> bool {
        todo!()
    }
    /// Alignment that offsets and lengths need (from `statx`; at most 4096).
    pub fn alignment(&self) -> usize {
        todo!()
    }
}

/// Reads a whole small file (configuration); error when it is larger than `limit_bytes`.
pub async fn read_file(path: &Path, limit_bytes: usize) -> io::Result<Vec<u8>> {
    todo!()
}

#[allow(unused)]
type PathOf = PathBuf;
