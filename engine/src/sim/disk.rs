//! A simulated file system on a disk that forgets: what was not made durable may be kept, lost or torn when the
//! power goes, in any combination, and reads and writes fail when told to.
//!
//! Rules it follows, each the weakest that Linux file systems promise:
//!
//! - data is durable after a durable write of it or a sync of its file; a directory entry only after a sync of its
//!   directory; a sync that failed is never made good by the next one;
//! - a rename is atomic: after a crash the file has the old name or the new one, never both, never none;
//! - a killed process loses nothing that completed; what was in flight may be there wholly, partly or not at all;
//! - locks and open files end with the process.

use std::collections::BTreeMap;
use std::io;

mod directory;
mod outside;
mod space;

use directory::{Change, Directory, Ino};

use super::DiskFaults;
use super::image::{Image, PAGE_BYTES, SECTOR_BYTES};
use super::random::Random;

const ROOT: Ino = 1;

/// An open file or directory of some process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Handle(pub(super) u64);

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    pub(super) write: bool,
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) direct: bool,
}

/// One name of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) len: u64,
    pub(super) is_dir: bool,
}

#[derive(Debug)]
struct Opened {
    ino: Ino,
    process: u64,
    options: Open,
}

#[derive(Debug)]
enum Node {
    File { image: Image, lock: Option<Handle> },
    Dir(Directory),
}

/// One host's disk.
#[derive(Debug)]
pub(super) struct Disk {
    random: Random,
    faults: DiskFaults,
    nodes: BTreeMap<Ino, Node>,
    opened: BTreeMap<Handle, Opened>,
    next: u64,
}

impl Disk {
    pub(super) fn new(random: Random) -> Disk {
        let nodes = BTreeMap::from([(ROOT, Node::Dir(Directory::default()))]);
        Disk { random, faults: DiskFaults::default(), nodes, opened: BTreeMap::new(), next: ROOT + 1 }
    }

    pub(super) fn set_faults(&mut self, faults: DiskFaults) {
        self.faults = faults;
    }

    // Directories.

    /// Opens the directory at an absolute path (a relative one starts at the root).
    pub(super) fn open_dir(&mut self, process: u64, path: &str) -> io::Result<Handle> {
        let ino = self.resolve(path)?;
        self.directory(ino)?;
        Ok(self.open_ino(process, ino, Open::default()))
    }

    pub(super) fn open_dir_in(&mut self, process: u64, dir: Handle, name: &str) -> io::Result<Handle> {
        let ino = self.lookup(self.ino(dir)?, name)?;
        self.directory(ino)?;
        Ok(self.open_ino(process, ino, Open::default()))
    }

    pub(super) fn make_dir(&mut self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        if self.directory(parent)?.names().contains_key(&name) {
            return Err(errno(libc::EEXIST));
        }
        let ino = self.new_ino();
        self.nodes.insert(ino, Node::Dir(Directory::default()));
        self.change(parent, Change::Link(name, ino))
    }

    /// All names, in an order that nobody may rely on.
    pub(super) fn list(&mut self, dir: Handle) -> io::Result<Vec<Listed>> {
        let directory = self.directory(self.ino(dir)?)?;
        let mut out: Vec<Listed> = directory
            .names()
            .iter()
            .map(|(name, ino)| match self.nodes.get(ino) {
                Some(Node::File { image, .. }) => {
                    Listed { name: name.clone(), len: image.len(), is_dir: false }
                }
                _ => Listed { name: name.clone(), len: 0, is_dir: true },
            })
            .collect();
        for last in (1..out.len()).rev() {
            out.swap(last, self.random.index(last + 1));
        }
        Ok(out)
    }

    pub(super) fn open_file(
        &mut self,
        process: u64,
        dir: Handle,
        name: &str,
        options: Open,
    ) -> io::Result<Handle> {
        let dir = self.ino(dir)?;
        self.open_file_in(process, dir, name, options)
    }

    fn open_file_in(&mut self, process: u64, dir: Ino, name: &str, options: Open) -> io::Result<Handle> {
        let ino = match self.lookup(dir, name) {
            Ok(_) if options.create && options.exclusive => return Err(errno(libc::EEXIST)),
            Ok(ino) => ino,
            Err(error) if options.create && error.raw_os_error() == Some(libc::ENOENT) => {
                let ino = self.new_ino();
                self.nodes.insert(ino, Node::File { image: Image::new(), lock: None });
                self.change(dir, Change::Link(name.to_owned(), ino))?;
                ino
            }
            Err(error) => return Err(error),
        };
        match self.nodes.get(&ino) {
            Some(Node::Dir(_)) => Err(errno(libc::EISDIR)),
            _ => Ok(self.open_ino(process, ino, options)),
        }
    }

    pub(super) fn remove(&mut self, dir: Handle, name: &str) -> io::Result<()> {
        let dir = self.ino(dir)?;
        let ino = self.lookup(dir, name)?;
        if matches!(self.nodes.get(&ino), Some(Node::Dir(_))) {
            return Err(errno(libc::EISDIR));
        }
        self.change(dir, Change::Unlink(name.to_owned()))
    }

    pub(super) fn rename(&mut self, dir: Handle, from: &str, to: &str) -> io::Result<()> {
        let dir = self.ino(dir)?;
        let ino = self.lookup(dir, from)?;
        self.change(dir, Change::Rename(from.to_owned(), to.to_owned(), ino))
    }

    pub(super) fn allows_direct(&self) -> bool {
        !self.faults.no_direct
    }

    // Files.

    /// Takes the file's exclusive lock. False when another handle has it.
    pub(super) fn lock(&mut self, handle: Handle) -> io::Result<bool> {
        let ino = self.ino(handle)?;
        match self.nodes.get_mut(&ino) {
            Some(Node::File { lock: Some(holder), .. }) => Ok(*holder == handle),
            Some(Node::File { lock, .. }) => {
                *lock = Some(handle);
                Ok(true)
            }
            _ => Err(errno(libc::EISDIR)),
        }
    }

    pub(super) fn close(&mut self, handle: Handle) {
        if let Some(opened) = self.opened.remove(&handle)
            && let Some(Node::File { lock, .. }) = self.nodes.get_mut(&opened.ino)
            && *lock == Some(handle)
        {
            *lock = None;
        }
    }

    pub(super) fn read(&mut self, handle: Handle, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let opened = self.opened(handle)?;
        check_alignment(opened.options, offset, len)?;
        if self.random.chance(self.faults.read_eio) {
            return Err(errno(libc::EIO));
        }
        Ok(self.image(handle)?.read(offset, len))
    }

    /// Writes; the number of bytes that were written may be smaller than asked. This is the instant of completion.
    pub(super) fn write(
        &mut self,
        handle: Handle,
        offset: u64,
        bytes: &[u8],
        durable: bool,
    ) -> io::Result<usize> {
        let options = self.opened(handle)?.options;
        check_alignment(options, offset, bytes.len())?;
        if !options.write {
            return Err(errno(libc::EBADF));
        }
        if self.random.chance(self.faults.write_eio) {
            self.write_some(handle, offset, bytes)?;
            return Err(errno(libc::EIO));
        }
        let mut fits = self.fitting(handle, offset, bytes.len())?;
        if fits == 0 && !bytes.is_empty() {
            return Err(errno(libc::ENOSPC));
        }
        if self.random.chance(self.faults.short_write) {
            fits = self.random.index(fits + 1);
        }
        let random = &mut self.random.fork(offset);
        let image = self.image(handle)?;
        match durable {
            true => image.write_durable(offset, &bytes[..fits]),
            false => image.write(offset, &bytes[..fits], random),
        }
        Ok(fits)
    }

    /// A write that was in flight when its process ended: any part of it was done, nothing of it is durable.
    pub(super) fn write_abandoned(&mut self, handle: Handle, offset: u64, bytes: &[u8]) {
        let writable = self.opened.get(&handle).is_some_and(|opened| {
            opened.options.write && check_alignment(opened.options, offset, bytes.len()).is_ok()
        });
        if writable {
            self.write_some(handle, offset, bytes).expect("the file is open");
        }
    }

    /// Writes none, all, a first part, or any sectors of it.
    fn write_some(&mut self, handle: Handle, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fits = self.fitting(handle, offset, bytes.len())?;
        let bytes = &bytes[..fits];
        let mut random = self.random.fork(offset);
        let image = self.image(handle)?;
        match random.below(4) {
            0 => {}
            1 => image.write(offset, bytes, &mut random),
            2 if !bytes.is_empty() => {
                let part = random.index(bytes.len());
                image.write(offset, &bytes[..part], &mut random);
            }
            _ => {
                for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                    if random.flip() {
                        image.write(offset + (index * SECTOR_BYTES) as u64, sector, &mut random);
                    }
                }
            }
        }
        Ok(())
    }

    /// Syncs a file or a directory.
    pub(super) fn sync(&mut self, handle: Handle) -> io::Result<()> {
        let fails = self.random.chance(self.faults.write_eio);
        let ino = self.ino(handle)?;
        match self.nodes.get_mut(&ino) {
            Some(Node::File { image, .. }) if fails => image.sync_failed(&mut self.random),
            Some(Node::File { image, .. }) => image.sync(),
            Some(Node::Dir(_)) if fails => {}
            Some(Node::Dir(directory)) => {
                directory.sync();
                self.collect();
            }
            None => return Err(errno(libc::EBADF)),
        }
        if fails { Err(errno(libc::EIO)) } else { Ok(()) }
    }

    pub(super) fn len(&mut self, handle: Handle) -> io::Result<u64> {
        Ok(self.image(handle)?.len())
    }

    pub(super) fn set_len(&mut self, handle: Handle, len: u64) -> io::Result<()> {
        if !self.opened(handle)?.options.write {
            return Err(errno(libc::EINVAL));
        }
        let random = &mut self.random.fork(len);
        self.image(handle)?.set_len(len, random);
        Ok(())
    }

    fn change(&mut self, dir: Ino, change: Change) -> io::Result<()> {
        match self.nodes.get_mut(&dir) {
            Some(Node::Dir(directory)) => {
                directory.change(change);
                Ok(())
            }
            _ => Err(errno(libc::ENOTDIR)),
        }
    }

    fn open_ino(&mut self, process: u64, ino: Ino, options: Open) -> Handle {
        let handle = Handle(self.new_ino());
        self.opened.insert(handle, Opened { ino, process, options });
        handle
    }

    fn new_ino(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn opened(&self, handle: Handle) -> io::Result<&Opened> {
        self.opened.get(&handle).ok_or_else(|| errno(libc::EBADF))
    }

    fn ino(&self, handle: Handle) -> io::Result<Ino> {
        Ok(self.opened(handle)?.ino)
    }

    fn image(&mut self, handle: Handle) -> io::Result<&mut Image> {
        let ino = self.ino(handle)?;
        match self.nodes.get_mut(&ino) {
            Some(Node::File { image, .. }) => Ok(image),
            _ => Err(errno(libc::EISDIR)),
        }
    }

    fn directory(&self, ino: Ino) -> io::Result<&Directory> {
        match self.nodes.get(&ino) {
            Some(Node::Dir(directory)) => Ok(directory),
            _ => Err(errno(libc::ENOTDIR)),
        }
    }

    fn lookup(&self, dir: Ino, name: &str) -> io::Result<Ino> {
        self.directory(dir)?.names().get(name).copied().ok_or_else(|| errno(libc::ENOENT))
    }

    fn resolve(&self, path: &str) -> io::Result<Ino> {
        components(path).try_fold(ROOT, |dir, name| self.lookup(dir, name))
    }

    fn parent_of(&self, path: &str) -> io::Result<(Ino, String)> {
        let mut parts: Vec<&str> = components(path).collect();
        let name = parts.pop().ok_or_else(|| errno(libc::EEXIST))?;
        let dir = parts.into_iter().try_fold(ROOT, |dir, part| self.lookup(dir, part))?;
        Ok((dir, name.to_owned()))
    }
}

fn check_alignment(options: Open, offset: u64, len: usize) -> io::Result<()> {
    if options.direct && !(offset.is_multiple_of(PAGE_BYTES as u64) && len.is_multiple_of(PAGE_BYTES)) {
        return Err(errno(libc::EINVAL));
    }
    Ok(())
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[cfg(test)]
mod tests;
