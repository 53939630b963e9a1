//! The classes `Socket` and `TLSSocket`: connections of a script's own.

mod plain;
#[cfg(test)]
mod tests;
mod tls;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::library::Family;
use crate::limits;

/// Both classes.
pub(crate) static FAMILY: Family = Family {
    classes: &[&plain::CLASS, &tls::CLASS],
    host: &{
        let [connect, send, recv, shutdown] = plain::HOST;
        let [handshake, tls_send, tls_recv, tls_shutdown] = tls::HOST;
        [connect, send, recv, shutdown, handshake, tls_send, tls_recv, tls_shutdown]
    },
    ..Family::EMPTY
};

/// One of the descriptors that an execution may have open; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Rc<Cell<usize>>);

impl Slot {
    /// Takes one; none when the execution has [`limits::SOCKETS_MAX`].
    pub(crate) fn take(open: &Rc<Cell<usize>>) -> Option<Slot> {
        if open.get() >= limits::SOCKETS_MAX {
            return None;
        }
        open.set(open.get() + 1);
        Some(Slot(open.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// How to receive.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    peek: bool,
    wait_all: bool,
    dont_wait: bool,
}

/// What was received and not yet taken.
#[derive(Debug, Default)]
struct Inbox {
    bytes: RefCell<Bytes>,
}

impl Inbox {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    fn is_empty(&self) -> bool {
        self.bytes.borrow().is_empty()
    }

    fn push(&self, more: &[u8]) {
        let mut bytes = self.bytes.borrow_mut();
        *bytes = match bytes.is_empty() {
            true => Bytes::copy_from_slice(more),
            false => [&bytes[..], more].concat().into(),
        };
    }

    fn take(&self, length: usize, peek: bool) -> Bytes {
        let mut bytes = self.bytes.borrow_mut();
        let length = length.min(bytes.len());
        if peek { bytes.slice(..length) } else { bytes.split_to(length) }
    }

    fn clear(&self) {
        self.bytes.take();
    }
}

/// `EAGAIN`, what a socket says when time is up.
const EAGAIN: i32 = 11;
/// `EINVAL`
const EINVAL: i32 = 22;
/// `ENOTCONN`
const ENOTCONN: i32 = 107;
/// `EBADF`
const EBADF: i32 = 9;

/// The number of an error.
fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(match error.kind() {
        io::ErrorKind::InvalidInput => EINVAL,
        _ => 5,
    })
}

/// Runs an operation within a socket's time.
async fn within<T>(
    timeout: Option<Duration>,
    operation: impl Future<Output = io::Result<T>>,
) -> Result<T, i32> {
    let result = match timeout {
        None => operation.await,
        Some(timeout) => match engine::time::timeout(timeout, operation).await {
            Ok(result) => result,
            Err(_) => return Err(EAGAIN),
        },
    };
    result.map_err(|error| errno(&error))
}
