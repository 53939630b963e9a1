//! What both drivers of the kernel stand on: plain calls, pools of threads for what may block, buffers for what arrives.

use std::io;

pub(crate) mod aio;
pub(crate) mod bufring;
pub(crate) mod file;
pub(crate) mod finish;
pub(crate) mod gather;
pub(crate) mod path;
pub(crate) mod pool;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod unix;

/// Reads a clock of the kernel.
pub(crate) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing. It cannot fail for a clock that exists; if it does, time stands still.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How much memory this process may lock now, in bytes; `None`: as much as it wants.
pub(crate) fn memlock_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writing.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } != 0;
    (!failed && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Whether the limit on locked memory does not hold for this process: it has CAP_IPC_LOCK.
pub(crate) fn may_lock_memory() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    effective.is_some_and(|bits| bits & 1 << CAP_IPC_LOCK != 0)
}

/// Randomness from the kernel.
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    // SAFETY: `seed` is valid for writing its length. So few bytes come whole.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    if got == seed.len() as isize { Ok(seed) } else { Err(io::Error::last_os_error()) }
}
