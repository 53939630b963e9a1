//! What the kernel's answer to a one-shot request means for its operation.

use std::io;

use crate::op::{Accepted, Op, Reply};

/// What has become of an operation.
pub(crate) enum Finish {
    Done(io::Result<Reply>),
    /// Some of what it sends is left: send on.
    Unsent,
}

/// The kernel has carried out a request of `op` and says `count`. `scratch` counts the bytes that a send has sent.
pub(crate) fn finish(op: &mut Op, scratch: &mut u32, count: io::Result<usize>) -> Finish {
    let done = match (op, count) {
        (_, Err(error)) => Err(error),
        (Op::Connect(connect), Ok(_)) => {
            let connecting = connect.connecting.take().expect("filled in at submission");
            Ok(Reply::Conn(Accepted { socket: connecting.socket, peer: connect.to.peer() }))
        }
        (Op::Send { data, .. }, Ok(sent)) => {
            *scratch += sent as u32;
            if (*scratch as usize) < data.len() {
                return Finish::Unsent;
            }
            Ok(Reply::Unit)
        }
        (Op::SendList { list, .. }, Ok(sent)) => {
            if !list.advance(sent) {
                return Finish::Unsent;
            }
            Ok(Reply::Unit)
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
    Finish::Done(done)
}

/// Errors of accept that are about the connection that was to be accepted, or a cancel: the next may succeed at
/// once. All others (no descriptors, no memory) are for the caller, who waits before trying again.
pub(crate) fn is_passing(errno: i32) -> bool {
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

/// The error of an operation that was cancelled.
pub(crate) fn cancelled() -> io::Error {
    io::Error::from_raw_os_error(libc::ECANCELED)
}
