//! Listening on a path of the file system.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Conn, Listener};
use crate::os::unix::{Identity, credentials, remove};
use crate::shard;

/// How a [`UnixListener`] stands in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixOptions {
    /// Permission bits, whatever the umask is. Connecting takes write permission.
    pub mode: u32,
    /// Its owner; `None`: who runs the process.
    pub uid: Option<u32>,
    /// Its group; `None`: that of the process, or of the directory.
    pub gid: Option<u32>,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
}

/// A listening stream socket in the file system. Its name goes when it is dropped, unless somebody else has taken it.
#[derive(Debug)]
pub struct UnixListener {
    listener: Listener,
}

/// The name of a socket that is ours.
#[derive(Debug)]
pub(super) struct Name {
    path: PathBuf,
    identity: Identity,
}

/// Who is at the other end of a socket in the file system, as the kernel noted when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process; `None` when it is in another pid namespace.
    pub pid: Option<u32>,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl UnixListener {
    /// Binds, sets owner and mode, listens. A socket that nobody listens on any more is replaced; one that somebody
    /// listens on is the error `AddrInUse`, another kind of file `AlreadyExists`. An error in the simulator.
    pub fn bind(path: &Path, options: &UnixOptions) -> io::Result<UnixListener> {
        let (socket, identity) = shard::with(|shard| shard.driver.listen_unix(path, options))?;
        let name = Name { path: path.to_owned(), identity };
        Ok(UnixListener { listener: Listener::new(socket, SocketAddr::from(([0; 4], 0)), Some(name)) })
    }

    /// The next connection, as [`Listener::accept`]. Its addresses are unspecified; [`Conn::credentials`] says who it
    /// is.
    pub async fn accept(&self) -> io::Result<Conn> {
        self.listener.accept().await
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.listener.path().expect("it has a name")
    }

    /// To be treated like one of TCP.
    pub fn into_listener(self) -> Listener {
        self.listener
    }
}

impl Listener {
    /// Where it is in the file system, if it is there. Its addresses are unspecified then.
    pub fn path(&self) -> Option<&Path> {
        self.name.as_ref().map(|name| name.path.as_path())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        remove(&self.path, self.identity);
    }
}

impl Conn {
    /// Who is at the other end; an error for one that is not a socket in the file system, and in the simulator.
    pub fn credentials(&self) -> io::Result<Credentials> {
        shard::with(|shard| match shard.driver {
            crate::driver::Driver::Sim(_) => Err(io::ErrorKind::Unsupported.into()),
            _ => credentials(&self.socket),
        })
    }
}
