//! What the kernel says to completions of operations.

use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;

use io_uring::cqueue;

use super::submit::{multishot, send_entry};
use super::{Completion, Origin, Uring, socket};
use crate::buf::RecvBuf;
use crate::limits;
use crate::op::{Accepted, Descriptor, Item, Op, OpId, Reply};
use crate::shard::Shard;
use crate::stats::Counters;

/// What a completion of a one-shot request means.
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
            op => complete_once(op, scratch, completion.result),
        };
        drop(ops);
        match next {
            Next::Done(result) => shard.complete(id, result),
            // Unless the future is gone: then what is left stays unsent.
            Next::Again(_) if shard.ops.borrow().is_orphaned(id) => {
                shard.complete(id, Err(io::Error::from_raw_os_error(libc::ECANCELED)));
            }
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
                    return shard.complete(id, Err(io::Error::from_raw_os_error(libc::ECANCELED)));
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

    /// After a completion of a multishot operation: end it when nobody waits for it, stop it when what it gives is
    /// not taken, and arm it again when the kernel has ended it.
    fn carry_on(&self, shard: &Shard, id: OpId, more: bool, full: bool) {
        let orphaned = shard.ops.borrow().is_orphaned(id);
        match (more, full) {
            (false, _) if orphaned => shard.complete(id, Err(io::Error::from_raw_os_error(libc::ECANCELED))),
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

/// Errors of accept that are about the connection that was to be accepted, or a cancel: the next may succeed at
/// once. All others (no descriptors, no memory) are for the caller, who waits before trying again.
fn is_passing(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECANCELED
            | libc::ECONNABORTED
            | libc::ECONNRESET
            | libc::EINTR
            | libc::EAGAIN
            | libc::EPROTO
            | libc::ENETDOWN
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::EHOSTUNREACH
    )
}

fn complete_once(op: &mut Op, scratch: &mut u32, result: i32) -> Next {
    let count = if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result as usize) };
    let done = match (op, count) {
        (_, Err(error)) => Err(error),
        (Op::Connect(connect), Ok(_)) => {
            let connecting = connect.connecting.take().expect("filled in at submission");
            Ok(Reply::Conn(Accepted { socket: connecting.socket, peer: connect.to.peer() }))
        }
        (Op::Send { socket, data }, Ok(sent)) => {
            *scratch += sent as u32;
            let sent_all = *scratch as usize;
            if sent_all < data.len() {
                return Next::Again(send_entry(socket, data, sent_all));
            }
            Ok(Reply::Unit)
        }
        (Op::SendList { socket, list }, Ok(sent)) => {
            list.advance(sent);
            match list.next_entry(socket) {
                Some(entry) => return Next::Again(entry),
                None => Ok(Reply::Unit),
            }
        }
        (Op::Read { len, buf, .. }, Ok(count)) => {
            assert!(
                count <= *len && count <= buf.capacity(),
                "the kernel reads no more than it was asked to"
            );
            // SAFETY: the kernel has written `count` bytes, within the capacity.
            unsafe { buf.set_len(count) };
            Ok(Reply::Unit)
        }
        (Op::Write { buf, .. }, Ok(count)) if count < buf.len() => {
            Err(io::Error::new(io::ErrorKind::WriteZero, format!("wrote {count} of {} bytes", buf.len())))
        }
        (_, Ok(_)) => Ok(Reply::Unit),
    };
    Next::Done(done)
}
