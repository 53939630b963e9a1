//! How to open a spool.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::event::Event;

/// What to do with a record that fails its checks (`spool.corrupt`). The rest is never dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corrupt {
    /// Copy it to a file of its own (`corrupt-*` in the spool directory), then go on.
    #[default]
    Rename,
    /// Leave it where it is, and go on: its space does not come back.
    Ignore,
    /// Drop it.
    Unlink,
}

/// How to open a spool. Start from [`Options::new`].
#[derive(Clone)]
pub struct Options {
    /// The directory (`spool.path`); created if missing.
    pub path: PathBuf,
    /// False: acknowledge before data is on stable storage (`spool.fsync: false`).
    pub fsync: bool,
    /// Number of shards; each opens its [`crate::Store`].
    pub shards: u16,
    /// Free bytes of the file system below which mail is refused (`spool.minfree.bytes`).
    pub min_free_bytes: u64,
    /// Free inodes below which mail is refused (`spool.minfree.inodes`).
    pub min_free_inodes: u64,
    /// Treatment of damaged records (`spool.corrupt`).
    pub corrupt: Corrupt,
    /// Size of new segments: a multiple of 64 KiB from [`crate::limits::SEGMENT_MIN_BYTES`] to
    /// [`crate::limits::SEGMENT_MAX_BYTES`]. Existing ones keep theirs.
    pub segment_bytes: u64,
    /// Zeroed segments that each shard keeps ready for settles and compaction, for when the disk is full.
    pub reserve_segments: usize,
    /// Memory per shard for bodies: intake buffers and the cache.
    pub memory_budget_bytes: usize,
    /// Use O_DIRECT where the file system allows it.
    pub direct: bool,
    /// Largest message, prefix and body together; 0: no limit of the spool's own.
    pub max_message_bytes: u64,
    /// Receives what an operator should know, on whichever thread it happens. Must not block.
    pub log: Arc<dyn Fn(&Event) + Send + Sync>,
}

impl Options {
    /// The defaults for a spool at `path`.
    pub fn new(path: impl Into<PathBuf>, shards: u16) -> Options {
        Options {
            path: path.into(),
            fsync: true,
            shards,
            min_free_bytes: 128 << 20,
            min_free_inodes: 100,
            corrupt: Corrupt::Rename,
            segment_bytes: 64 << 20,
            reserve_segments: 2,
            memory_budget_bytes: 64 << 20,
            direct: true,
            max_message_bytes: 0,
            log: Arc::new(|_| ()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("path", &self.path)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
