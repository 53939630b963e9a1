//! Writes that the kernel carries out by itself and reports to an eventfd: io_submit(2), for the driver that has no
//! ring. Only for files that bypass the page cache: for all others it waits inside of the call.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::file::REQUEST_BYTES;
use crate::disk::Durability;
use crate::limits;
use crate::op::{Op, OpId};

/// A context of the kernel.
pub(crate) struct Aio {
    context: Context,
    /// Writes that are not tried without waiting, since one of late would have had to wait.
    skip: Cell<u32>,
}

#[derive(Clone, Copy)]
struct Context(libc::c_ulong);

/// `struct iocb` of linux/aio_abi.h, which libc does not have.
#[repr(C)]
#[derive(Default)]
struct Request {
    data: u64,
    #[cfg(target_endian = "little")]
    key: u32,
    rw_flags: libc::c_int,
    #[cfg(target_endian = "big")]
    key: u32,
    opcode: u16,
    priority: i16,
    file: u32,
    memory: u64,
    len: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    eventfd: u32,
}

/// `struct io_event`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Event {
    data: u64,
    request: u64,
    result: i64,
    result2: i64,
}

/// `IOCB_CMD_PWRITE` and `IOCB_FLAG_RESFD`.
const WRITE: u16 = 1;
const TELL_EVENTFD: u32 = 1;

impl Aio {
    /// An error where the kernel has or allows no such thing.
    pub(crate) fn new() -> io::Result<Self> {
        let mut context: libc::c_ulong = 0;
        // SAFETY: `context` is valid for writing, and 0 as it has to be.
        check(unsafe { libc::syscall(libc::SYS_io_setup, limits::AIO_WRITES, &raw mut context) })?;
        Ok(Aio { context: Context(context), skip: Cell::new(0) })
    }

    /// Begins a write, whose end writes to `bell`. False when it did not begin: it might have to wait, or there are too
    /// many. Until `take` gives its end, the operation must keep its file and its buffer.
    pub(crate) fn write(&self, id: OpId, op: &Op, bell: &OwnedFd) -> bool {
        let skip = self.skip.get();
        if skip > 0 {
            self.skip.set(skip - 1);
            return false;
        }
        Request::new(id, op, bell).is_some_and(|request| {
            self.context.submit(Request { rw_flags: request.rw_flags | libc::RWF_NOWAIT, ..request })
        })
    }

    /// The same for a thread that may wait until it has begun, which is less than until it has ended.
    pub(crate) fn write_later(
        &self,
        id: OpId,
        op: &Op,
        bell: &OwnedFd,
    ) -> impl FnOnce() -> bool + Send + use<> {
        let (context, request) = (self.context, Request::new(id, op, bell));
        move || request.is_some_and(|request| context.submit(request))
    }

    /// What has ended, with the bytes written. Never waits. An error that [`would_wait`] means that nothing was written.
    pub(crate) fn take(&self) -> Vec<(OpId, io::Result<usize>)> {
        let mut ended = Vec::new();
        loop {
            let mut events = [Event::default(); limits::AIO_WRITES];
            let count = self.context.events(&mut events);
            ended.extend(events[..count].iter().map(Event::outcome));
            if count < events.len() {
                break;
            }
        }
        if ended.iter().any(|(_, result)| result.as_ref().is_err_and(would_wait)) {
            self.skip.set(limits::AIO_PAUSE);
        }
        ended
    }
}

impl Context {
    fn submit(self, mut request: Request) -> bool {
        let mut list = [&raw mut request];
        // SAFETY: a list of one valid request, which the kernel copies. The memory that it names is initialised, and its
        // operation keeps it.
        unsafe { libc::syscall(libc::SYS_io_submit, self.0, 1, list.as_mut_ptr()) == 1 }
    }

    /// How many events there were.
    fn events(self, events: &mut [Event; limits::AIO_WRITES]) -> usize {
        let mut no_time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let time = &raw mut no_time;
        // SAFETY: room for as many events as it says; the time is valid.
        let count = unsafe {
            libc::syscall(libc::SYS_io_getevents, self.0, 0, events.len(), events.as_mut_ptr(), time)
        };
        // It fails for nothing but a signal, and then gives them the next time.
        usize::try_from(count).unwrap_or(0)
    }
}

impl Request {
    /// `None` for anything but a write that bypasses the page cache.
    fn new(id: OpId, op: &Op, bell: &OwnedFd) -> Option<Request> {
        let Op::Write { file, offset, buf, durability, direct: true } = op else { return None };
        Some(Request {
            data: u64::from(id.slot) << 32 | u64::from(id.generation),
            rw_flags: if *durability == Durability::Durable { libc::RWF_DSYNC } else { 0 },
            opcode: WRITE,
            file: file.raw() as u32,
            memory: buf.as_ptr() as u64,
            len: buf.len().min(REQUEST_BYTES) as u64,
            offset: *offset as i64,
            flags: TELL_EVENTFD,
            eventfd: bell.as_raw_fd() as u32,
            ..Request::default()
        })
    }
}

impl Event {
    fn outcome(&self) -> (OpId, io::Result<usize>) {
        let id = OpId { slot: (self.data >> 32) as u32, generation: self.data as u32 };
        let written = usize::try_from(self.result);
        (id, written.map_err(|_| io::Error::from_raw_os_error(-self.result as i32)))
    }
}

/// True for the answer to a write that could not be done without waiting, here or in this file system at all.
pub(crate) fn would_wait(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EOPNOTSUPP))
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl Drop for Aio {
    /// Waits for what is under way.
    fn drop(&mut self) {
        // SAFETY: our own context, of no use afterwards.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context.0) };
    }
}
