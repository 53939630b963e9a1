//! The epoll instance: what is watched, and what it says.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::limits;
use crate::os::socket::check;

pub(super) struct Poller {
    epoll: OwnedFd,
}

/// What epoll says.
pub(super) enum Event {
    /// The shard's eventfd was written to.
    Bell,
    Signal,
    Socket {
        fd: RawFd,
        readable: bool,
        writable: bool,
        ended: bool,
    },
}

const BELL: u64 = u64::MAX;
const SIGNAL: u64 = u64::MAX - 1;

const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32;
const ENDED: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: just created, nobody else has it.
        Ok(Poller { epoll: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Each write to the eventfd is an event; it is never read.
    pub(super) fn watch_bell(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN | libc::EPOLLET, BELL)
    }

    pub(super) fn watch_socket(&self, fd: RawFd) -> io::Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.control(libc::EPOLL_CTL_ADD, fd, events, fd as u64)
    }

    /// One event for the signals that wait, or the next that comes.
    pub(super) fn watch_signals(&self, fd: RawFd) -> io::Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLONESHOT;
        match self.control(libc::EPOLL_CTL_MOD, fd, events, SIGNAL) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                self.control(libc::EPOLL_CTL_ADD, fd, events, SIGNAL)
            }
            result => result,
        }
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: data };
        // SAFETY: `event` is valid for reading.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) }).map(drop)
    }

    /// Waits for events, at most `timeout` (for ever without one), and adds them to `events`.
    pub(super) fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) {
        let mut raw = [libc::epoll_event { events: 0, u64: 0 }; limits::POLL_EVENTS];
        // Rounded up: a timer that has not come yet would be waited for in vain, again and again.
        let timeout_ms = timeout
            .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
        // SAFETY: room for as many events as it says.
        let count = check(unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), raw.as_mut_ptr(), raw.len() as i32, timeout_ms)
        });
        let count = match count {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => panic!("epoll_wait: {error}"),
        };
        events.extend(raw[..count].iter().map(|event| match event.u64 {
            BELL => Event::Bell,
            SIGNAL => Event::Signal,
            fd => Event::Socket {
                fd: fd as RawFd,
                readable: event.events & READABLE != 0,
                writable: event.events & WRITABLE != 0,
                ended: event.events & ENDED != 0,
            },
        }));
    }
}
