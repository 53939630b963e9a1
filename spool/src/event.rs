//! What an operator should know.

use std::fmt;
use std::path::PathBuf;

use crate::types::MessageId;

/// Something to log. `Display` gives the line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Damaged bytes were found; what was done with them.
    Corrupt {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// How much.
        len_bytes: u64,
        /// The message it belongs to, where readable.
        message: Option<MessageId>,
        /// What is wrong and what was done.
        what: String,
    },
    /// A torn tail was cut: it was never acknowledged.
    TornTail {
        /// The file.
        file: String,
        /// Where the tail begins.
        offset: u64,
    },
    /// A durable write failed; its segment takes no more, its messages were answered 451.
    WriteFailed {
        /// The file.
        file: String,
        /// What the kernel said.
        error: String,
        /// Messages refused because of it.
        refused: usize,
    },
    /// The store cannot write at all: no intake, no pick-up.
    Unhealthy {
        /// The shard.
        shard: u16,
        /// Why.
        error: String,
    },
    /// The store can write again.
    Healthy {
        /// The shard.
        shard: u16,
    },
    /// Intake stops or resumes because of free space.
    DiskFull {
        /// The shard.
        shard: u16,
        /// True: mail is refused from now on.
        full: bool,
    },
    /// A message was in flight at two consecutive aborts and was put on hold.
    HeldAfterAborts {
        /// The message.
        message: MessageId,
    },
    /// Extent files without a message were removed.
    OrphansRemoved {
        /// How many.
        files: usize,
    },
    /// All found messages of a shard are known.
    Loaded {
        /// The shard.
        shard: u16,
        /// Messages found.
        messages: u64,
        /// How long it took.
        took_ms: u64,
    },
    /// A background task failed; it will be tried again.
    Background {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: String,
    },
    /// The spool does not ask for stable storage (`spool.fsync: false`).
    NoFsync,
    /// The file system refuses O_DIRECT; writes go through the page cache and are synced.
    Buffered {
        /// The directory.
        path: PathBuf,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Corrupt { file, offset, len_bytes, message, what } => {
                write!(f, "Spool: {file}: damaged at {offset}, {len_bytes} bytes")?;
                if let Some(id) = message {
                    write!(f, ", message {id}")?;
                }
                write!(f, ": {what}")
            }
            Event::TornTail { file, offset } => {
                write!(f, "Spool: {file}: tail cut at {offset} (it was never acknowledged)")
            }
            Event::WriteFailed { file, error, refused } => {
                write!(f, "Spool: {file}: write failed: {error}; {refused} messages refused, segment sealed")
            }
            Event::Unhealthy { shard, error } => {
                write!(f, "Spool: shard {shard} cannot write: {error}; no intake and no pick-up until it can")
            }
            Event::Healthy { shard } => write!(f, "Spool: shard {shard} can write again"),
            Event::DiskFull { shard, full: true } => {
                write!(f, "Spool: shard {shard}: free space below the limit, new mail is refused")
            }
            Event::DiskFull { shard, full: false } => {
                write!(f, "Spool: shard {shard}: enough free space, mail is accepted")
            }
            Event::HeldAfterAborts { message } => {
                write!(f, "Spool: message {message} was in flight at two consecutive aborts: on hold")
            }
            Event::OrphansRemoved { files } => write!(f, "Spool: {files} files without a message removed"),
            Event::Loaded { shard, messages, took_ms } => {
                write!(f, "Spool: shard {shard}: {messages} messages loaded in {took_ms} ms")
            }
            Event::Background { what, error } => {
                write!(f, "Spool: {what} failed, will be tried again: {error}")
            }
            Event::NoFsync => {
                write!(f, "Spool: spool.fsync is false: accepted mail can be lost when the machine stops")
            }
            Event::Buffered { path } => {
                write!(f, "Spool: {}: no direct I/O on this file system, writes are synced", path.display())
            }
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.log, self.sequence)
    }
}
