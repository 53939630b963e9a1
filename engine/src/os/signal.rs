//! Signals as something to read.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::socket::check;

fn set_of(signals: &[i32]) -> io::Result<libc::sigset_t> {
    // SAFETY: all zeros is a valid sigset_t, which sigemptyset then initialises.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for writing.
    check(unsafe { libc::sigemptyset(&raw mut set) })?;
    for &signal in signals {
        // SAFETY: `set` is valid for writing; a signal that does not exist is an error.
        check(unsafe { libc::sigaddset(&raw mut set, signal) })?;
    }
    Ok(set)
}

/// A descriptor that reads `signals`, which must be blocked in all threads.
pub(crate) fn signal_fd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = set_of(signals)?;
    // SAFETY: `set` is valid for reading.
    let fd = check(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) })?;
    // SAFETY: just created, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes the next signal that waits; never waits itself when an event said that there is one.
pub(crate) fn read_signal(fd: &OwnedFd) -> io::Result<i32> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let len = size_of::<libc::signalfd_siginfo>();
    // SAFETY: room for one record.
    let got = unsafe { libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), len) };
    match usize::try_from(got) {
        // SAFETY: the kernel has filled it in, as the result says.
        Ok(got) if got == len => Ok(unsafe { info.assume_init() }.ssi_signo as i32),
        Ok(_) => Err(io::ErrorKind::Interrupted.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Restores the calling thread's signal mask when dropped.
pub(crate) struct SignalMask(libc::sigset_t);

/// Blocks signals in the calling thread and those that it starts.
pub(crate) fn block_signals(signals: &[i32]) -> io::Result<SignalMask> {
    let set = set_of(signals)?;
    let mut old = set;
    // SAFETY: both sets are valid.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut old) } {
        0 => Ok(SignalMask(old)),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: the set is valid.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}
