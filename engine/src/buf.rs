//! Buffers that the kernel may own for a while.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::limits;
use crate::os::bufring::BufRing;
use crate::shard;

/// Size and alignment unit of [`AlignedBuf`].
pub const PAGE: usize = 4096;

/// A page-aligned buffer for direct I/O. Derefs to the bytes written so far. Taken from, and on drop given
/// back to, the pool of the shard it is dropped on.
pub struct AlignedBuf {
    memory: NonNull<u8>,
    /// A multiple of `PAGE`, not 0.
    capacity: usize,
    /// The first `len` bytes are initialised.
    len: usize,
}

// SAFETY: it owns its memory alone, like a `Vec<u8>`.
unsafe impl Send for AlignedBuf {}
// SAFETY: `&AlignedBuf` only reads.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// An empty buffer with room for at least `capacity_bytes`, rounded up to a whole number of 4 KiB pages.
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        let capacity = capacity_bytes.max(1).next_multiple_of(PAGE);
        let pooled = shard::try_with(|shard| shard.pool.take(capacity)).flatten();
        AlignedBuf { memory: pooled.unwrap_or_else(|| allocate(capacity)), capacity, len: 0 }
    }
    /// Most bytes it holds; it never grows.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
    /// Room left.
    pub fn remaining(&self) -> usize {
        self.capacity - self.len
    }
    /// Appends; panics when it does not fit (callers check `remaining`).
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining(), "{} bytes into {} left", bytes.len(), self.remaining());
        // SAFETY: there is room (asserted), and `bytes` cannot overlap memory that is borrowed mutably here.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.memory.as_ptr().add(self.len), bytes.len());
        }
        self.len += bytes.len();
    }
    /// Appends zeros up to the next multiple of `alignment`.
    pub fn pad_to(&mut self, alignment: usize) {
        self.resize(self.len.next_multiple_of(alignment));
    }
    /// Forgets the content.
    pub fn clear(&mut self) {
        self.len = 0;
    }
    /// Sets the length, zero-filling when it grows.
    pub fn resize(&mut self, len: usize) {
        assert!(len <= self.capacity, "{len} bytes into a buffer of {}", self.capacity);
        if len > self.len {
            // SAFETY: from `len` to the new length lies within the capacity (asserted).
            unsafe { self.memory.as_ptr().add(self.len).write_bytes(0, len - self.len) };
        }
        self.len = len;
    }
    /// Where the kernel reads or writes.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.memory.as_ptr()
    }
    /// Sets the length after the kernel has written.
    ///
    /// # Safety
    /// The first `len` bytes are initialised, and `len` is at most the capacity.
    pub(crate) unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity);
        self.len = len;
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        let pooled = shard::try_with(|shard| shard.pool.give(self.memory, self.capacity));
        if pooled != Some(true) {
            free(self.memory, self.capacity);
        }
    }
}

impl std::fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuf({} of {} bytes)", self.len, self.capacity)
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised and owned.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.len) }
    }
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(capacity, PAGE).expect("a buffer is smaller than the address space")
}

fn allocate(capacity: usize) -> NonNull<u8> {
    // SAFETY: the size is not 0.
    let memory = unsafe { alloc(layout(capacity)) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout(capacity)))
}

fn free(memory: NonNull<u8>, capacity: usize) {
    // SAFETY: `memory` came from `allocate` with the same capacity, and its only owner is gone.
    unsafe { dealloc(memory.as_ptr(), layout(capacity)) };
}

/// A shard's unused aligned buffers, by capacity.
#[derive(Default)]
pub(crate) struct Pool {
    free: RefCell<BTreeMap<usize, Vec<NonNull<u8>>>>,
    /// Bytes in `free`.
    bytes: Cell<usize>,
}

impl Pool {
    fn take(&self, capacity: usize) -> Option<NonNull<u8>> {
        let memory = self.free.borrow_mut().get_mut(&capacity)?.pop()?;
        self.bytes.set(self.bytes.get() - capacity);
        Some(memory)
    }

    /// False when the pool is full: the caller frees.
    fn give(&self, memory: NonNull<u8>, capacity: usize) -> bool {
        if self.bytes.get() + capacity > limits::POOL_BYTES {
            return false;
        }
        self.bytes.set(self.bytes.get() + capacity);
        self.free.borrow_mut().entry(capacity).or_default().push(memory);
        true
    }

    /// Bytes kept for reuse.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (&capacity, list) in self.free.get_mut().iter() {
            list.iter().for_each(|&memory| free(memory, capacity));
        }
    }
}

/// Bytes that arrived on a connection, in a buffer borrowed from the shard's ring: drop it soon. Empty means
/// the peer has closed its side.
#[derive(Debug)]
pub struct RecvBuf(Inner);

enum Inner {
    /// The first `len` bytes of ring buffer `number`, which is ours until dropped.
    Ring {
        ring: Rc<BufRing>,
        number: u16,
        len: u32,
    },
    Heap(HeapBytes),
    Simulated(Vec<u8>),
}

/// Bytes copied out of the ring when it ran low, counted.
struct HeapBytes {
    bytes: Box<[u8]>,
    ring: Rc<BufRing>,
}

impl RecvBuf {
    /// Bytes in memory of their own: what the simulator delivers.
    pub(crate) fn from_vec(bytes: Vec<u8>) -> Self {
        RecvBuf(Inner::Simulated(bytes))
    }
    /// The end of a stream.
    pub(crate) fn empty() -> Self {
        RecvBuf(Inner::Simulated(Vec::new()))
    }
    /// The first `len` bytes of a buffer that the kernel has taken from `ring` and filled. They are copied and the
    /// buffer goes back at once when the ring runs low, as long as the heap may take them.
    pub(crate) fn received(ring: &Rc<BufRing>, number: u16, len: u32) -> Self {
        ring.taken();
        let filled = RecvBuf(Inner::Ring { ring: ring.clone(), number, len });
        if !ring.is_low() || !ring.try_count_heap(len as usize) {
            return filled;
        }
        RecvBuf(Inner::Heap(HeapBytes { bytes: Box::from(&*filled), ring: ring.clone() }))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Inner::Ring { number, len, .. } => write!(f, "{len} bytes in ring buffer {number}"),
            Inner::Heap(heap) => write!(f, "{} bytes", heap.bytes.len()),
            Inner::Simulated(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl std::ops::Deref for RecvBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Ring { ring, number, len } => ring.bytes(*number, *len),
            Inner::Heap(heap) => &heap.bytes,
            Inner::Simulated(bytes) => bytes,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Inner::Ring { ring, number, .. } = self {
            ring.give_back(*number);
        }
    }
}

impl Drop for HeapBytes {
    fn drop(&mut self) {
        self.ring.uncount_heap(self.bytes.len());
    }
}

#[cfg(test)]
mod tests;
