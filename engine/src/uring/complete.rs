//! What the kernel says to completions of operations.

use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;

use io_uring::cqueue;

use super::submit::{multishot, send_entry, send_list_entry};
use super::{Completion, Origin, Uring};
use crate::buf::RecvBuf;
use crate::limits;
use crate::op::{Accepted, Descriptor, Item, Op, OpId, Reply};
use crate::os::finish::{Finish, cancelled, finish, is_passing};
use crate::os::socket;
use crate::shard::Shard;
use crate::stats::Counters;

/// What follows a completion of a one-shot request.
enum Next {
    Done(io::Result<Reply>),
    /// Something is left to send.
    Again(io_uring::squeue::Entry),
}

impl Uring {
    pub(super) fn complete(&self, shard: &Shard, completion: Completion) {
        match Origin::decode(completion.user_data) {
            Origin::Op(id) => self.complete_op(shard, id, completion),
            Origin::Bell => self.arm_bell(),
            Origin::Signal => self.complete_signal(shard, completion),
            // The peer's ring is full or going: if it lives and sleeps, its bell still works.
            Origin::Wake { peer } => self.process.mailboxes[usize::from(peer)].ring_bell(),
            Origin::Woken | Origin::Ignored => {}
        }
    }

    fn complete_op(&self, shard: &Shard, id: OpId, completion: Completion) {
        // First of all, who owns what came: a buffer or a connection that nobody wants goes back or is closed.
        let buffer = cqueue::buffer_select(completion.flags)
            .map(|number| RecvBuf::received(&self.buffers, number, completion.result.max(0) as u32));
        let more = cqueue::more(completion.flags);
        let mut ops = shard.ops.borrow_mut();
        let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
        let next = match op {
            Op::Accept { .. } => {
                drop(ops);
                return self.complete_accept(shard, id, completion.result, more);
            }
            Op::Recv { .. } => {
                drop(ops);
                return self.complete_recv(shard, id, completion.result, more, buffer, true);
            }
            Op::RecvDatagram { .. } => {
                drop(ops);
                return self.complete_recv(shard, id, completion.result, more, buffer, false);
            }
            op => {
                let count = usize::try_from(completion.result)
                    .map_err(|_| io::Error::from_raw_os_error(-completion.result));
                match (finish(op, scratch, count), op) {
                    (Finish::Done(result), _) => Next::Done(result),
                    (Finish::Unsent, Op::SendList { socket, list }) => {
                        send_list_entry(socket, list).map_or(Next::Done(Ok(Reply::Unit)), Next::Again)
                    }
                    (Finish::Unsent, Op::Send { socket, data }) => {
                        Next::Again(send_entry(socket, data, *scratch as usize))
                    }
                    (Finish::Unsent, _) => unreachable!("only sends are continued"),
                }
            }
        };
        drop(ops);
        match next {
            Next::Done(result) => shard.complete(id, result),
            // Unless the future is gone: then what is left stays unsent.
            Next::Again(_) if shard.ops.borrow().is_orphaned(id) => shard.complete(id, Err(cancelled())),
            Next::Again(entry) => self.push(entry.user_data(Origin::Op(id).encode())),
        }
    }

    fn complete_accept(&self, shard: &Shard, id: OpId, result: i32, more: bool) {
        if !more {
            self.disarm(shard, id);
        }
        match result {
            0.. => {
                let socket = Rc::new(Descriptor::os(result));
                // A peer that has gone already has no address; nor has its connection any use.
                if let Ok(peer) = socket::peer_addr(&socket) {
                    shard.item(id, Item::Conn(Accepted { socket, peer }));
                }
            }
            _ if !is_passing(-result) && !more => {
                return shard.complete(id, Err(io::Error::from_raw_os_error(-result)));
            }
            // Stopped by flow control or a cancel, or the connection was reset before it was taken.
            _ => {}
        }
        let (items, _) = shard.ops.borrow().waiting(id);
        self.carry_on(shard, id, more, items >= limits::ACCEPT_WINDOW);
    }

    fn complete_recv(
        &self,
        shard: &Shard,
        id: OpId,
        result: i32,
        more: bool,
        buffer: Option<RecvBuf>,
        stream: bool,
    ) {
        if !more {
            self.disarm(shard, id);
        }
        match (result, buffer) {
            (1.., Some(buffer)) => shard.item(id, Item::Bytes(buffer)),
            (0, _) if stream => return shard.complete(id, Ok(Reply::Unit)),
            // An empty datagram says nothing.
            (0.., _) => {}
            (error, _) if error == -libc::ENOBUFS => {
                Counters::add(&shard.counters().recv_starved, 1);
                if shard.ops.borrow().is_orphaned(id) {
                    return shard.complete(id, Err(cancelled()));
                }
                if let Some(scratch) = shard.ops.borrow_mut().scratch(id) {
                    *scratch = multishot::STARVED;
                }
                return self.starved.borrow_mut().push_back(id);
            }
            (error, _) if error == -libc::ECANCELED || error == -libc::EINTR => {}
            (error, _) => return shard.complete(id, Err(io::Error::from_raw_os_error(-error))),
        }
        let (items, bytes) = shard.ops.borrow().waiting(id);
        let full = bytes >= limits::RECV_WINDOW_BYTES || items >= limits::RECV_WINDOW_ITEMS;
        self.carry_on(shard, id, more, full);
    }

    /// The kernel has ended a multishot request.
    fn disarm(&self, shard: &Shard, id: OpId) {
        if let Some(scratch) = shard.ops.borrow_mut().scratch(id) {
            *scratch = 0;
        }
    }

    /// After a completion of a multishot operation: end it when it is not to be carried on, stop it when what it gives is
    /// not taken, and arm it again when the kernel has ended it.
    fn carry_on(&self, shard: &Shard, id: OpId, more: bool, full: bool) {
        let over = shard.ops.borrow().is_over(id);
        match (more, full) {
            (false, _) if over => shard.complete(id, Err(cancelled())),
            // `resume` arms it.
            (false, true) => {}
            (false, false) => self.arm(shard, id),
            (true, true) => self.stop(shard, id),
            (true, false) => {}
        }
    }

    fn complete_signal(&self, shard: &Shard, completion: Completion) {
        let Some(id) = self.signals.get() else { return };
        if completion.result == size_of::<libc::signalfd_siginfo>() as i32 {
            // SAFETY: the kernel has filled it in, as the result says, and the next read is not yet out.
            let info = unsafe { MaybeUninit::assume_init_ref(&*self.small.signal.get()) };
            let signal = info.ssi_signo as i32;
            self.arm_signals();
            shard.item(id, Item::Signal(signal));
        } else if completion.result < 0 && completion.result != -libc::EINTR {
            shard.complete(id, Err(io::Error::from_raw_os_error(-completion.result)));
        } else {
            self.arm_signals();
        }
    }
}
