//! The spool directory: one per process.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::options::Options;

/// Why a spool was not opened. `Display` says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// Another process uses it.
    Locked {
        /// Its pid, where known.
        pid: Option<u32>,
        /// The directory.
        path: PathBuf,
    },
    /// Written by a later release, in a way this one cannot read.
    TooNew {
        /// What is not known here.
        what: String,
    },
    /// `spool.meta` or a segment cannot be read as such; it is named.
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system refuses.
    Io {
        /// The file or directory.
        file: PathBuf,
        /// Its words.
        error: io::Error,
    },
    /// The options do not fit together or are out of range.
    Options(String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Locked { pid: Some(pid), path } => {
                write!(f, "spool {} is in use by process {pid}", path.display())
            }
            OpenError::Locked { pid: None, path } => {
                write!(f, "spool {} is in use by another process", path.display())
            }
            OpenError::TooNew { what } => write!(f, "the spool was written by a later release: {what}"),
            OpenError::Damaged { file, what } => write!(f, "{}: {what}", file.display()),
            OpenError::Io { file, error } => write!(f, "{}: {error}", file.display()),
            OpenError::Options(what) => write!(f, "spool: {what}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// An open spool directory: holds its lock, knows its logs and which shard owns which.
#[derive(Debug)]
pub struct Spool(());

impl Spool {
    /// Opens (or creates) the spool, takes its lock, and assigns its logs to `options.shards` shards. Runs on any
    /// thread of the engine; pass the result to the shards.
    pub async fn open(options: Options) -> Result<Arc<Spool>, OpenError> {
        todo!()
    }
    /// True when an unknown optional feature was found: messages can be read, nothing is written.
    pub fn is_read_only(&self) -> bool {
        todo!()
    }
    /// Identity of the spool.
    pub fn uuid(&self) -> [u8; 16] {
        todo!()
    }
}
