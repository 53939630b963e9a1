//! The io_uring driver.
//!
//! `submit.rs` turns operations into kernel requests, `complete.rs` turns what the kernel says into completions. What
//! io_uring would itself punt to a thread goes to the pools of [`crate::os`].

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;

use io_uring::{EnterFlags, IoUring, opcode, squeue, types};

use crate::limits;
use crate::op::{OpId, Reply};
use crate::os::bufring::BufRing;
use crate::os::pool::Pools;
use crate::os::{clock_ns, socket};
use crate::shard::{Process, Shard};
use crate::stats::Counters;
use crate::time::Instant;

mod complete;
pub(crate) mod setup;
mod submit;

/// Our only group of provided buffers.
const BUFFER_GROUP: u16 = 0;

/// One shard's ring.
pub(crate) struct Uring {
    // The order of fields is the order in which they go: the ring closes before what the kernel writes to.
    ring: RefCell<IoUring>,
    buffers: Rc<BufRing>,
    /// Leaked: reads of it are still out when the ring closes.
    small: &'static Small,
    process: Arc<Process>,
    /// This thread's number.
    me: usize,
    pools: Arc<Pools>,
    /// Monotonic time that is our instant 0, the same for all shards of a process.
    epoch_ns: u64,
    no_iowait: bool,
    /// Requests that found the submission queue full.
    overflow: RefCell<VecDeque<squeue::Entry>>,
    /// Descriptors to close at the end of the turn.
    closing: RefCell<Vec<RawFd>>,
    /// Results that came without the kernel, delivered at the end of the turn.
    ready: RefCell<Vec<(OpId, io::Result<Reply>)>>,
    /// Receives to arm again when buffers come back.
    starved: RefCell<VecDeque<OpId>>,
    reaped: RefCell<Vec<Completion>>,
    /// The operation that reads signals, and their descriptor.
    signals: Cell<Option<OpId>>,
    signal_fd: Option<OwnedFd>,
}

/// Small buffers that the kernel writes to.
struct Small {
    bell: UnsafeCell<u64>,
    signal: UnsafeCell<MaybeUninit<libc::signalfd_siginfo>>,
}

/// A completion queue entry.
#[derive(Clone, Copy)]
struct Completion {
    user_data: u64,
    result: i32,
    flags: u32,
}

/// Who a completion is for: an operation, or the driver itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Op(OpId),
    /// The shard's eventfd was written to.
    Bell,
    /// Another shard woke this one. Nothing to do: it is awake.
    Woken,
    /// Waking another shard failed.
    Wake {
        peer: u16,
    },
    /// A close or a cancel failed: the former has closed all the same, the latter came too late.
    Ignored,
    Signal,
}

impl Origin {
    const OWN: u32 = u32::MAX;

    fn encode(self) -> u64 {
        let own = |kind: u32| u64::from(Self::OWN) << 32 | u64::from(kind);
        match self {
            Origin::Op(id) => u64::from(id.slot) << 32 | u64::from(id.generation),
            Origin::Bell => own(0),
            Origin::Woken => own(1),
            Origin::Ignored => own(2),
            Origin::Signal => own(3),
            Origin::Wake { peer } => own(0x1_0000 | u32::from(peer)),
        }
    }

    fn decode(user_data: u64) -> Self {
        let (slot, low) = ((user_data >> 32) as u32, user_data as u32);
        match (slot, low) {
            (Self::OWN, 0) => Origin::Bell,
            (Self::OWN, 1) => Origin::Woken,
            (Self::OWN, 2) => Origin::Ignored,
            (Self::OWN, 3) => Origin::Signal,
            (Self::OWN, peer) => Origin::Wake { peer: peer as u16 },
            (slot, generation) => Origin::Op(OpId { slot, generation }),
        }
    }
}

impl Uring {
    /// Ends a loop turn: gives the kernel what has piled up, waits if there is nothing to do (until the next
    /// deadline), and delivers what has completed. Inside `Shard::enter`.
    pub(crate) fn end_turn(&self, shard: &Shard) {
        self.flush_closing();
        self.buffers.publish();
        self.rearm_starved(shard);
        self.flush_overflow();
        let idle = self.ready.borrow().is_empty() && self.overflow.borrow().is_empty() && shard.try_sleep();
        let timeout = match shard.next_deadline() {
            _ if !idle => None,
            None => None,
            Some(deadline) => Some(deadline - self.now()),
        };
        self.enter(shard, idle, timeout);
        shard.awake();
        self.reap(shard);
    }

    /// One `io_uring_enter`, or none when there is neither something to submit nor something to collect.
    fn enter(&self, shard: &Shard, wait: bool, timeout: Option<std::time::Duration>) {
        let mut ring = self.ring.borrow_mut();
        let queue = ring.submission();
        let needed = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if !wait && !needed {
            return;
        }
        Counters::add(&shard.counters().enters, 1);
        let timespec = timeout.map(types::Timespec::from);
        let mut args = types::SubmitArgs::new();
        if let Some(timespec) = &timespec {
            args = args.timespec(timespec);
        }
        let flags = if self.no_iowait && wait { EnterFlags::NO_IOWAIT } else { EnterFlags::empty() };
        let entered = ring.submitter().submit_with_args_and_flags(usize::from(wait), &args, flags);
        match entered.map_err(|error| (error.raw_os_error(), error)) {
            Ok(_) => {}
            // Time is up, a signal arrived, or the kernel wants completions collected first.
            Err((Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY), _)) => {}
            Err((_, error)) => panic!("io_uring_enter: {error}"),
        }
    }

    /// Delivers all completions that are there.
    fn reap(&self, shard: &Shard) {
        let mut reaped = self.reaped.take();
        reaped.extend(self.ring.borrow_mut().completion().map(|entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
        for completion in reaped.drain(..) {
            self.complete(shard, completion);
        }
        *self.reaped.borrow_mut() = reaped;
        let ready = self.ready.take();
        for (id, result) in ready {
            shard.complete(id, result);
        }
    }

    /// Queues a request. When the submission queue is full, the kernel takes what is there; when it cannot, the
    /// request waits its turn.
    fn push(&self, entry: squeue::Entry) {
        let mut overflow = self.overflow.borrow_mut();
        if overflow.is_empty() && self.try_push(&entry) {
            return;
        }
        overflow.push_back(entry);
    }

    fn try_push(&self, entry: &squeue::Entry) -> bool {
        let mut ring = self.ring.borrow_mut();
        if ring.submission().is_full() {
            // Errors show again at the end of the turn.
            let _ = ring.submit();
        }
        // SAFETY: what the entry points to is owned by its operation in the table (or by this driver) until the
        // terminal completion, and outlives the ring.
        unsafe { ring.submission().push(entry) }.is_ok()
    }

    fn flush_overflow(&self) {
        let mut overflow = self.overflow.borrow_mut();
        while let Some(entry) = overflow.front() {
            if !self.try_push(entry) {
                break;
            }
            overflow.pop_front();
        }
    }

    pub(crate) fn close(&self, raw: RawFd) {
        self.closing.borrow_mut().push(raw);
    }

    fn flush_closing(&self) {
        for fd in self.closing.take() {
            let close = opcode::Close::new(types::Fd(fd)).build();
            self.push(close.flags(squeue::Flags::SKIP_SUCCESS).user_data(Origin::Ignored.encode()));
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant(clock_ns(libc::CLOCK_MONOTONIC) - self.epoch_ns)
    }

    pub(crate) fn wall_us(&self) -> u64 {
        clock_ns(libc::CLOCK_REALTIME) / 1000
    }

    /// Wakes a sleeping peer: with a message from ring to ring, which costs no system call of its own.
    pub(crate) fn wake(&self, peer: usize) {
        let ring_fd = self.process.ring_fd(peer).filter(|_| peer != self.me);
        let Some(ring_fd) = ring_fd else {
            return self.process.mailboxes[peer].ring_bell();
        };
        let message = opcode::MsgRingData::new(types::Fd(ring_fd), 0, Origin::Woken.encode(), None).build();
        let origin = Origin::Wake { peer: peer as u16 };
        self.push(message.flags(squeue::Flags::SKIP_SUCCESS).user_data(origin.encode()));
    }

    /// Ends all operations and waits until the kernel is done with them. False when some did not end in time: their
    /// memory must then never be freed. Inside `Shard::enter`, after `Shard::clear`.
    pub(crate) fn drain(&self, shard: &Shard) -> bool {
        let deadline = self.now() + std::time::Duration::from_millis(limits::STOP_WAIT_MS);
        let ids = shard.ops.borrow().ids();
        for id in ids {
            self.cancel(shard, id);
        }
        while shard.ops.borrow().len() > 0 && self.now() < deadline {
            shard.begin_turn();
            self.flush_closing();
            self.buffers.publish();
            self.flush_overflow();
            let idle = self.ready.borrow().is_empty() && shard.try_sleep();
            self.enter(shard, idle, Some(std::time::Duration::from_millis(20)));
            shard.awake();
            self.reap(shard);
        }
        self.flush_closing();
        self.enter(shard, false, None);
        shard.ops.borrow().len() == 0
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.closing.take().into_iter().for_each(socket::close);
    }
}

impl Uring {
    #[cfg(test)]
    pub(crate) fn buffers(&self) -> Rc<BufRing> {
        self.buffers.clone()
    }

    fn ring_fd(&self) -> RawFd {
        self.ring.borrow().as_raw_fd()
    }
}
