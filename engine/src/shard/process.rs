//! What the threads of one process share.

use std::any::Any;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::attention::Attention;
use crate::mesh::Grid;
use crate::op::OpId;
use crate::stats::Counters;
use crate::task::executor::TaskId;

/// What the threads of one process share. The control thread is number `shards`.
pub(crate) struct Process {
    pub(crate) shards: u16,
    pub(crate) grid: Grid,
    pub(crate) mailboxes: Vec<Arc<Mailbox>>,
    pub(crate) counters: Vec<Counters>,
    /// Threads whose root task has not ended.
    pub(crate) running: AtomicU16,
    /// Descriptors of the threads' rings, -1 where there is none.
    ring_fds: Vec<AtomicI32>,
}

impl Process {
    /// A process of `shards` shards and a control thread.
    pub(crate) fn new(shards: u16) -> Arc<Process> {
        let threads = usize::from(shards) + 1;
        Arc::new(Process {
            shards,
            grid: Grid::new(threads),
            mailboxes: (0..threads).map(|_| Arc::new(Mailbox::new(threads))).collect(),
            counters: (0..threads).map(|_| Counters::default()).collect(),
            running: AtomicU16::new(shards + 1),
            ring_fds: (0..threads).map(|_| AtomicI32::new(-1)).collect(),
        })
    }

    /// The descriptor of a thread's ring, while it has one.
    pub(crate) fn ring_fd(&self, thread: usize) -> Option<RawFd> {
        Some(self.ring_fds[thread].load(Ordering::Relaxed)).filter(|&fd| fd >= 0)
    }

    pub(crate) fn set_ring_fd(&self, thread: usize, fd: RawFd) {
        self.ring_fds[thread].store(fd, Ordering::Relaxed);
    }

    /// Shards and the control thread.
    pub(crate) fn threads(&self) -> usize {
        usize::from(self.shards) + 1
    }
}

/// How others reach a shard: marks on its attention, and letters from threads that have no ring to it.
pub(crate) struct Mailbox {
    pub(crate) attention: Attention,
    letters: Mutex<Vec<Letter>>,
    /// An eventfd that the shard's ring reads, where there is a kernel under it.
    pub(crate) bell: OnceLock<OwnedFd>,
}

/// What may come from any thread.
pub(crate) enum Letter {
    Wake(TaskId),
    Done(OpId, Done),
}

/// What the pool has done for an operation.
pub(crate) enum Done {
    Value(Box<dyn Any + Send>),
    /// Bytes read or written.
    Count(std::io::Result<usize>),
    Path(std::io::Result<crate::os::path::PathReply>),
}

impl Mailbox {
    fn new(threads: usize) -> Self {
        Mailbox { attention: Attention::new(threads), letters: Mutex::default(), bell: OnceLock::new() }
    }

    /// Leaves a letter, from any thread, and wakes the shard if it sleeps.
    pub(crate) fn post(&self, letter: Letter) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
        if self.attention.mark_letters() {
            self.ring_bell();
        }
    }

    /// Wakes the shard through its eventfd.
    pub(crate) fn ring_bell(&self) {
        if let Some(bell) = self.bell.get() {
            crate::os::socket::ring_bell(bell);
        }
    }

    pub(crate) fn take_letters(&self) -> Vec<Letter> {
        if !self.attention.take_letters() {
            return Vec::new();
        }
        std::mem::take(&mut self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
