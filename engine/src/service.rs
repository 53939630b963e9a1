//! The service manager's protocol: listening sockets that it hands over at start and keeps across restarts
//! (sd_listen_fds(3), the file descriptor store), and what it is told (sd_notify(3)).
//!
//! A socket that the manager keeps stays open while no process serves it: connections wait in its backlog for the
//! next one, and none is refused.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::op::Descriptor;
use crate::os::socket;

/// The first of the descriptors that are handed over (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;
/// More descriptors than any number of shards and listeners has.
const MOST: i32 = 65_536;

/// A listening TCP socket that the service manager handed over. Closed when dropped.
#[derive(Debug)]
pub struct PassedSocket {
    name: String,
    socket: OwnedFd,
    local: SocketAddr,
}

/// A descriptor that was handed over and cannot be used. It has been closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Its name, as in `FileDescriptorName=`.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "socket \"{}\" from the service manager: {}", self.name, self.why)
    }
}

/// Takes the sockets that the service manager handed over, as `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` say. Only
/// the first call gives any. To be called before threads start programs, as those would inherit the descriptors.
pub fn passed_sockets() -> Vec<Result<PassedSocket, Unfit>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<i32>().ok());
    if number("LISTEN_PID") != i32::try_from(std::process::id()).ok() {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, MOST);
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    (FIRST..FIRST + count)
        .map(|raw| {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
            // SAFETY: no pointers; fails for a descriptor that is not open.
            match socket::check(unsafe { libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) }) {
                // SAFETY: it is open, the manager's variables say that it is for this process, and the flag above makes
                // sure that it is taken once.
                Ok(_) => PassedSocket::take(name, unsafe { OwnedFd::from_raw_fd(raw) }),
                Err(error) => Err(Unfit { name, why: format!("descriptor {raw}: {error}") }),
            }
        })
        .collect()
}

impl PassedSocket {
    fn take(name: String, socket: OwnedFd) -> Result<PassedSocket, Unfit> {
        let option = |level, option| socket::option(socket.as_raw_fd(), level, option);
        let listens = option(libc::SOL_SOCKET, libc::SO_ACCEPTCONN).is_ok_and(|value| value == 1)
            && option(libc::SOL_SOCKET, libc::SO_TYPE).is_ok_and(|value| value == libc::SOCK_STREAM);
        if !listens {
            return Err(Unfit { name, why: "not a listening stream socket".to_owned() });
        }
        let local = match socket::local_addr_of(socket.as_raw_fd()) {
            Ok(local) => local,
            Err(error) => return Err(Unfit { name, why: format!("not a TCP socket: {error}") }),
        };
        let only_v6 = option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY).is_ok_and(|value| value == 1);
        if local.is_ipv6() && local.ip().is_unspecified() && !only_v6 {
            let why =
                format!("{local} takes IPv4, too: set BindIPv6Only=ipv6-only, and listen on 0.0.0.0 as well");
            return Err(Unfit { name, why });
        }
        Ok(PassedSocket { name, socket, local })
    }

    /// Its name, as in `FileDescriptorName=` or as it was [kept](Manager::keep).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The same socket once more, for another shard.
    pub fn try_clone(&self) -> io::Result<PassedSocket> {
        let socket = self.socket.try_clone()?;
        Ok(PassedSocket { name: self.name.clone(), socket, local: self.local })
    }

    /// One for a test.
    #[cfg(test)]
    pub(crate) fn of(socket: OwnedFd) -> PassedSocket {
        PassedSocket::take("test".to_owned(), socket).expect("it listens")
    }

    /// The descriptor, for the driver of a shard.
    pub(crate) fn into_descriptor(self) -> Descriptor {
        use std::os::fd::IntoRawFd;
        Descriptor::os(self.socket.into_raw_fd())
    }
}

/// The service manager, where there is one that wants to be told.
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that `NOTIFY_SOCKET` names; `None` when the program was started without one.
    pub fn from_environment() -> Option<io::Result<Manager>> {
        let path = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
        Some(Manager::connect(&path))
    }

    fn connect(path: &OsStr) -> io::Result<Manager> {
        let addr = match path.as_bytes() {
            [b'@', name @ ..] => std::os::unix::net::SocketAddr::from_abstract_name(name)?,
            path => std::os::unix::net::SocketAddr::from_pathname(OsStr::from_bytes(path))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&addr)?;
        // A manager that does not read must not stop us.
        socket.set_nonblocking(true)?;
        Ok(Manager { socket, watchdog: watchdog() })
    }

    /// How long the manager waits between two `WATCHDOG=1` before it thinks that this process hangs.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells it something: assignments, one a line, such as `READY=1`.
    pub fn tell(&self, state: &str) -> io::Result<()> {
        self.socket.send(state.as_bytes()).map(drop)
    }

    /// Tells it that the configuration is being read again, and since when; [`Manager::tell`] it `READY=1` after that.
    pub fn tell_reloading(&self) -> io::Result<()> {
        let usec = crate::os::clock_ns(libc::CLOCK_MONOTONIC) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"))
    }

    /// Gives it copies of sockets, which it hands over at the next start under this name (without colons).
    pub fn keep(&self, name: &str, sockets: &[OwnedFd]) -> io::Result<()> {
        for sockets in sockets.chunks(socket::MESSAGE_DESCRIPTORS) {
            let text = format!("FDSTORE=1\nFDNAME={name}");
            socket::send_with_descriptors(self.socket.as_raw_fd(), text.as_bytes(), sockets)?;
        }
        Ok(())
    }

    /// Has it close what it keeps under this name.
    pub fn forget(&self, name: &str) -> io::Result<()> {
        self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"))
    }
}

fn watchdog() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|&usec| usec > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests;
