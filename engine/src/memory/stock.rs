//! Small blocks that a shard has just freed and will want again.
//!
//! mimalloc hands the blocks of a page out in turn, so that each one that it gives has long left the caches of the CPU, and to
//! free one it looks up its page. What a shard does for a message takes and frees hundreds of small blocks: the last one that was
//! freed is still in the cache. Its size is known when it is freed, so that it needs no looking up either.
//!
//! Blocks are mimalloc's, whoever has them; one that was taken on one thread may be freed and kept on another. A kept block's
//! first word is the address of the next.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use libmimalloc_sys::mi_free;

/// The largest blocks that are kept: the task of a session that waits is smaller.
pub(super) const MAX_BYTES: usize = 4096;
/// Sizes are multiples of this, which is what mimalloc aligns to.
const STEP: usize = super::BLOCK_ALIGN;
const CLASSES: usize = MAX_BYTES / STEP + 1;
/// What is kept of one size, at most: so many bytes, and so many blocks. All sizes together: 2 MiB.
const CLASS_BYTES: usize = 8 << 10;
const CLASS_BLOCKS: usize = 64;

/// The blocks of one size.
struct Class {
    first: Cell<*mut c_void>,
    /// How many more may be kept: none before the thread [keeps](keep) any.
    room: Cell<u32>,
}

thread_local! {
    // Neither made lazily nor dropped: there is no moment at which it cannot be used.
    static STOCK: [Class; CLASSES] =
        const { [const { Class { first: Cell::new(ptr::null_mut()), room: Cell::new(0) } }; CLASSES] };
}

/// The size of a block for so many bytes.
#[inline]
pub(super) const fn rounded(size: usize) -> usize {
    size.next_multiple_of(STEP)
}

/// A kept block of at least `size` bytes, which are at most [`MAX_BYTES`] and not 0; null: there is none.
#[inline]
pub(super) fn take(size: usize) -> *mut c_void {
    STOCK.with(|stock| {
        let class = &stock[size.div_ceil(STEP)];
        let block = class.first.get();
        if !block.is_null() {
            // SAFETY: a kept block has room for a pointer, is aligned for one, and holds one.
            class.first.set(unsafe { *block.cast::<*mut c_void>() });
            class.room.set(class.room.get() + 1);
        }
        block
    })
}

/// Keeps a block that is free now; false: it is not kept.
///
/// # Safety
/// Nobody uses the block any more, and it has [`rounded`]`(size)` bytes, at most [`MAX_BYTES`] and not 0, which mimalloc gave.
#[inline]
pub(super) unsafe fn put(block: *mut c_void, size: usize) -> bool {
    STOCK.with(|stock| {
        let class = &stock[size.div_ceil(STEP)];
        let room = class.room.get();
        if room == 0 {
            return false;
        }
        // SAFETY: it has at least 16 bytes, aligned to as much.
        unsafe { *block.cast::<*mut c_void>() = class.first.get() };
        class.first.set(block);
        class.room.set(room - 1);
        true
    })
}

/// While it lives, its thread keeps blocks. For threads that live as long as the program, such as those of shards.
#[derive(Debug)]
pub(crate) struct Keeping {
    // It belongs to this thread.
    _thread: std::marker::PhantomData<*const ()>,
}

/// Begins to keep blocks on this thread.
pub(crate) fn keep() -> Keeping {
    STOCK.with(|stock| {
        for (class, number) in stock.iter().zip(0..).skip(1) {
            let most = (CLASS_BYTES / (number * STEP)).min(CLASS_BLOCKS);
            class.room.set(most as u32);
        }
    });
    Keeping { _thread: std::marker::PhantomData }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        STOCK.with(|stock| {
            for (class, number) in stock.iter().zip(0..).skip(1) {
                loop {
                    let block = take(number * STEP);
                    if block.is_null() {
                        break;
                    }
                    // SAFETY: a kept block is mimalloc's, and nobody uses it.
                    unsafe { mi_free(block) };
                }
                class.room.set(0);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};

    use super::super::Allocator;
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("it is small")
    }

    /// Blocks as long as the test has them, each filled with a byte of its own.
    struct Held(Vec<(*mut u8, usize, u8)>);

    impl Held {
        fn take(&mut self, size: usize, mark: u8) {
            // SAFETY: within the size of the layout.
            unsafe {
                let block = Allocator.alloc(layout(size));
                block.write_bytes(mark, size);
                self.0.push((block, size, mark));
            }
        }

        fn check(&self, at: usize) {
            let (block, size, mark) = self.0[at];
            // SAFETY: it was written whole, and not freed.
            let bytes = unsafe { std::slice::from_raw_parts(block, size) };
            assert!(bytes.iter().all(|&byte| byte == mark), "{size} bytes of {mark} changed");
        }

        fn grow(&mut self, at: usize, to: usize) {
            let (block, size, mark) = self.0[at];
            // SAFETY: the layout is the one that it has.
            unsafe {
                let block = Allocator.realloc(block, layout(size), to);
                let kept = std::slice::from_raw_parts(block, size.min(to));
                assert!(kept.iter().all(|&byte| byte == mark), "{size} to {to} bytes of {mark} changed");
                block.write_bytes(mark, to);
                self.0[at] = (block, to, mark);
            }
        }

        fn free(&mut self, at: usize) {
            self.check(at);
            let (block, size, _) = self.0.swap_remove(at);
            // SAFETY: the layout is the one that it has.
            unsafe { Allocator.dealloc(block, layout(size)) };
        }
    }

    #[test]
    fn no_block_is_given_twice_and_none_loses_what_is_in_it() {
        let keeping = keep();
        let mut held = Held(Vec::new());
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for round in 0..60_000 {
            let size = 1 + random(if round % 3 == 0 { MAX_BYTES + 200 } else { 200 });
            match random(5) {
                0 | 1 if held.0.len() < 400 => held.take(size, round as u8),
                2 if !held.0.is_empty() => held.grow(random(held.0.len()), size),
                _ if !held.0.is_empty() => held.free(random(held.0.len())),
                _ => {}
            }
        }
        drop(keeping);
        (0..held.0.len()).rev().for_each(|at| held.free(at));
    }

    #[test]
    fn the_block_that_was_freed_last_comes_first_and_a_zeroed_one_is_zero() {
        let keeping = keep();
        let mut held = Held(Vec::new());
        held.take(100, 1);
        let first = held.0[0].0;
        held.free(0);
        // SAFETY: the block is used within its size and freed with its layout.
        unsafe {
            let block = Allocator.alloc_zeroed(layout(97));
            assert_eq!(block, first, "112 bytes either way");
            assert!(std::slice::from_raw_parts(block, 97).iter().all(|&byte| byte == 0));
            Allocator.dealloc(block, layout(97));
        }
        drop(keeping);
        assert!(take(100).is_null(), "what was kept is mimalloc's again");
    }

    #[test]
    fn blocks_of_one_thread_may_be_freed_and_kept_on_another() {
        let (send, receive) = std::sync::mpsc::channel::<(usize, usize)>();
        let other = std::thread::spawn(move || {
            let keeping = keep();
            for (address, size) in receive {
                let block = ptr::with_exposed_provenance_mut::<u8>(address);
                // SAFETY: the other thread has given it away, with its size.
                unsafe {
                    Allocator.dealloc(block, layout(size));
                    let again = Allocator.alloc(layout(size));
                    again.write_bytes(1, size);
                    Allocator.dealloc(again, layout(size));
                }
            }
            drop(keeping);
        });
        for size in (1..2_000).cycle().take(20_000) {
            // SAFETY: written within its size.
            let block = unsafe {
                let block = Allocator.alloc(layout(size));
                block.write_bytes(2, size);
                block
            };
            send.send((block.expose_provenance(), size)).expect("the other thread listens");
        }
        drop(send);
        other.join().expect("no panic");
    }

    #[test]
    fn a_thread_that_does_not_keep_keeps_nothing_and_no_more_is_kept_than_there_is_room_for() {
        let mut held = Held(Vec::new());
        held.take(64, 1);
        held.free(0);
        assert!(take(64).is_null());
        let keeping = keep();
        (0..CLASS_BLOCKS + 10).for_each(|_| held.take(64, 1));
        while !held.0.is_empty() {
            held.free(0);
        }
        let kept = std::iter::from_fn(|| Some(take(64)).filter(|block| !block.is_null()));
        let kept: Vec<_> = kept.collect();
        assert_eq!(kept.len(), CLASS_BLOCKS);
        // SAFETY: they were kept, and nobody else has them.
        kept.into_iter().for_each(|block| unsafe { mi_free(block) });
        drop(keeping);
    }
}
