//! A directory out of which no path leads.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// A directory by its real path.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    directory: OwnedFd,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Root> {
        let path = path.canonicalize()?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(&path, flags, nix::sys::stat::Mode::empty())?;
        Ok(Root { path, directory })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The regular file at `path`, and its path without links.
    pub(super) fn find(&self, path: &str) -> io::Result<(File, String)> {
        // Links may lead anywhere below the root. Where they lead is found out first, and then opened as a path
        // without links: one that is changed in between is an error, not a way out.
        let real = self.path.join(path).canonicalize()?;
        let below = real.strip_prefix(&self.path).map_err(|_| {
            io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("is a link that leads out of {}", self.path.display()),
            )
        })?;
        let name = below.to_string_lossy().into_owned();
        if name.is_empty() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let file = File::from(openat2(&self.directory, below, how)?);
        regular(file).map(|file| (file, name))
    }
}

/// Opens a regular file; a device or a pipe could keep the reader waiting for ever.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    regular(file)
}

fn regular(file: File) -> io::Result<File> {
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    Ok(file)
}
