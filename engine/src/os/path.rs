//! Operations on paths and metadata, as calls that a pool's thread makes. io_uring would punt those that it knows to
//! a thread of its own; here each is one job, however many calls it takes.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::finish::{Finish, finish};
use super::socket::check;
use crate::buf::PAGE;
use crate::disk::{Entry, OpenOptions, Space};
use crate::op::{Descriptor, OpId, PathOp, Reply};
use crate::shard::{Done, Shard};

/// What a job gives: `Reply` with descriptors that may cross threads.
pub(crate) enum PathReply {
    Unit,
    Dir(OwnedFd),
    File { file: OwnedFd, direct: bool, alignment: u32 },
    Entries(Vec<Entry>),
    Space(Space),
    Held(Option<u32>),
    Len(u64),
}

type PathJob = Box<dyn FnOnce() -> io::Result<PathReply> + Send>;

/// Back on the shard: delivers what a pool's thread has done.
pub(crate) fn done(shard: &Shard, id: OpId, done: Done) {
    let own = |fd: OwnedFd| Descriptor::os(fd.into_raw_fd());
    let result = match done {
        Done::Value(value) => Ok(Reply::Value(value)),
        Done::Count(count) => return finish_file(shard, id, count),
        Done::Path(result) => result.map(|reply| match reply {
            PathReply::Unit => Reply::Unit,
            PathReply::Dir(fd) => Reply::Dir(own(fd)),
            PathReply::File { file, direct, alignment } => Reply::File { file: own(file), direct, alignment },
            PathReply::Entries(entries) => Reply::Entries(entries),
            PathReply::Space(space) => Reply::Space(space),
            PathReply::Held(pid) => Reply::Held(pid),
            PathReply::Len(len) => Reply::Len(len),
        }),
    };
    shard.complete(id, result);
}

/// Delivers what has been read, written or synced.
pub(crate) fn finish_file(shard: &Shard, id: OpId, count: io::Result<usize>) {
    let mut ops = shard.ops.borrow_mut();
    let Some((op, scratch)) = ops.op_and_scratch(id) else { return };
    let Finish::Done(result) = finish(op, scratch, count) else { unreachable!("files are not sent") };
    drop(ops);
    shard.complete(id, result);
}

/// The job of an operation. Its raw descriptors stay valid: the operation owns them until the job is done.
pub(super) fn job(op: &PathOp) -> PathJob {
    match op {
        PathOp::OpenDir { base, path } => {
            let base = base.as_ref().map_or(libc::AT_FDCWD, |base| base.raw());
            let path = path.clone();
            Box::new(move || open_dir(base, path.as_os_str()).map(PathReply::Dir))
        }
        PathOp::CreateDir { path } => {
            let path = path.clone();
            Box::new(move || create_dir(&path).map(PathReply::Dir))
        }
        PathOp::List { dir } => {
            let dir = dir.raw();
            Box::new(move || list(dir).map(PathReply::Entries))
        }
        PathOp::Open { dir, name, options } => {
            let (dir, name, options) = (dir.raw(), name.clone(), *options);
            Box::new(move || open(dir, &name, options))
        }
        PathOp::Remove { dir, name } => {
            let (dir, name) = (dir.raw(), name.clone());
            Box::new(move || {
                let name = c_string(name.as_bytes())?;
                // SAFETY: `name` ends with a NUL and lives over the call.
                check(unsafe { libc::unlinkat(dir, name.as_ptr(), 0) }).map(|_| PathReply::Unit)
            })
        }
        PathOp::Rename { dir, from, to } => {
            let (dir, from, to) = (dir.raw(), from.clone(), to.clone());
            Box::new(move || {
                let (from, to) = (c_string(from.as_bytes())?, c_string(to.as_bytes())?);
                // SAFETY: both names end with a NUL and live over the call.
                check(unsafe { libc::renameat(dir, from.as_ptr(), dir, to.as_ptr()) })
                    .map(|_| PathReply::Unit)
            })
        }
        PathOp::Space { dir } => {
            let dir = dir.raw();
            Box::new(move || space(dir).map(PathReply::Space))
        }
        PathOp::Lock { dir, name } => {
            let (dir, name) = (dir.raw(), name.clone());
            Box::new(move || lock(dir, &name))
        }
        PathOp::Len { file } => {
            let file = file.raw();
            Box::new(move || stat(file).map(|stat| PathReply::Len(stat.st_size as u64)))
        }
        PathOp::SetLen { file, len_bytes } => {
            let (file, len_bytes) = (file.raw(), *len_bytes);
            Box::new(move || {
                let len =
                    i64::try_from(len_bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
                // SAFETY: no pointers.
                check(unsafe { libc::ftruncate(file, len) }).map(|_| PathReply::Unit)
            })
        }
    }
}

fn c_string(name: &[u8]) -> io::Result<CString> {
    CString::new(name).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a NUL in a file name"))
}

fn open_at(dir: RawFd, name: &[u8], flags: libc::c_int, mode: u32) -> io::Result<OwnedFd> {
    let name = c_string(name)?;
    // SAFETY: `name` ends with a NUL and lives over the call.
    let fd = check(unsafe { libc::openat(dir, name.as_ptr(), flags | libc::O_CLOEXEC, mode) })?;
    // SAFETY: just opened, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn open_dir(base: RawFd, path: &OsStr) -> io::Result<OwnedFd> {
    open_at(base, path.as_bytes(), libc::O_DIRECTORY | libc::O_RDONLY, 0)
}

fn create_dir(path: &Path) -> io::Result<OwnedFd> {
    // From the top, so that each new entry is durable before something is put below it.
    let mut ancestors: Vec<&Path> = path.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
    ancestors.reverse();
    for dir in ancestors {
        match DirBuilder::new().mode(0o750).create(dir) {
            Ok(()) => {
                let parent = dir.parent().filter(|path| !path.as_os_str().is_empty());
                fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A read-only or foreign ancestor that exists says so instead.
            Err(_) if dir.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    open_dir(libc::AT_FDCWD, path.as_os_str())
}

fn open(dir: RawFd, name: &str, options: OpenOptions) -> io::Result<PathReply> {
    let mut flags = if options.write { libc::O_RDWR } else { libc::O_RDONLY };
    if options.create {
        flags |= libc::O_CREAT;
    }
    if options.create && options.exclusive {
        flags |= libc::O_EXCL;
    }
    let mode = if options.mode == 0 { 0o640 } else { options.mode };
    let file = open_at(dir, name.as_bytes(), flags, mode)?;
    let again = flags & !(libc::O_CREAT | libc::O_EXCL);
    if options.direct
        && let Some((file, alignment)) = open_direct(dir, name, again)?
    {
        return Ok(PathReply::File { file, direct: true, alignment });
    }
    Ok(PathReply::File { file, direct: false, alignment: 1 })
}

/// The same file without the page cache, and the alignment that takes; none where the file system does not want to.
fn open_direct(dir: RawFd, name: &str, flags: libc::c_int) -> io::Result<Option<(OwnedFd, u32)>> {
    let file = match open_at(dir, name.as_bytes(), flags | libc::O_DIRECT, 0) {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(None),
        Err(error) => return Err(error),
    };
    // SAFETY: all zeros is a valid statx.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the empty path ends with a NUL, and `stat` is valid for writing.
    let result = unsafe {
        libc::statx(file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, &raw mut stat)
    };
    // File systems that do not tell (or kernels before 6.1) take pages.
    let told = result == 0 && stat.stx_mask & libc::STATX_DIOALIGN != 0;
    let alignment = if told { stat.stx_dio_offset_align } else { PAGE as u32 };
    Ok((1..=PAGE as u32).contains(&alignment).then_some((file, alignment)))
}

fn stat(file: RawFd) -> io::Result<libc::stat> {
    // SAFETY: all zeros is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for writing.
    check(unsafe { libc::fstat(file, &raw mut stat) })?;
    Ok(stat)
}

fn space(dir: RawFd) -> io::Result<Space> {
    // SAFETY: all zeros is a valid statvfs.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for writing.
    check(unsafe { libc::fstatvfs(dir, &raw mut stat) })?;
    Ok(Space { free_bytes: stat.f_bavail * stat.f_frsize, free_inodes: stat.f_favail })
}

fn lock(dir: RawFd, name: &str) -> io::Result<PathReply> {
    let file = open_at(dir, name.as_bytes(), libc::O_RDWR | libc::O_CREAT, 0o640)?;
    // SAFETY: no pointers.
    match check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => {}
        Err(error) if error.raw_os_error() == Some(libc::EWOULDBLOCK) => {
            let text = io::read_to_string(io::Read::take(fs::File::from(file), 32)).unwrap_or_default();
            return Ok(PathReply::Held(text.trim().parse().ok()));
        }
        Err(error) => return Err(error),
    }
    let file = fs::File::from(file);
    // The lock is ours also when a full disk does not take the number, which is for others' messages only.
    if file.set_len(0).is_ok() {
        let _ = io::Write::write_all(&mut &file, format!("{}\n", std::process::id()).as_bytes());
    }
    Ok(PathReply::File { file: file.into(), direct: false, alignment: 1 })
}

/// A directory stream, closed when dropped.
struct DirStream(std::ptr::NonNull<libc::DIR>);

impl Drop for DirStream {
    fn drop(&mut self) {
        // SAFETY: opened by `fdopendir` and not closed yet.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

fn list(dir: RawFd) -> io::Result<Vec<Entry>> {
    // A descriptor of its own, with a position of its own.
    let fd = open_at(dir, b".", libc::O_DIRECTORY | libc::O_RDONLY, 0)?;
    // SAFETY: an open directory.
    let stream = unsafe { libc::fdopendir(fd.as_raw_fd()) };
    let stream = DirStream(std::ptr::NonNull::new(stream).ok_or_else(io::Error::last_os_error)?);
    // The stream closes it.
    let _ = fd.into_raw_fd();
    let mut entries = Vec::new();
    loop {
        // SAFETY: errno is this thread's own; it tells the end from an error below.
        unsafe { *libc::__errno_location() = 0 };
        // SAFETY: an open stream that no other thread uses.
        let Some(entry) = std::ptr::NonNull::new(unsafe { libc::readdir64(stream.0.as_ptr()) }) else {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(0) { Ok(entries) } else { Err(error) };
        };
        // SAFETY: valid until the next `readdir64`; the name ends with a NUL.
        let name = unsafe { CStr::from_ptr((&raw const (*entry.as_ptr()).d_name).cast()) };
        if name != c"." && name != c".." {
            entries.extend(entry_of(dir, name));
        }
    }
}

/// None for a name that is not UTF-8, and for what was removed meanwhile.
fn entry_of(dir: RawFd, name: &CStr) -> Option<Entry> {
    // SAFETY: all zeros is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the name ends with a NUL, `stat` is valid for writing.
    check(unsafe { libc::fstatat(dir, name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW) }).ok()?;
    Some(Entry {
        name: name.to_str().ok()?.to_owned(),
        len_bytes: stat.st_size as u64,
        is_dir: stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
    })
}
