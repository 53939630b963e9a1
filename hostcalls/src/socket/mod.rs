//! The classes `Socket` and `TLSSocket`: connections of a script's own.

mod plain;
#[cfg(test)]
mod tests;
mod tls;

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use bytes::Bytes;

use crate::library::Family;

/// Both classes.
pub(crate) static FAMILY: Family = Family {
    classes: &[&plain::CLASS, &tls::CLASS],
    host: &{
        let [bind, connect, send, recv, shutdown] = plain::HOST;
        let [handshake, tls_send, tls_recv, tls_shutdown] = tls::HOST;
        [bind, connect, send, recv, shutdown, handshake, tls_send, tls_recv, tls_shutdown]
    },
    ..Family::EMPTY
};

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
/// `EMFILE`, when a script has opened all that it may.
const EMFILE: i32 = 24;
/// `EAFNOSUPPORT`, when an address is of another family.
const EAFNOSUPPORT: i32 = 97;
/// `EADDRINUSE`
const EADDRINUSE: i32 = 98;
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
