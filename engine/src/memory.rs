//! Memory that was freed goes back to the system, at times that suit the shards.
//!
//! The allocator keeps what is freed, for it is often wanted again, and gives it back to the system when some thread next
//! allocates: a shard that has just let go of a hundred megabytes would stand still for that, and a server with nothing to do
//! would keep them. After [`set_up`] no thread does it by itself, and one that may wait calls [`give_back`] now and then.
//!
//! This is about mimalloc, which the server's program has. In one with another allocator it changes little.

use std::ffi::{c_int, c_long};

// Links the allocator, whose bindings leave these out unless asked for all of it.
use libmimalloc_sys as _;

unsafe extern "C" {
    fn mi_collect(force: bool);
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// `mi_option_purge_delay`, in milliseconds.
const PURGE_DELAY: c_int = 15;

/// A day: longer than anybody waits who calls [`give_back`].
const NEVER_MS: c_long = 24 * 3600 * 1000;

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

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
        fn mi_option_set(option: c_int, value: c_long);
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
