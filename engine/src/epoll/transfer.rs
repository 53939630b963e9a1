//! Operations: what is tried, and what becomes of it.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use super::{Epoll, multishot};
use crate::buf::RecvBuf;
use crate::disk::Durability;
use crate::limits;
use crate::op::{Accepted, ConnectOp, Descriptor, Item, Op, OpId, Reply};
use crate::os::aio::{self, Aio};
use crate::os::finish::{Finish, cancelled, finish, is_passing};
use crate::os::path;
use crate::os::signal::read_signal;
use crate::os::socket::{self, Connecting};
use crate::shard::Shard;
use crate::stats::Counters;

/// What a try of a multishot operation gave.
enum Try {
    /// Something, and there may be more.
    Item(Item),
    /// Something, and there is no more.
    LastItem(Item),
    /// Nothing now.
    Empty,
    /// Nothing, and the next try may give something: an empty datagram, a connection that was reset.
    Skip,
    /// No buffer is free.
    Starved,
    /// The end of the stream.
    End,
    Error(io::Error),
}

impl Epoll {
    pub(crate) fn submit(&self, shard: &Shard, id: OpId) {
        let mut ops = shard.ops.borrow_mut();
        let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
        match op {
            Op::Accept { listener: socket } | Op::Recv { socket } | Op::RecvDatagram { socket } => {
                let fd = socket.raw();
                *scratch = multishot::ARMED;
                drop(ops);
                self.with_socket(fd, |socket| {
                    socket.taking = Some(id);
                    // Nothing is known of a socket that is not watched yet; trying to send tells.
                    socket.writable |= !socket.watched;
                });
                match self.watch(fd) {
                    Ok(()) => self.make_runnable(fd),
                    Err(error) => {
                        self.forget(fd, id);
                        self.finish(id, Err(error));
                    }
                }
            }
            Op::Signals => {
                drop(ops);
                self.signals.set(Some(id));
                self.arm_signals();
            }
            Op::Connect(connect) => {
                let started = start_connect(connect);
                let fd = connect.connecting.as_ref().map(|connecting| connecting.socket.raw());
                drop(ops);
                match (started, fd) {
                    (Err(error), _) => self.finish(id, Err(error)),
                    (Ok(()), Some(fd)) => {
                        self.with_socket(fd, |socket| socket.giving = Some(id));
                        if let Err(error) = self.watch(fd) {
                            self.forget(fd, id);
                            self.finish(id, Err(error));
                        }
                    }
                    (Ok(()), None) => unreachable!("a started connect has a socket"),
                }
            }
            Op::Send { socket, .. } | Op::SendList { socket, .. } | Op::SendDatagram { socket, .. } => {
                let fd = socket.raw();
                drop(ops);
                self.submit_send(id, fd);
            }
            Op::Read { .. } | Op::Write { .. } | Op::Sync { .. } => {
                let durable =
                    matches!(op, Op::Write { durability: Durability::Durable, .. } | Op::Sync { .. });
                Counters::add(&shard.counters().durable_writes, u64::from(durable));
                if !self.write_aside(shard, id, op, true) {
                    self.pools.file(shard.mailbox_arc(), id, op);
                }
            }
            Op::Path(path) => self.pools.path(shard.mailbox_arc(), id, path),
            Op::Offload(call) => {
                let call = call.take().expect("an operation is submitted once");
                if !self.pools.offload(shard.mailbox_arc(), id, call) {
                    self.finish(id, Err(io::Error::from(io::ErrorKind::ResourceBusy)));
                }
            }
        }
    }

    // ---- writes

    /// Has the kernel carry out a write by itself, where it can; a thread begins one that would wait here. False for what
    /// a thread has to carry out.
    fn write_aside(&self, shard: &Shard, id: OpId, op: &mut Op, at_once: bool) -> bool {
        if !matches!(op, Op::Write { direct: true, .. }) {
            return false;
        }
        let aio = self.aio.get_or_init(|| Aio::new().ok()).as_ref();
        let Some((aio, bell)) = aio.zip(shard.mailbox().bell.get()) else { return false };
        if !(at_once && aio.write(id, op, bell)) {
            let begin = aio.write_later(id, op, bell);
            self.pools.begin_write(shard.mailbox_arc(), id, op, begin);
        }
        true
    }

    /// Delivers the writes that the kernel has carried out.
    pub(super) fn take_written(&self, shard: &Shard) {
        let Some(Some(aio)) = self.aio.get() else { return };
        for (id, result) in aio.take() {
            match result {
                Err(error) if aio::would_wait(&error) => {
                    let mut ops = shard.ops.borrow_mut();
                    let Some((op, begun)) = ops.op_and_scratch(id) else { continue };
                    // The second time it is no matter of waiting: a plain call gets it done, or says why not.
                    if std::mem::replace(begun, 1) == 1 || !self.write_aside(shard, id, op, false) {
                        self.pools.file(shard.mailbox_arc(), id, op);
                    }
                }
                result => path::finish_file(shard, id, result),
            }
        }
    }

    /// Behind those under way, or at the end of the turn: most sends find room.
    fn submit_send(&self, id: OpId, fd: RawFd) {
        let first = self.with_socket(fd, |socket| {
            if socket.giving.is_some() {
                socket.behind.push_back(id);
                return false;
            }
            socket.giving = Some(id);
            // As above.
            socket.writable |= !socket.watched;
            true
        });
        if first {
            self.sending.borrow_mut().push(fd);
        }
    }

    /// Ends what is out for `id`, at the end of the turn. What a pool's thread has begun it ends; its result finds
    /// nobody waiting.
    pub(crate) fn cancel(&self, shard: &Shard, id: OpId) {
        let mut ops = shard.ops.borrow_mut();
        let Some((op, _)) = ops.op_and_scratch(id) else { return };
        let fd = match op {
            Op::Accept { listener: socket } | Op::Recv { socket } | Op::RecvDatagram { socket } => {
                Some(socket.raw())
            }
            // What waits for the end of the turn is tried all the same: a ring would have it by now.
            Op::Send { socket, .. } | Op::SendList { socket, .. } | Op::SendDatagram { socket, .. } => {
                let fd = socket.raw();
                drop(ops);
                self.give(shard, fd);
                self.forget(fd, id);
                return self.finish(id, Err(cancelled()));
            }
            Op::Connect(connect) => connect.connecting.as_ref().map(|connecting| connecting.socket.raw()),
            Op::Signals => {
                self.signals.set(None);
                None
            }
            Op::Read { .. } | Op::Write { .. } | Op::Sync { .. } | Op::Path(_) | Op::Offload(_) => return,
        };
        drop(ops);
        if let Some(fd) = fd {
            self.forget(fd, id);
        }
        self.finish(id, Err(cancelled()));
    }

    /// Takes `id` off its socket.
    fn forget(&self, fd: RawFd, id: OpId) {
        let next = self.with_socket(fd, |socket| {
            socket.behind.retain(|&other| other != id);
            if socket.taking == Some(id) {
                socket.taking = None;
            }
            if socket.giving == Some(id) {
                socket.giving = socket.behind.pop_front();
            }
            socket.giving.is_some()
        });
        if next {
            self.make_runnable(fd);
        }
    }

    /// Takes up a multishot operation that flow control has stopped.
    pub(crate) fn resume(&self, shard: &Shard, id: OpId) {
        let mut ops = shard.ops.borrow_mut();
        let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
        let (Op::Accept { listener: socket } | Op::Recv { socket } | Op::RecvDatagram { socket }) = op else {
            return;
        };
        if *scratch & multishot::ARMED == 0 {
            *scratch = multishot::ARMED;
            self.make_runnable(socket.raw());
        }
    }

    /// Carries on with the connect or the sends of a socket while it takes them.
    pub(super) fn give(&self, shard: &Shard, fd: RawFd) {
        loop {
            let id = self.with_socket(fd, |socket| socket.giving.filter(|_| socket.writable));
            let Some(id) = id else { return };
            let mut ops = shard.ops.borrow_mut();
            let orphaned = ops.is_orphaned(id);
            let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
            let sent = transmit(op, *scratch as usize);
            let result = match sent {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(ops);
                    self.with_socket(fd, |socket| socket.writable = false);
                    // The first time, the event that follows says when there is room.
                    match self.watch(fd) {
                        Ok(()) => return,
                        Err(error) => Err(error),
                    }
                }
                sent => match finish(op, scratch, sent) {
                    Finish::Done(result) => result,
                    // What is left stays unsent when the future is gone.
                    Finish::Unsent if orphaned => Err(cancelled()),
                    Finish::Unsent => continue,
                },
            };
            self.finish(id, result);
            self.with_socket(fd, |socket| socket.giving = socket.behind.pop_front());
        }
    }

    // ---- accept and receive

    /// Takes what has come for a socket, as much as flow control and buffers allow.
    pub(super) fn take(&self, shard: &Shard, fd: RawFd) {
        loop {
            let id = self.with_socket(fd, |socket| socket.taking.filter(|_| socket.readable));
            let Some(id) = id else { return };
            if !self.may_take(shard, id) {
                return;
            }
            let tried = self.try_take(shard, fd, id);
            let emptied = matches!(tried, Try::LastItem(_) | Try::Empty);
            if emptied {
                // Not when the peer has ended: there comes no event any more.
                self.with_socket(fd, |socket| socket.readable = socket.ended && !matches!(tried, Try::Empty));
            }
            match tried {
                Try::Item(item) | Try::LastItem(item) => shard.item(id, item),
                Try::Skip | Try::Empty => {}
                Try::Starved => {
                    Counters::add(&shard.counters().recv_starved, 1);
                    return self.starved.borrow_mut().push_back(fd);
                }
                Try::End => self.end_taking(shard, fd, id, Ok(Reply::Unit)),
                Try::Error(error) => self.end_taking(shard, fd, id, Err(error)),
            }
        }
    }

    fn end_taking(&self, shard: &Shard, fd: RawFd, id: OpId, result: io::Result<Reply>) {
        self.with_socket(fd, |socket| socket.taking = None);
        shard.complete(id, result);
    }

    /// False when nobody takes what the operation has given: it is stopped until `resume`.
    fn may_take(&self, shard: &Shard, id: OpId) -> bool {
        let mut ops = shard.ops.borrow_mut();
        let (items, bytes) = ops.waiting(id);
        let Some((op, scratch)) = ops.op_and_scratch(id) else { return false };
        let full = match op {
            Op::Accept { .. } => items >= limits::ACCEPT_WINDOW,
            _ => bytes >= limits::RECV_WINDOW_BYTES || items >= limits::RECV_WINDOW_ITEMS,
        };
        if full {
            *scratch = 0;
        }
        *scratch & multishot::ARMED != 0
    }

    fn try_take(&self, shard: &Shard, fd: RawFd, id: OpId) -> Try {
        let stream = match shard.ops.borrow_mut().op(id) {
            Some(Op::Accept { .. }) => return try_accept(fd),
            Some(Op::Recv { .. }) => true,
            _ => false,
        };
        let filled = self.buffers.fill(|memory| socket::receive(fd, memory));
        match filled {
            None => Try::Starved,
            Some(Ok((_, 0))) if stream => Try::End,
            // An empty datagram says nothing.
            Some(Ok((_, 0))) => Try::Skip,
            Some(Ok((number, len))) => {
                let item = Item::Bytes(RecvBuf::received(&self.buffers, number, len as u32));
                // A stream that gave less than there was room for has no more (epoll(7)).
                if stream && len < self.buffers.buffer_bytes() {
                    Try::LastItem(item)
                } else {
                    Try::Item(item)
                }
            }
            Some(Err(error)) => match error.kind() {
                io::ErrorKind::WouldBlock => Try::Empty,
                io::ErrorKind::Interrupted => Try::Skip,
                _ => Try::Error(error),
            },
        }
    }

    // ---- signals

    fn arm_signals(&self) {
        if let Some(fd) = &self.signal_fd
            && let Err(error) = self.poller.watch_signals(fd.as_raw_fd())
            && let Some(id) = self.signals.take()
        {
            self.finish(id, Err(error));
        }
    }

    pub(super) fn take_signal(&self, shard: &Shard) {
        // Nobody waits: it stays where it is until somebody does.
        let (Some(id), Some(fd)) = (self.signals.get(), &self.signal_fd) else { return };
        match read_signal(fd) {
            Ok(signal) => {
                self.arm_signals();
                shard.item(id, Item::Signal(signal));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                self.arm_signals();
            }
            Err(error) => shard.complete(id, Err(error)),
        }
    }
}

fn start_connect(connect: &mut ConnectOp) -> io::Result<()> {
    let connecting = connect.connecting.insert(Connecting::new(&connect.to)?);
    socket::set_nonblocking(connecting.socket.raw())?;
    match socket::connect(&connecting.socket, &connecting.addr) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
        // Connected at once: the event that follows says so.
        result => result,
    }
}

fn try_accept(listener: RawFd) -> Try {
    match socket::accept(listener) {
        Ok(raw) => {
            let socket = Rc::new(Descriptor::os(raw));
            // A peer that has gone already has no address; nor has its connection any use.
            match socket::peer_addr(&socket) {
                Ok(peer) => Try::Item(Item::Conn(Accepted { socket, peer })),
                Err(_) => Try::Skip,
            }
        }
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN) => Try::Empty,
            Some(errno) if is_passing(errno) => Try::Skip,
            _ => Try::Error(error),
        },
    }
}

/// One call for what is left of an operation that sends, or the outcome of a connect.
fn transmit(op: &mut Op, sent: usize) -> io::Result<usize> {
    match op {
        Op::Connect(connect) => {
            let connecting = connect.connecting.as_ref().expect("filled in at submission");
            socket::take_error(&connecting.socket).map(|()| 0)
        }
        Op::Send { socket, data } => socket::send(socket, &data[sent..]),
        Op::SendDatagram { socket, data } => socket::send(socket, data),
        Op::SendList { socket, list } => match list.next_message() {
            Some(message) => socket::send_message(socket, message),
            None => Ok(0),
        },
        _ => unreachable!("only connects and sends are queued to give"),
    }
}
