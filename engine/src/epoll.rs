//! The epoll driver: what runs where io_uring is forbidden or too old. Same operations, same rules.
//!
//! Sockets are non-blocking and watched once, edge-triggered; what the kernel said last is remembered per descriptor
//! ([`Socket`]). Sends are tried at the end of the turn, one after the other, so that a peer is woken once for all of its
//! replies; receives when their socket is readable. Writes that bypass the page
//! cache are the kernel's ([`Aio`]); what else is about files goes to a pool's threads, and so does a write that would wait. Nothing completes inside of `submit`: results are delivered at the end of the turn.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use crate::op::{OpId, Reply};
use crate::os::aio::Aio;
use crate::os::bufring::BufRing;
use crate::os::pool::Pools;
use crate::os::signal::signal_fd;
use crate::os::{clock_ns, socket};
use crate::shard::{Process, Shard};
use crate::stats::Counters;
use crate::time::Instant;

mod poller;
mod transfer;

use poller::{Event, Poller};

/// One shard's driver.
pub(crate) struct Epoll {
    poller: Poller,
    process: Arc<Process>,
    pools: Arc<Pools>,
    /// Since the first write for it; nothing where the kernel refuses it.
    aio: OnceCell<Option<Aio>>,
    /// Monotonic time that is our instant 0, the same for all shards of a process.
    epoch_ns: u64,
    buffers: Rc<BufRing>,
    /// By descriptor.
    sockets: RefCell<Vec<Socket>>,
    /// Sockets on which something may be possible now.
    runnable: RefCell<VecDeque<RawFd>>,
    /// Sockets with a send that was not tried yet.
    sending: RefCell<Vec<RawFd>>,
    /// Receives that wait for a buffer to come back.
    starved: RefCell<VecDeque<RawFd>>,
    /// Descriptors to close at the end of the turn.
    closing: RefCell<Vec<RawFd>>,
    /// Results to deliver at the end of the turn.
    ready: RefCell<Vec<(OpId, io::Result<Reply>)>>,
    events: RefCell<Vec<Event>>,
    /// The last turn did not ask the kernel what is new.
    skipped: Cell<bool>,
    /// The operation that reads signals, and their descriptor.
    signals: Cell<Option<OpId>>,
    signal_fd: Option<OwnedFd>,
}

/// What is known of a descriptor, and what waits for it.
#[derive(Default)]
struct Socket {
    watched: bool,
    /// The last read did not say EAGAIN, or an event came since.
    readable: bool,
    /// The last write did not say EAGAIN, or an event came since.
    writable: bool,
    /// The peer has ended its side or the connection broke: reading finds out, however little a read gives.
    ended: bool,
    /// It stands in the list of runnable ones.
    queued: bool,
    /// The accept or receive.
    taking: Option<OpId>,
    /// The connect or send under way, and sends behind it.
    giving: Option<OpId>,
    behind: VecDeque<OpId>,
}

/// Bits of a multishot operation's scratch number.
mod multishot {
    /// It takes what comes. Without it, flow control has stopped it.
    pub(crate) const ARMED: u32 = 1;
}

impl Epoll {
    /// Opens the driver of thread `me`, which is the calling thread: no other may use it.
    pub(crate) fn open(
        process: Arc<Process>,
        me: usize,
        pools: Arc<Pools>,
        epoch_ns: u64,
        signals: &[i32],
    ) -> io::Result<Epoll> {
        let poller = Poller::new()?;
        let bell = socket::new_bell()?;
        poller.watch_bell(bell.as_raw_fd())?;
        assert!(process.mailboxes[me].bell.set(bell).is_ok(), "one driver per thread");
        let signal_fd = if signals.is_empty() { None } else { Some(signal_fd(signals)?) };
        Ok(Epoll {
            poller,
            process,
            pools,
            aio: OnceCell::new(),
            epoch_ns,
            buffers: Rc::new(BufRing::for_a_shard()),
            sockets: RefCell::default(),
            runnable: RefCell::default(),
            sending: RefCell::default(),
            starved: RefCell::default(),
            closing: RefCell::default(),
            ready: RefCell::default(),
            events: RefCell::default(),
            skipped: Cell::new(false),
            signals: Cell::new(None),
            signal_fd,
        })
    }

    /// Ends a loop turn: sends, asks the kernel what has become possible, waits if there is nothing to do (until the next
    /// deadline), does it, and delivers results. Inside `Shard::enter`.
    pub(crate) fn end_turn(&self, shard: &Shard) {
        self.flush_sending(shard);
        self.flush_closing();
        self.feed_starved();
        if !self.skips_asking() {
            self.ask(shard);
        }
        self.run_runnable(shard);
        self.deliver(shard);
    }

    /// Every other turn, those whose sends have ended go first: what is new is asked for when they are done.
    fn skips_asking(&self) -> bool {
        let skips = !self.ready.borrow().is_empty() && !self.skipped.get();
        self.skipped.set(skips);
        skips
    }

    fn ask(&self, shard: &Shard) {
        let idle = self.nothing_to_do() && shard.try_sleep();
        let timeout = match shard.next_deadline() {
            _ if !idle => Some(Duration::ZERO),
            None => None,
            Some(deadline) => Some(deadline - self.now()),
        };
        self.poll(shard, timeout);
        shard.awake();
    }

    fn nothing_to_do(&self) -> bool {
        self.ready.borrow().is_empty() && self.runnable.borrow().is_empty()
    }

    /// Asks the kernel once and notes what it says.
    fn poll(&self, shard: &Shard, timeout: Option<Duration>) {
        Counters::add(&shard.counters().enters, 1);
        let mut events = self.events.take();
        self.poller.wait(&mut events, timeout);
        for event in events.drain(..) {
            match event {
                // Whoever rang wanted us awake, which we are. It may have been the kernel.
                Event::Bell => self.take_written(shard),
                Event::Signal => self.take_signal(shard),
                Event::Socket { fd, readable, writable, ended } => {
                    self.with_socket(fd, |socket| {
                        socket.readable |= readable;
                        socket.writable |= writable;
                        socket.ended |= ended;
                    });
                    self.make_runnable(fd);
                }
            }
        }
        *self.events.borrow_mut() = events;
    }

    /// Tries what waits on the sockets of which something is new.
    fn run_runnable(&self, shard: &Shard) {
        // Those that become runnable meanwhile are for the next turn.
        let count = self.runnable.borrow().len();
        for _ in 0..count {
            let Some(fd) = self.runnable.borrow_mut().pop_front() else { break };
            self.with_socket(fd, |socket| socket.queued = false);
            self.give(shard, fd);
            self.take(shard, fd);
        }
    }

    fn deliver(&self, shard: &Shard) {
        for (id, result) in self.ready.take() {
            shard.complete(id, result);
        }
    }

    fn finish(&self, id: OpId, result: io::Result<Reply>) {
        self.ready.borrow_mut().push((id, result));
    }

    fn with_socket<R>(&self, fd: RawFd, f: impl FnOnce(&mut Socket) -> R) -> R {
        let mut sockets = self.sockets.borrow_mut();
        let index = fd as usize;
        if index >= sockets.len() {
            sockets.resize_with(index + 1, Socket::default);
        }
        f(&mut sockets[index])
    }

    fn make_runnable(&self, fd: RawFd) {
        let queued = self.with_socket(fd, |socket| std::mem::replace(&mut socket.queued, true));
        if !queued {
            self.runnable.borrow_mut().push_back(fd);
        }
    }

    /// Watches a socket, once in its life.
    fn watch(&self, fd: RawFd) -> io::Result<()> {
        if self.with_socket(fd, |socket| std::mem::replace(&mut socket.watched, true)) {
            return Ok(());
        }
        self.poller.watch_socket(fd)
    }

    /// Receives that found no buffer are tried again, as many as there are buffers.
    fn feed_starved(&self) {
        for _ in 0..self.buffers.free() {
            let Some(fd) = self.starved.borrow_mut().pop_front() else { break };
            self.make_runnable(fd);
        }
    }

    fn flush_sending(&self, shard: &Shard) {
        let mut sending = self.sending.take();
        sending.drain(..).for_each(|fd| self.give(shard, fd));
        *self.sending.borrow_mut() = sending;
    }

    /// A descriptor's owner is gone, and so is every operation on it.
    pub(crate) fn close(&self, raw: RawFd) {
        if let Some(socket) = self.sockets.borrow_mut().get_mut(raw as usize) {
            // It may stand in the list of runnable ones; it is then found to have nothing to do.
            *socket = Socket { queued: socket.queued, ..Socket::default() };
        }
        self.closing.borrow_mut().push(raw);
    }

    fn flush_closing(&self) {
        self.closing.take().into_iter().for_each(socket::close);
    }

    pub(crate) fn now(&self) -> Instant {
        Instant(clock_ns(libc::CLOCK_MONOTONIC) - self.epoch_ns)
    }

    pub(crate) fn wall_us(&self) -> u64 {
        clock_ns(libc::CLOCK_REALTIME) / 1000
    }

    /// Wakes a sleeping peer.
    pub(crate) fn wake(&self, peer: usize) {
        self.process.mailboxes[peer].ring_bell();
    }

    /// Ends all operations and waits for those that a pool's thread carries out. False when some did not end in
    /// time: their memory must then never be freed. Inside `Shard::enter`, after `Shard::clear`.
    pub(crate) fn drain(&self, shard: &Shard) -> bool {
        let deadline = self.now() + Duration::from_millis(limits::STOP_WAIT_MS);
        let ids = shard.ops.borrow().ids();
        for id in ids {
            self.cancel(shard, id);
        }
        self.deliver(shard);
        while shard.ops.borrow().len() > 0 && self.now() < deadline {
            shard.begin_turn();
            self.flush_closing();
            let idle = self.nothing_to_do() && shard.try_sleep();
            self.poll(shard, Some(if idle { Duration::from_millis(20) } else { Duration::ZERO }));
            shard.awake();
            self.deliver(shard);
        }
        self.flush_closing();
        shard.ops.borrow().len() == 0
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        self.flush_closing();
    }
}

impl Epoll {
    #[cfg(test)]
    pub(crate) fn buffers(&self) -> Rc<BufRing> {
        self.buffers.clone()
    }
}
