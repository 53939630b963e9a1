//! What has arrived.

use std::ops::Deref;

use engine::buf::RecvBuf;

/// Bytes that arrived on a [`Stream`](crate::Stream). Empty means the peer has closed its side.
#[derive(Debug)]
pub struct Received(Inner);

#[derive(Debug)]
enum Inner {
    /// As they came, mostly in a buffer of the shard's ring.
    Clear(RecvBuf),
    /// Decrypted.
    Decrypted(Vec<u8>),
}

impl Received {
    /// The bytes from `from` on in memory of their own, so that the shard's ring has its buffer back.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn into_vec(self, from: usize) -> Vec<u8> {
        match self.0 {
            Inner::Clear(buffer) => buffer[from..].to_vec(),
            Inner::Decrypted(mut bytes) => {
                bytes.drain(..from);
                bytes
            }
        }
    }
}

impl From<RecvBuf> for Received {
    fn from(buffer: RecvBuf) -> Received {
        Received(Inner::Clear(buffer))
    }
}

impl From<Vec<u8>> for Received {
    fn from(bytes: Vec<u8>) -> Received {
        Received(Inner::Decrypted(bytes))
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Clear(buffer) => buffer,
            Inner::Decrypted(bytes) => bytes,
        }
    }
}
