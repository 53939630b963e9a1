//! Listening sockets in the file system, and who is at the other end of one.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::rc::Rc;

use super::socket::{RawAddr, check, set_nonblocking, unix_socket};
use crate::net::{Credentials, UnixOptions};
use crate::op::Descriptor;

/// Device and inode of a socket's name.
pub(crate) type Identity = (u64, u64);

/// Binds and listens. The name of a socket that nobody listens on any more is taken over.
pub(crate) fn listen(path: &Path, options: &UnixOptions) -> io::Result<(Rc<Descriptor>, Identity)> {
    probe_bind(path)?;
    let addr = RawAddr::unix(path)?;
    let socket = unix_socket(libc::SOCK_STREAM)?;
    // SAFETY: address and length belong together.
    check(unsafe { libc::bind(socket.raw(), addr.as_ptr(), addr.len()) })?;
    // Nobody gets in before it listens, so that the mode holds for the first client already.
    let listening = own(path, options).and_then(|identity| {
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        // SAFETY: no pointers.
        check(unsafe { libc::listen(socket.raw(), backlog) })?;
        Ok(identity)
    });
    match listening {
        Ok(identity) => Ok((Rc::new(socket), identity)),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

fn own(path: &Path, options: &UnixOptions) -> io::Result<Identity> {
    if options.uid.is_some() || options.gid.is_some() {
        std::os::unix::fs::chown(path, options.uid, options.gid)?;
    }
    fs::set_permissions(path, Permissions::from_mode(options.mode))?;
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Removes a socket that refuses connections. A file of another kind, or a socket that somebody listens on, stays and is
/// an error.
pub(crate) fn probe_bind(path: &Path) -> io::Result<()> {
    let addr = RawAddr::unix(path)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let probe = unix_socket(libc::SOCK_STREAM)?;
    // A full backlog must not make us wait.
    set_nonblocking(probe.raw())?;
    // SAFETY: address and length belong together.
    match check(unsafe { libc::connect(probe.raw(), addr.as_ptr(), addr.len()) }) {
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EADDRINUSE)),
    }
}

/// Removes the name, unless somebody else has it by now.
pub(crate) fn remove(path: &Path, identity: Identity) {
    if fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == identity) {
        let _ = fs::remove_file(path);
    }
}

/// SO_PEERCRED.
pub(crate) fn credentials(socket: &Descriptor) -> io::Result<Credentials> {
    let mut raw = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    // SAFETY: room for a ucred, and `len` says so.
    check(unsafe { libc::getsockopt(socket.raw(), level, name, (&raw mut raw).cast(), &raw mut len) })?;
    // What the kernel says of a socket of another family.
    if raw.uid == libc::uid_t::MAX {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let pid = u32::try_from(raw.pid).ok().filter(|pid| *pid != 0);
    Ok(Credentials { pid, uid: raw.uid, gid: raw.gid })
}
