//! A message on its way in.

use bytes::Bytes;

use crate::types::{Envelope, MessageId};

/// Why a message is not taken now. All are temporary but `TooLarge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Free space is below the limit: `452 4.3.1`.
    DiskFull,
    /// Buffers are in use: `451 4.3.2` or wait.
    Memory,
    /// The disk does not take writes: `451 4.3.0`.
    Unhealthy,
    /// The spool was opened read-only, or is closing: `451 4.3.2`.
    ReadOnly,
    /// Larger than any message may be: `552 5.3.4`.
    TooLarge,
}

/// Why a message was not committed. It does not exist: it will not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// No space: `452 4.3.1`.
    DiskFull,
    /// The write failed: `451 4.3.0`.
    Io(String),
    /// The store is unhealthy or closing: `451 4.3.2`.
    Unavailable,
    /// Message or envelope larger than the limits: `552 5.3.4`.
    TooLarge,
}

/// A message on its way in: nobody else sees it before [`Intake::commit`]. Dropping it aborts and gives back
/// what it used.
#[derive(Debug)]
pub struct Intake(());

impl Intake {
    /// Appends body bytes: copies them once. Never waits; after it, [`Intake::ready`] must be awaited before more
    /// is read from the client. An error of spilling shows up in `ready` and `commit`.
    pub fn write(&mut self, bytes: &[u8]) {
        todo!()
    }
    /// Waits until the buffers are within budget, spilling to disk if that helps. Returns at once for small
    /// messages. On an error the message cannot be committed any more; the client's remaining bytes may be
    /// written nonetheless and are dropped.
    pub async fn ready(&mut self) -> Result<(), CommitError> {
        todo!()
    }
    /// Writes everything held in memory to disk: for before waiting long (a script's DNS query). Durable only with
    /// the commit.
    pub async fn spill(&mut self) -> Result<(), CommitError> {
        todo!()
    }
    /// Body bytes so far.
    pub fn len(&self) -> u64 {
        todo!()
    }
    /// True when no byte was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The body so far where it is still in memory, for scripts and checks; none when it was spilled.
    pub fn chunks(&self) -> Option<&[Bytes]> {
        todo!()
    }
    /// Makes the message exist: it is `prefix` (headers added on top) followed by what was written. Returns when it
    /// is on stable storage; commits end in the order in which they were asked for. Dropping the future does not
    /// undo: the message may or may not exist then (as after a lost connection, RFC 1047).
    pub async fn commit(self, envelope: &Envelope, prefix: Bytes) -> Result<MessageId, CommitError> {
        todo!()
    }
}
