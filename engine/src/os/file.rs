//! Reads, writes and syncs of files, as calls that a pool's thread makes: for the driver that has no ring.

use std::io;

use super::socket::check;
use crate::disk::Durability;
use crate::op::Op;

type FileJob = Box<dyn FnOnce() -> io::Result<usize> + Send>;

/// Most bytes of one read or write.
pub(crate) const REQUEST_BYTES: usize = 1 << 30;

/// Memory of an operation in the table, on its way to a thread of the pool.
struct Memory(*mut u8, usize);

// SAFETY: the operation owns the memory, and stays in the table until the pool's answer has come: it is neither freed
// nor touched meanwhile (a cancel of it waits; a shard that stops without the answer leaks the table).
unsafe impl Send for Memory {}

/// The job of an operation on a file. Descriptor and buffer stay valid: the operation owns them until the job is done.
pub(super) fn job(op: &mut Op) -> FileJob {
    match op {
        Op::Read { file, offset, len, buf } => {
            let (file, offset) = (file.raw(), *offset as libc::off_t);
            let memory = Memory(buf.as_mut_ptr(), (*len).min(buf.capacity()).min(REQUEST_BYTES));
            Box::new(move || {
                let Memory(start, len) = { memory };
                // SAFETY: room for `len` bytes, see `Memory`.
                retry(|| unsafe { libc::pread(file, start.cast(), len, offset) })
            })
        }
        Op::Write { file, offset, buf, durability, .. } => {
            let (file, offset) = (file.raw(), *offset as libc::off_t);
            let memory = Memory(buf.as_mut_ptr(), buf.len().min(REQUEST_BYTES));
            let flags = if *durability == Durability::Durable { libc::RWF_DSYNC } else { 0 };
            Box::new(move || {
                let Memory(start, len) = { memory };
                let vector = libc::iovec { iov_base: start.cast(), iov_len: len };
                // SAFETY: `len` initialised bytes, see `Memory`.
                retry(|| unsafe { libc::pwritev2(file, &raw const vector, 1, offset, flags) })
            })
        }
        Op::Sync { file, directory } => {
            let (file, directory) = (file.raw(), *directory);
            Box::new(move || {
                // SAFETY: no pointers.
                let result = unsafe { if directory { libc::fsync(file) } else { libc::fdatasync(file) } };
                check(result).map(|_| 0)
            })
        }
        _ => unreachable!("only operations on files come here"),
    }
}

/// The count that a call gives, made again when a signal interrupted it.
fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
