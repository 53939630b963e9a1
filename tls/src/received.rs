//! What has arrived.

use std::ops::Deref;

use engine::buf::RecvBuf;

/// Bytes that arrived on a [`Stream`](crate::Stream). Empty means the peer has closed its side.
#[derive(Debug)]
pub struct Received(RecvBuf);

impl From<RecvBuf> for Received {
    fn from(buffer: RecvBuf) -> Received {
        Received(buffer)
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
