//! The allocator of all programs, and when memory that was freed goes back to the system: at times that suit the shards.
//!
//! The allocator keeps what is freed, for it is often wanted again, and gives it back to the system when some thread next
//! allocates: a shard that has just let go of a hundred megabytes would stand still for that, and a server with nothing to do
//! would keep them. After [`set_up`] no thread does it by itself, and one that may wait calls [`give_back`] now and then.
//!
//! [`set_up`] and [`give_back`] are about mimalloc, behind [`Allocator`]. In a program with another one they change little.

mod stock;

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_long, c_void};
use std::ptr;

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

// The bindings leave these out unless asked for all of it.
unsafe extern "C" {
    fn mi_collect(force: bool);
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// `mi_option_purge_delay`, in milliseconds.
const PURGE_DELAY: c_int = 15;

/// A day: longer than anybody waits who calls [`give_back`].
const NEVER_MS: c_long = 24 * 3600 * 1000;

/// mimalloc as a program's allocator: `#[global_allocator]`.
///
/// The crate of that name asks for aligned memory always. Of sizes that are no power of two that takes a way of its own, which
/// reserves more and makes freeing slower, though blocks are aligned well enough for nearly all types as they come. Shards keep
/// small blocks that they have just freed.
#[derive(Debug)]
pub struct Allocator;

/// What mimalloc aligns its blocks to (`MI_MAX_ALIGN_SIZE`), those of at least so many bytes; smaller ones to eight.
const BLOCK_ALIGN: usize = 16;

/// How a block is taken and freed: that follows from its layout, so that it is the same both times.
enum Kind {
    /// One of [`stock`]'s sizes.
    Small,
    /// Aligned as the layout wants anyhow.
    Plain,
    Aligned,
}

#[inline]
const fn kind(layout: Layout) -> Kind {
    match (layout.size(), layout.align()) {
        (_, BLOCK_ALIGN_ABOVE..) => Kind::Aligned,
        (1..=stock::MAX_BYTES, _) => Kind::Small,
        _ => Kind::Plain,
    }
}

const BLOCK_ALIGN_ABOVE: usize = BLOCK_ALIGN + 1;

// SAFETY: all memory is mimalloc's, whose functions do not unwind; each returns a block of at least the size and of the alignment
// of the layout, or null. Small blocks have a multiple of 16 bytes, so that they are aligned to as much, and are interchangeable
// with others of their size class.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = match kind(layout) {
            Kind::Small => {
                let block = stock::take(size);
                // SAFETY: takes any size.
                if block.is_null() { unsafe { mi_malloc(stock::rounded(size)) } } else { block }
            }
            // SAFETY: as above.
            Kind::Plain => unsafe { mi_malloc(size) },
            // SAFETY: alignments of layouts are powers of two.
            Kind::Aligned => unsafe { mi_malloc_aligned(size, align) },
        };
        block.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        let block = match kind(layout) {
            Kind::Small => {
                let block = stock::take(size);
                if block.is_null() {
                    // SAFETY: takes any size.
                    unsafe { mi_zalloc(stock::rounded(size)) }
                } else {
                    // SAFETY: a kept block has at least that size.
                    unsafe { block.write_bytes(0, size) };
                    block
                }
            }
            // SAFETY: takes any size.
            Kind::Plain => unsafe { mi_zalloc(size) },
            // SAFETY: alignments of layouts are powers of two.
            Kind::Aligned => unsafe { mi_zalloc_aligned(size, align) },
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let block = block.cast::<c_void>();
        // SAFETY: the caller says that the block is from here, has this layout, and is free. All that are from here are mimalloc's.
        unsafe {
            if !(matches!(kind(layout), Kind::Small) && stock::put(block, layout.size())) {
                mi_free(block);
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller gives a size that makes a layout with this alignment, and is not 0.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, align) };
        // SAFETY: the block is from here and has this layout; `mi_realloc` goes with blocks of all kinds. A small one that becomes
        // another small one is moved, within what both have.
        let block = unsafe {
            match (kind(layout), kind(wanted)) {
                (Kind::Small, Kind::Small) if stock::rounded(layout.size()) == stock::rounded(size) => {
                    block.cast()
                }
                (Kind::Small, Kind::Small) => {
                    let other = self.alloc(wanted);
                    if !other.is_null() {
                        ptr::copy_nonoverlapping(block, other, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    other.cast()
                }
                (_, Kind::Small) => mi_realloc(block.cast(), stock::rounded(size)),
                (_, Kind::Plain) => mi_realloc(block.cast(), size),
                (_, Kind::Aligned) => mi_realloc_aligned(block.cast(), size, align),
            }
        };
        block.cast()
    }
}

/// From now on memory goes back only by [`give_back`]; a `MIMALLOC_PURGE_DELAY` in the environment goes before this. And it comes
/// in small pages: of a huge one all counts, however little of it is in use. For the start of a program.
pub fn set_up() {
    // SAFETY: the option exists (a test below reads it), and may be set at any time from any thread.
    unsafe { mi_option_set_default(PURGE_DELAY, NEVER_MS) };
    // SAFETY: numbers only. Where it fails, there are huge pages as before.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Gives what all threads have freed back to the system. It may take tens of milliseconds: not on a shard.
pub fn give_back() {
    // SAFETY: may be called at any time. It looks at the calling thread's heap, and at what others have let go of for good.
    unsafe { mi_collect(true) };
}

pub(crate) use stock::keep;

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
        fn mi_option_set(option: c_int, value: c_long);
    }

    #[test]
    fn blocks_are_aligned_as_asked_and_keep_what_is_in_them() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..200).chain([1000, 1024, 1032, 2720, 5000, 70_000, 3 << 20]) {
                let layout = Layout::from_size_align(size, align).expect("it is small");
                let larger = size + size / 2 + 1;
                // SAFETY: the block is used within its size, reallocated and freed with the layout that it has.
                unsafe {
                    let blocks = [Allocator.alloc_zeroed(layout), Allocator.alloc(layout)];
                    for block in blocks {
                        assert!(
                            block.addr().is_multiple_of(align),
                            "{size} bytes aligned to {align}: {block:p}"
                        );
                        block.add(size - 1).write(7);
                        let block = Allocator.realloc(block, layout, larger);
                        assert!(
                            block.addr().is_multiple_of(align),
                            "{larger} bytes aligned to {align}: {block:p}"
                        );
                        assert_eq!(block.add(size - 1).read(), 7);
                        Allocator
                            .dealloc(block, Layout::from_size_align(larger, align).expect("it is small"));
                    }
                }
            }
        }
    }

    #[test]
    fn the_option_is_the_delay_and_is_set() {
        // SAFETY: reads and writes a number.
        let (before, after) = unsafe {
            let before = mi_option_get(PURGE_DELAY);
            set_up();
            let after = mi_option_get(PURGE_DELAY);
            mi_option_set(PURGE_DELAY, before);
            (before, after)
        };
        assert_eq!((before, after), (1000, NEVER_MS), "the default of mimalloc 3, and ours");
        give_back();
    }
}
