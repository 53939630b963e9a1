//! Buffers that the kernel may own for a while.

/// A page-aligned buffer for direct I/O. Derefs to the bytes written so far. Taken from, and on drop given
/// back to, the pool of the shard it is dropped on.
#[derive(Debug)]
pub struct AlignedBuf;

impl AlignedBuf {
    /// An empty buffer with room for at least `capacity_bytes`, rounded up to a whole number of 4 KiB pages.
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        todo!()
    }
    /// Most bytes it holds; it never grows.
    pub fn capacity(&self) -> usize {
        todo!()
    }
    /// Room left.
    pub fn remaining(&self) -> usize {
        todo!()
    }
    /// Appends; panics when it does not fit (callers check `remaining`).
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        todo!()
    }
    /// Appends zeros up to the next multiple of `alignment`.
    pub fn pad_to(&mut self, alignment: usize) {
        todo!()
    }
    /// Forgets the content.
    pub fn clear(&mut self) {
        todo!()
    }
    /// Sets the length, zero-filling when it grows.
    pub fn resize(&mut self, len: usize) {
        todo!()
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        todo!()
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        todo!()
    }
}

/// Bytes that arrived on a connection, in a buffer borrowed from the shard's ring: drop it soon. Empty means
/// the peer has closed its side.
#[derive(Debug)]
pub struct RecvBuf;

impl RecvBuf {
    /// Bytes in memory of their own: what the simulator delivers.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        todo!()
    }
}

impl std::ops::Deref for RecvBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        todo!()
    }
}
