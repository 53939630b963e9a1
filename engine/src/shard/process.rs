//! What the threads of one process share.

use std::any::Any;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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

/// How others reach a shard: which of its incoming rings have something, letters from threads that are no shard,
/// and whether it sleeps.
pub(crate) struct Mailbox {
    letters: Mutex<Vec<Letter>>,
    has_letters: AtomicBool,
    /// One bit per thread whose ring to this one was written to.
    dirty: Box<[AtomicU64]>,
    pub(crate) sleeping: AtomicBool,
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
    Path(std::io::Result<crate::uring::path::PathReply>),
}

impl Mailbox {
    fn new(threads: usize) -> Self {
        Mailbox {
            letters: Mutex::default(),
            has_letters: AtomicBool::new(false),
            dirty: (0..threads.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            sleeping: AtomicBool::new(false),
            bell: OnceLock::new(),
        }
    }

    /// Leaves a letter, from any thread, and wakes the shard if it sleeps.
    pub(crate) fn post(&self, letter: Letter) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
        self.has_letters.store(true, Ordering::SeqCst);
        if self.take_sleeping() {
            self.ring_bell();
        }
    }

    /// Wakes the shard through its eventfd.
    pub(crate) fn ring_bell(&self) {
        if let Some(bell) = self.bell.get() {
            crate::uring::socket::ring_bell(bell);
        }
    }

    pub(crate) fn take_letters(&self) -> Vec<Letter> {
        if !self.has_letters.swap(false, Ordering::SeqCst) {
            return Vec::new();
        }
        std::mem::take(&mut self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that thread `from` has written to its ring to this shard. True when the shard slept: the caller wakes it.
    pub(crate) fn mark(&self, from: usize) -> bool {
        self.dirty[from / 64].fetch_or(1 << (from % 64), Ordering::SeqCst);
        self.take_sleeping()
    }

    /// Threads whose rings have something, 64 at a time: the bits of word `word`, which are cleared.
    pub(crate) fn take_dirty(&self, word: usize) -> u64 {
        let word = &self.dirty[word];
        if word.load(Ordering::SeqCst) == 0 { 0 } else { word.swap(0, Ordering::SeqCst) }
    }

    pub(crate) fn dirty_words(&self) -> usize {
        self.dirty.len()
    }

    pub(crate) fn has_mail(&self) -> bool {
        self.has_letters.load(Ordering::SeqCst)
            || self.dirty.iter().any(|word| word.load(Ordering::SeqCst) != 0)
    }

    /// The flag is up before the last look, and who writes looks at the flag after writing: with all of these
    /// sequentially consistent, one of the two sees the other.
    pub(crate) fn try_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        if self.has_mail() {
            self.sleeping.store(false, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// True for one of those that find the shard asleep.
    fn take_sleeping(&self) -> bool {
        self.sleeping.load(Ordering::SeqCst) && self.sleeping.swap(false, Ordering::SeqCst)
    }
}
