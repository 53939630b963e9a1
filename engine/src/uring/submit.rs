//! Operations to kernel requests.

use std::io;

use bytes::Bytes;
use io_uring::{opcode, squeue, types};

use super::{BUFFER_GROUP, Origin, Uring};
use crate::disk::Durability;
use crate::op::{ConnectOp, Descriptor, Op, OpId, SendList};
use crate::os::file::REQUEST_BYTES;
use crate::os::finish::cancelled;
use crate::os::socket::Connecting;
use crate::shard::Shard;
use crate::stats::Counters;

/// Bits of a multishot operation's scratch number.
pub(super) mod multishot {
    /// A kernel request is out.
    pub(crate) const ARMED: u32 = 1;
    /// A cancel for it is out: flow control.
    pub(crate) const STOPPING: u32 = 2;
    /// It waits in the list of those that found no buffer.
    pub(crate) const STARVED: u32 = 4;
}

const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

impl Uring {
    pub(crate) fn submit(&self, shard: &Shard, id: OpId) {
        let mut ops = shard.ops.borrow_mut();
        let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
        let entry = match op {
            Op::Accept { .. } | Op::Recv { .. } | Op::RecvDatagram { .. } => {
                *scratch = multishot::ARMED;
                multishot_entry(op)
            }
            Op::Signals => {
                self.signals.set(Some(id));
                return self.arm_signals();
            }
            Op::Connect(connect) => match connect_entry(connect) {
                Ok(entry) => entry,
                Err(error) => return self.ready.borrow_mut().push((id, Err(error))),
            },
            Op::Send { socket, data } | Op::SendDatagram { socket, data } => send_entry(socket, data, 0),
            Op::SendList { socket, list } => match send_list_entry(socket, list) {
                Some(entry) => entry,
                None => return self.ready.borrow_mut().push((id, Ok(crate::op::Reply::Unit))),
            },
            Op::Read { file, offset, len, buf } => {
                let len = (*len).min(buf.capacity()).min(REQUEST_BYTES) as u32;
                opcode::Read::new(types::Fd(file.raw()), buf.as_mut_ptr(), len).offset(*offset).build()
            }
            Op::Write { file, offset, buf, durability, .. } => {
                let durable = *durability == Durability::Durable;
                if durable {
                    Counters::add(&shard.counters().durable_writes, 1);
                }
                let len = buf.len().min(REQUEST_BYTES) as u32;
                opcode::Write::new(types::Fd(file.raw()), buf.as_ptr(), len)
                    .offset(*offset)
                    .rw_flags(if durable { libc::RWF_DSYNC } else { 0 })
                    .build()
            }
            Op::Sync { file, directory } => {
                Counters::add(&shard.counters().durable_writes, 1);
                let flags = if *directory { types::FsyncFlags::empty() } else { types::FsyncFlags::DATASYNC };
                opcode::Fsync::new(types::Fd(file.raw())).flags(flags).build()
            }
            Op::Path(path) => return self.pools.path(shard.mailbox_arc(), id, path),
            Op::Offload(call) => {
                let call = call.take().expect("an operation is submitted once");
                if !self.pools.offload(shard.mailbox_arc(), id, call) {
                    let full = io::Error::from(io::ErrorKind::ResourceBusy);
                    self.ready.borrow_mut().push((id, Err(full)));
                }
                return;
            }
        };
        drop(ops);
        self.push(entry.user_data(Origin::Op(id).encode()));
    }

    /// Asks the kernel to end what is out for `id`; completes it at the end of the turn when nothing is.
    pub(crate) fn cancel(&self, shard: &Shard, id: OpId) {
        let mut ops = shard.ops.borrow_mut();
        let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
        let kernel_has_it = match op {
            Op::Accept { .. } | Op::Recv { .. } | Op::RecvDatagram { .. } => *scratch & multishot::ARMED != 0,
            Op::Signals => {
                self.signals.set(None);
                false
            }
            // A pool's thread ends what it has begun; its result finds nobody waiting.
            Op::Path(_) | Op::Offload(_) => return,
            _ => true,
        };
        drop(ops);
        if kernel_has_it {
            self.push_cancel(id);
        } else {
            self.ready.borrow_mut().push((id, Err(cancelled())));
        }
    }

    /// Takes up a multishot operation that flow control has stopped.
    pub(crate) fn resume(&self, shard: &Shard, id: OpId) {
        // Signals are read by the driver itself: nothing of theirs is ever armed or stopped here.
        let stopped = shard
            .ops
            .borrow_mut()
            .op_and_scratch(id)
            .is_some_and(|(op, scratch)| *scratch == 0 && !matches!(op, Op::Signals));
        if stopped {
            self.arm(shard, id);
        }
    }

    /// Sends the request of a multishot operation (again).
    pub(super) fn arm(&self, shard: &Shard, id: OpId) {
        let mut ops = shard.ops.borrow_mut();
        let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
        *scratch = multishot::ARMED;
        let entry = multishot_entry(op);
        drop(ops);
        self.push(entry.user_data(Origin::Op(id).encode()));
    }

    /// Stops a multishot operation whose results nobody takes.
    pub(super) fn stop(&self, shard: &Shard, id: OpId) {
        let mut ops = shard.ops.borrow_mut();
        let Some(scratch) = ops.scratch(id) else { return };
        if *scratch & (multishot::ARMED | multishot::STOPPING) == multishot::ARMED {
            *scratch |= multishot::STOPPING;
            drop(ops);
            self.push_cancel(id);
        }
    }

    fn push_cancel(&self, id: OpId) {
        let cancel = opcode::AsyncCancel::new(Origin::Op(id).encode()).build();
        self.push(cancel.flags(squeue::Flags::SKIP_SUCCESS).user_data(Origin::Ignored.encode()));
    }

    /// Arms again the receives that found no buffer, as many as there are buffers.
    pub(super) fn rearm_starved(&self, shard: &Shard) {
        if self.starved.borrow().is_empty() {
            return;
        }
        for _ in 0..self.buffers.free() {
            let Some(id) = self.starved.borrow_mut().pop_front() else { break };
            let starved =
                shard.ops.borrow_mut().scratch(id).is_some_and(|scratch| *scratch & multishot::STARVED != 0);
            if starved {
                self.arm(shard, id);
            }
        }
    }

    pub(super) fn arm_bell(&self) {
        if let Some(bell) = self.process.mailboxes[self.me].bell.get() {
            use std::os::fd::AsRawFd;
            let fd = types::Fd(bell.as_raw_fd());
            let read = opcode::Read::new(fd, self.small.bell.get().cast(), size_of::<u64>() as u32).build();
            self.push(read.user_data(Origin::Bell.encode()));
        }
    }

    pub(super) fn arm_signals(&self) {
        if let Some(fd) = &self.signal_fd {
            use std::os::fd::AsRawFd;
            let len = size_of::<libc::signalfd_siginfo>() as u32;
            let read =
                opcode::Read::new(types::Fd(fd.as_raw_fd()), self.small.signal.get().cast(), len).build();
            self.push(read.user_data(Origin::Signal.encode()));
        }
    }
}

fn multishot_entry(op: &Op) -> squeue::Entry {
    match op {
        Op::Accept { listener } => {
            opcode::AcceptMulti::new(types::Fd(listener.raw())).flags(libc::SOCK_CLOEXEC).build()
        }
        Op::Recv { socket } | Op::RecvDatagram { socket } => {
            opcode::RecvMulti::new(types::Fd(socket.raw()), BUFFER_GROUP).build()
        }
        _ => unreachable!("only multishot operations are armed"),
    }
}

fn connect_entry(connect: &mut ConnectOp) -> io::Result<squeue::Entry> {
    // The address must not move from here on: it lies in the operation's box.
    let Connecting { socket, addr } = connect.connecting.insert(Connecting::new(&connect.to)?);
    Ok(opcode::Connect::new(types::Fd(socket.raw()), addr.as_ptr(), addr.len()).build())
}

/// The request for what is left of `data` after `sent` bytes.
pub(super) fn send_entry(socket: &Descriptor, data: &Bytes, sent: usize) -> squeue::Entry {
    let rest = &data[sent..];
    let len = rest.len().min(REQUEST_BYTES) as u32;
    opcode::Send::new(types::Fd(socket.raw()), rest.as_ptr(), len).flags(SEND_FLAGS).build()
}

/// The request for what is left of the list; none when nothing is.
pub(super) fn send_list_entry(socket: &Descriptor, list: &mut SendList) -> Option<squeue::Entry> {
    // The message must not move from here on: it lies in the operation's box.
    let message = list.next_message()?;
    Some(opcode::SendMsg::new(types::Fd(socket.raw()), message).flags(SEND_FLAGS as u32).build())
}
