//! The provided-buffer ring: the kernel takes a buffer when bytes arrive, not when a connection waits.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::buf::PAGE;
use crate::limits;

/// Buffers, and the ring of entries in which they are offered to the kernel. It must outlive the io_uring it is
/// registered with: the driver closes that first, and each received buffer holds a count of this.
pub(crate) struct BufRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    buffer_bytes: usize,
    /// Our tail of the ring: entries before it are filled in. The kernel sees it at `publish`.
    tail: Cell<u16>,
    published: Cell<u16>,
    /// The next entry that `fill` takes, where no kernel takes them.
    head: Cell<u16>,
    /// Buffers that the kernel may take, as far as we know: it has those of completions we did not see yet.
    free: Cell<usize>,
    low: usize,
    heap_bytes: Cell<usize>,
    heap_limit: usize,
}

/// Sizes of a [`BufRing`].
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Buffers, a power of two.
    pub(crate) count: u16,
    pub(crate) buffer_bytes: usize,
    /// Below this many free buffers the ring is low.
    pub(crate) low: usize,
    /// Bytes that may be copied to the heap while it is.
    pub(crate) heap_limit: usize,
}

impl BufRing {
    /// The buffers of a shard.
    pub(crate) fn for_a_shard() -> Self {
        BufRing::new(Sizes {
            count: limits::RECV_BUFFERS,
            buffer_bytes: limits::RECV_BUFFER_BYTES,
            low: limits::RECV_BUFFERS_LOW,
            heap_limit: limits::RECV_HEAP_BYTES,
        })
    }

    pub(crate) fn new(sizes: Sizes) -> Self {
        assert!(sizes.count.is_power_of_two() && sizes.buffer_bytes > 0);
        let entries = allocate(Self::entries_layout(sizes.count)).cast();
        let memory = allocate(Self::memory_layout(sizes.count, sizes.buffer_bytes));
        let ring = BufRing {
            entries,
            memory,
            count: sizes.count,
            buffer_bytes: sizes.buffer_bytes,
            tail: Cell::new(0),
            published: Cell::new(0),
            head: Cell::new(0),
            free: Cell::new(0),
            low: sizes.low,
            heap_bytes: Cell::new(0),
            heap_limit: sizes.heap_limit,
        };
        (0..sizes.count).for_each(|number| ring.give_back(number));
        ring.publish();
        ring
    }

    fn entries_layout(count: u16) -> Layout {
        Layout::from_size_align(usize::from(count) * size_of::<BufRingEntry>(), PAGE)
            .expect("at most 512 KiB")
    }

    fn memory_layout(count: u16, buffer_bytes: usize) -> Layout {
        Layout::from_size_align(usize::from(count) * buffer_bytes, PAGE)
            .expect("smaller than the address space")
    }

    /// What io_uring wants to know: address of the entries and their number.
    pub(crate) fn registration(&self) -> (u64, u16) {
        (self.entries.as_ptr() as u64, self.count)
    }

    /// Offers a buffer to the kernel, from the next `publish` on.
    pub(crate) fn give_back(&self, number: u16) {
        let tail = self.tail.get();
        // SAFETY: the index is below `count`, and the kernel does not read entries from our tail on: there are
        // never more buffers than entries. Only address, length and number are written, field by field: the ring's
        // tail, which the kernel may read meanwhile, shares the first entry's memory.
        unsafe {
            let entry = self.entries.as_ptr().add(usize::from(tail & (self.count - 1)));
            let address = self.memory.as_ptr().add(usize::from(number) * self.buffer_bytes);
            (*entry).set_addr(address as u64);
            (*entry).set_len(self.buffer_bytes as u32);
            (*entry).set_bid(number);
        }
        self.tail.set(tail.wrapping_add(1));
        self.free.set(self.free.get() + 1);
    }

    /// Makes the buffers given back since the last time visible to the kernel. True when there were any.
    pub(crate) fn publish(&self) -> bool {
        let tail = self.tail.get();
        if self.published.get() == tail {
            return false;
        }
        // SAFETY: the tail lies in the first entry, is aligned, and is only accessed atomically after this.
        let shared = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        shared.store(tail, Ordering::Release);
        self.published.set(tail);
        true
    }

    /// For a ring that no io_uring knows: lets `read` fill the next free buffer, and takes that when it gives bytes:
    /// its number and how many. None when no buffer is free.
    pub(crate) fn fill(
        &self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Option<io::Result<(u16, usize)>> {
        if self.free.get() == 0 {
            return None;
        }
        let head = self.head.get();
        // SAFETY: an entry below our tail, which is filled in; nobody else reads or writes entries here.
        let number = unsafe { (*self.entries.as_ptr().add(usize::from(head & (self.count - 1)))).bid() };
        // SAFETY: within the memory, which was zeroed at first, so initialised; a free buffer is nobody's.
        let memory = unsafe {
            let start = self.memory.as_ptr().add(usize::from(number) * self.buffer_bytes);
            std::slice::from_raw_parts_mut(start, self.buffer_bytes)
        };
        let result = read(memory);
        if matches!(result, Ok(1..)) {
            self.head.set(head.wrapping_add(1));
        }
        Some(result.map(|len| (number, len)))
    }

    pub(crate) fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }

    /// A completion says that the kernel has taken a buffer.
    pub(crate) fn taken(&self) {
        self.free.set(self.free.get() - 1);
    }

    /// Buffers that are not with us.
    pub(crate) fn free(&self) -> usize {
        self.free.get()
    }

    pub(crate) fn is_low(&self) -> bool {
        self.free.get() < self.low
    }

    /// The first `len` bytes of a buffer that the kernel has filled and that was not given back since.
    pub(crate) fn bytes(&self, number: u16, len: u32) -> &[u8] {
        assert!(number < self.count && len as usize <= self.buffer_bytes);
        // SAFETY: within the memory (asserted), which was zeroed at first, so initialised; the kernel writes a buffer
        // only while it is offered, and the caller (a `RecvBuf`) has it.
        unsafe {
            let start = self.memory.as_ptr().add(usize::from(number) * self.buffer_bytes);
            std::slice::from_raw_parts(start, len as usize)
        }
    }

    /// Counts bytes copied to the heap, unless that would be too many.
    pub(crate) fn try_count_heap(&self, bytes: usize) -> bool {
        let fits = self.heap_bytes.get() + bytes <= self.heap_limit;
        if fits {
            self.heap_bytes.set(self.heap_bytes.get() + bytes);
        }
        fits
    }

    pub(crate) fn uncount_heap(&self, bytes: usize) {
        self.heap_bytes.set(self.heap_bytes.get() - bytes);
    }
}

impl Drop for BufRing {
    fn drop(&mut self) {
        // SAFETY: allocated with the same layouts; the io_uring that knew them is closed, and nobody holds a buffer.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), Self::entries_layout(self.count));
            dealloc(self.memory.as_ptr(), Self::memory_layout(self.count, self.buffer_bytes));
        }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the size is not 0 (asserted by the only caller).
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
