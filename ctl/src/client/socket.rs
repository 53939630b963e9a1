//! The socket below a connection: Unix, TCP, or TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use config::ControlSocket;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::tls::{self, Encrypted};
use crate::failure::plain;
use crate::{Failure, limits};

/// A connected socket.
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<Encrypted>),
}

impl Stream {
    pub(super) fn connect(to: &ControlSocket) -> Result<Self, Failure> {
        match to {
            ControlSocket::Unix(path) => {
                let failed = |error: io::Error| {
                    Failure::Failed(format!(
                        "cannot connect to {}: {}{}",
                        path.display(),
                        plain(&error),
                        hint(&error)
                    ))
                };
                unix(path).map(Self::Unix).map_err(failed)
            }
            ControlSocket::Tcp { address, tls } => {
                let failed = |error: io::Error| {
                    Failure::Failed(format!("cannot connect to {address}: {}{}", plain(&error), hint(&error)))
                };
                let stream = TcpStream::connect_timeout(address, limits::CONNECT).map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                match tls {
                    None => Ok(Self::Tcp(stream)),
                    Some(tls) => tls::encrypt(stream, *address, tls).map(|tls| Self::Tls(Box::new(tls))),
                }
            }
        }
    }

    /// Bounds the next read.
    pub(super) fn wait(&self, wait: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(wait),
            Self::Tcp(stream) => stream.set_read_timeout(wait),
            Self::Tls(stream) => stream.sock.set_read_timeout(wait),
        }
    }
}

/// Connects within a bound: a server that is stuck takes no connections once its queue of them is full.
fn unix(path: &Path) -> io::Result<UnixStream> {
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let bound = TimeVal::seconds(i64::try_from(limits::CONNECT.as_secs()).unwrap_or(i64::MAX));
    setsockopt(&fd, sockopt::SendTimeout, &bound)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(fd))
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "; is smtpd running?",
        io::ErrorKind::PermissionDenied => "; the owner and group of the socket may use it",
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "; the server takes no connections",
        _ => "",
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
