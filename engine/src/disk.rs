//! Files and directories. Nothing here blocks the shard.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::buf::AlignedBuf;
use crate::op::future::once;
use crate::op::{Descriptor, Op, PathOp, Reply};

/// An open directory; names below are single path components inside it.
#[derive(Debug)]
pub struct Dir {
    dir: Rc<Descriptor>,
    path: PathBuf,
}

/// One entry of [`Dir::list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name. Names that are not UTF-8 are left out of a listing.
    pub name: String,
    /// Size of the file in bytes.
    pub len_bytes: u64,
    /// True for a directory.
    pub is_dir: bool,
}

/// How to open a file.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// Open for writing as well as reading.
    pub write: bool,
    /// Create it if it does not exist.
    pub create: bool,
    /// With `create`: refuse an existing file.
    pub exclusive: bool,
    /// Bypass the page cache where the file system allows it ([`File::is_direct`] tells).
    pub direct: bool,
    /// Permission bits for a created file; 0 means 0o640.
    pub mode: u32,
}

/// Free space of the file system under a directory, as an unprivileged process may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free bytes.
    pub free_bytes: u64,
    /// Free inodes.
    pub free_inodes: u64,
}

/// An exclusive lock on a file, held until dropped or the process dies.
#[derive(Debug)]
pub struct Lock {
    #[allow(dead_code, reason = "the lock ends when it closes")]
    file: Descriptor,
}

/// Why a lock was not had.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; its pid where the lock file tells.
    Held(Option<u32>),
    /// The file cannot be opened or locked.
    Io(io::Error),
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LockError::Held(Some(pid)) => write!(f, "process {pid} holds the lock"),
            LockError::Held(None) => f.write_str("another process holds the lock"),
            LockError::Io(error) => write!(f, "cannot lock: {error}"),
        }
    }
}

impl std::error::Error for LockError {}

impl Dir {
    /// Opens a directory.
    pub async fn open(path: &Path) -> io::Result<Dir> {
        Dir::at(None, path, path.to_owned()).await
    }

    /// Creates a directory and its parents (mode 0o750), syncs each parent, and opens it.
    pub async fn create(path: &Path) -> io::Result<Dir> {
        let dir = dir_of(path_op(PathOp::CreateDir { path: path.to_owned() }).await?);
        Ok(Dir { dir, path: path.to_owned() })
    }

    /// Its path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the subdirectory `name`.
    pub async fn open_dir(&self, name: &str) -> io::Result<Dir> {
        let name = component(name)?;
        Dir::at(Some(self.dir.clone()), Path::new(name), self.path.join(name)).await
    }

    async fn at(base: Option<Rc<Descriptor>>, path: &Path, full: PathBuf) -> io::Result<Dir> {
        let dir = dir_of(path_op(PathOp::OpenDir { base, path: path.to_owned() }).await?);
        Ok(Dir { dir, path: full })
    }

    /// All entries, in no particular order.
    pub async fn list(&self) -> io::Result<Vec<Entry>> {
        match path_op(PathOp::List { dir: self.dir.clone() }).await? {
            Reply::Entries(entries) => Ok(entries),
            reply => unreachable!("a listing gives entries, not {reply:?}"),
        }
    }

    /// Opens a file of this directory.
    pub async fn open_file(&self, name: &str, options: OpenOptions) -> io::Result<File> {
        let name = component(name)?.to_owned();
        match path_op(PathOp::Open { dir: self.dir.clone(), name, options }).await? {
            Reply::File { file, direct, alignment } => Ok(File { file: Rc::new(file), direct, alignment }),
            reply => unreachable!("an open gives a file, not {reply:?}"),
        }
    }

    /// Removes a file.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        let name = component(name)?.to_owned();
        path_op(PathOp::Remove { dir: self.dir.clone(), name }).await.map(drop)
    }

    /// Renames a file within this directory, replacing `to`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (component(from)?.to_owned(), component(to)?.to_owned());
        path_op(PathOp::Rename { dir: self.dir.clone(), from, to }).await.map(drop)
    }

    /// Makes creations, removals and renames in this directory durable.
    pub async fn sync(&self) -> io::Result<()> {
        once(Op::Sync { file: self.dir.clone(), directory: true }).await.1.map(drop)
    }

    /// Free space below it.
    pub async fn space(&self) -> io::Result<Space> {
        match path_op(PathOp::Space { dir: self.dir.clone() }).await? {
            Reply::Space(space) => Ok(space),
            reply => unreachable!("space gives space, not {reply:?}"),
        }
    }

    /// Takes an exclusive lock on the file `name` (created if missing) and writes our pid into it.
    pub async fn lock(&self, name: &str) -> Result<Lock, LockError> {
        let name = component(name).map_err(LockError::Io)?.to_owned();
        match path_op(PathOp::Lock { dir: self.dir.clone(), name }).await.map_err(LockError::Io)? {
            Reply::File { file, .. } => Ok(Lock { file }),
            Reply::Held(pid) => Err(LockError::Held(pid)),
            reply => unreachable!("a lock gives a file or its holder, not {reply:?}"),
        }
    }
}

/// Names are components: nothing here reaches outside of its directory.
fn component(name: &str) -> io::Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let message = format!("{name:?} is not a name of a directory's entry");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(name)
}

async fn path_op(op: PathOp) -> io::Result<Reply> {
    once(Op::Path(Box::new(op))).await.1
}

fn dir_of(reply: Reply) -> Rc<Descriptor> {
    match reply {
        Reply::Dir(dir) => Rc::new(dir),
        reply => unreachable!("opening a directory gives one, not {reply:?}"),
    }
}

/// Whether a write waits for stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The data may sit in a cache when the write completes.
    Cached,
    /// Data, and the metadata needed to read it, are on stable storage when the write completes.
    Durable,
}

/// An open file. Operations take `&self` and may overlap. An operation whose future is dropped may still happen.
#[derive(Debug)]
pub struct File {
    file: Rc<Descriptor>,
    direct: bool,
    alignment: u32,
}

impl File {
    /// Reads up to `len` bytes at `offset`; fewer at the end of the file. With direct I/O both are multiples of
    /// [`File::alignment`].
    pub async fn read_at(&self, offset: u64, len: usize) -> io::Result<AlignedBuf> {
        let buf = AlignedBuf::with_capacity(len);
        match once(Op::Read { file: self.file.clone(), offset, len, buf }).await {
            (Op::Read { buf, .. }, result) => result.map(|_| buf),
            _ => unreachable!("an operation comes back as itself"),
        }
    }

    /// Writes all of `buf` at `offset`; the buffer comes back. A short write is an error. With direct I/O,
    /// offset and length are multiples of [`File::alignment`].
    pub async fn write_at(
        &self,
        offset: u64,
        buf: AlignedBuf,
        durability: Durability,
    ) -> (io::Result<()>, AlignedBuf) {
        let write = Op::Write { file: self.file.clone(), offset, buf, durability, direct: self.direct };
        match once(write).await {
            (Op::Write { buf, .. }, result) => (result.map(drop), buf),
            _ => unreachable!("an operation comes back as itself"),
        }
    }

    /// Makes all completed writes, and the length, durable.
    pub async fn sync(&self) -> io::Result<()> {
        once(Op::Sync { file: self.file.clone(), directory: false }).await.1.map(drop)
    }

    /// Its length.
    pub async fn len(&self) -> io::Result<u64> {
        match path_op(PathOp::Len { file: self.file.clone() }).await? {
            Reply::Len(len) => Ok(len),
            reply => unreachable!("a length gives a length, not {reply:?}"),
        }
    }

    /// True when it holds no bytes.
    pub async fn is_empty(&self) -> io::Result<bool> {
        self.len().await.map(|len| len == 0)
    }

    /// Cuts or extends it (with zeros).
    pub async fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        path_op(PathOp::SetLen { file: self.file.clone(), len_bytes }).await.map(drop)
    }

    /// True when opened without the page cache.
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// Alignment that offsets and lengths need (from `statx`; at most 4096, and 1 without direct I/O).
    pub fn alignment(&self) -> usize {
        self.alignment as usize
    }
}

/// Reads a whole small file (configuration); error when it is larger than `limit_bytes`.
pub async fn read_file(path: &Path, limit_bytes: usize) -> io::Result<Vec<u8>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = Dir::open(parent).await?.open_file(name, OpenOptions::default()).await?;
    let mut bytes = Vec::new();
    loop {
        let piece = file.read_at(bytes.len() as u64, READ_FILE_PIECE).await?;
        if piece.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&piece);
        if bytes.len() > limit_bytes {
            let message = format!("larger than {limit_bytes} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
    }
}

/// Bytes per read of [`read_file`].
const READ_FILE_PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests;
