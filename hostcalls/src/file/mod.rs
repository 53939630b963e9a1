//! The class `File`: files for reading, in memory or on disk.
//!
//! A file on disk is opened and read on the engine's pool, in pieces of [`limits::FILE_READ_BYTES`]; one in memory answers
//! at once, and so does a message whose bytes are at hand. Which files there are is up to [`Sources`](crate::source::Sources).

mod class;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use script::fault::Fault;
use script::native::{HostObject, NativeClass};
use script::value::{Object, Resource, Value};

pub(crate) use class::FAMILY;

use crate::execution::Slot;
use crate::mail::Taken;
use crate::offload::offload;
use crate::source::Content;
use crate::{Execution, limits};

/// An object of the class.
pub(crate) struct File {
    content: RefCell<Source>,
    /// Where the next read begins.
    position: Cell<u64>,
    path: Option<String>,
    /// What was read of a file on disk, and where it stands there.
    ahead: RefCell<Ahead>,
}

/// Where the bytes are. A file on disk takes one of the places for open ones.
#[derive(Clone)]
enum Source {
    Memory(Bytes),
    Disk(Arc<std::fs::File>, Rc<Slot>),
    /// A message with changes, which may have to be read or made.
    Message(Rc<Taken>),
    Closed,
}

#[derive(Default)]
struct Ahead {
    at: u64,
    bytes: Bytes,
}

/// What resources of the kind `FileResource` hold: a file that the host has.
pub struct FileResource(Box<dyn HostFile>);

/// A file of the host, which is read when a script opens it.
pub trait HostFile: Send + Sync {
    /// All of it, on the shard that gave it to the script. The error is a sentence.
    fn read(&self) -> Pin<Box<dyn Future<Output = Result<Bytes, String>>>>;
}

impl FileResource {
    /// As a value.
    pub fn value(file: impl HostFile + 'static) -> Value {
        Value::Resource(Resource::new(FILE_RESOURCE, Arc::new(FileResource(Box::new(file)))))
    }
}

/// The kind of [`FileResource`].
pub const FILE_RESOURCE: &str = "FileResource";

/// A file in memory.
pub fn memory_file(bytes: Bytes) -> Value {
    File::new(Source::Memory(bytes), None).into_value()
}

/// A message as a file, whose content is in memory as long as the script does not wait.
pub(crate) fn message_file(message: Rc<Taken>) -> Value {
    File::new(Source::Message(message), None).into_value()
}

/// The whole content of a file in memory; none for one on disk, a closed one, or an object of another class.
pub fn memory_bytes(object: &Object) -> Option<Bytes> {
    object.downcast::<File>()?.in_memory()
}

/// The whole content of a file, wherever it is and whatever was read of it; none for a closed one, one that cannot be
/// read, or an object of another class. `name` is the function to name in errors.
pub async fn read_all(name: &str, object: &Object) -> Result<Option<Bytes>, Fault> {
    let Some(file) = object.downcast::<File>() else { return Ok(None) };
    let source = file.content.borrow().clone();
    match source {
        Source::Memory(bytes) => Ok(Some(bytes)),
        Source::Closed => Ok(None),
        Source::Disk(disk, _slot) => read_rest(name, &disk, 0).await,
        Source::Message(message) => message.bytes(name).await.map(Some),
    }
}

impl File {
    fn new(source: Source, path: Option<String>) -> File {
        let content = RefCell::new(source);
        File { content, position: Cell::new(0), path, ahead: RefCell::default() }
    }

    fn into_value(self) -> Value {
        Object::host(self).into()
    }

    fn in_memory(&self) -> Option<Bytes> {
        match &*self.content.borrow() {
            Source::Memory(bytes) => Some(bytes.clone()),
            Source::Message(message) => message.at_hand(),
            Source::Disk(..) | Source::Closed => None,
        }
    }

    /// The length of what cannot grow.
    fn fixed_length(&self) -> Option<usize> {
        match &*self.content.borrow() {
            Source::Memory(bytes) => Some(bytes.len()),
            Source::Message(message) => Some(message.len()),
            Source::Disk(..) | Source::Closed => None,
        }
    }

    /// From the position, as far as it lies within.
    fn rest<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[usize::try_from(self.position.get()).map_or(bytes.len(), |at| at.min(bytes.len()))..]
    }

    fn advance(&self, by: usize) {
        self.position.set(self.position.get() + by as u64);
    }

    /// At the position, as many bytes of a file on disk as were read ahead, or a new piece of it. Empty at the end.
    async fn piece(&self, name: &str, disk: &Arc<std::fs::File>) -> Result<Option<Bytes>, Fault> {
        let position = self.position.get();
        {
            let ahead = self.ahead.borrow();
            let skip = position.checked_sub(ahead.at).and_then(|skip| usize::try_from(skip).ok());
            if let Some(skip) = skip.filter(|skip| *skip < ahead.bytes.len()) {
                return Ok(Some(ahead.bytes.slice(skip..)));
            }
        }
        let disk = disk.clone();
        let read = offload(name, move || read_at(&disk, position, limits::FILE_READ_BYTES)).await?;
        let Ok(bytes) = read else { return Ok(None) };
        *self.ahead.borrow_mut() = Ahead { at: position, bytes: bytes.clone() };
        Ok(Some(bytes))
    }

    /// Up to `length` bytes, or all that is left.
    async fn read(&self, name: &str, length: Option<u64>) -> Result<Value, Fault> {
        let source = self.content.borrow().clone();
        let disk = match source {
            Source::Memory(bytes) => return Ok(self.read_memory(&bytes, length)),
            Source::Message(message) => return Ok(self.read_memory(&message.made(name).await?, length)),
            Source::Closed => return Ok(Value::None),
            Source::Disk(disk, _) => disk,
        };
        let Some(length) = length else {
            let Some(bytes) = read_rest(name, &disk, self.position.get()).await? else {
                return Ok(Value::None);
            };
            self.advance(bytes.len());
            return Ok(bytes[..].into());
        };
        let mut all = Vec::new();
        while (all.len() as u64) < length {
            let Some(piece) = self.piece(name, &disk).await? else { return Ok(Value::None) };
            if piece.is_empty() {
                break;
            }
            let wanted = usize::try_from(length - all.len() as u64).unwrap_or(usize::MAX).min(piece.len());
            bounded(name, all.len() + wanted)?;
            all.extend_from_slice(&piece[..wanted]);
            self.advance(wanted);
        }
        Ok(all.into())
    }

    fn read_memory(&self, bytes: &[u8], length: Option<u64>) -> Value {
        let rest = self.rest(bytes);
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(rest.len());
        let read = &rest[..length.min(rest.len())];
        self.advance(read.len());
        read.into()
    }

    /// The next line without its end; false at the end.
    async fn read_line(&self, name: &str) -> Result<Value, Fault> {
        let source = self.content.borrow().clone();
        let disk = match source {
            Source::Memory(bytes) => return Ok(self.line_of_memory(&bytes)),
            Source::Message(message) => return Ok(self.line_of_memory(&message.made(name).await?)),
            Source::Closed => return Ok(Value::None),
            Source::Disk(disk, _) => disk,
        };
        let mut line = Vec::new();
        let mut found = false;
        while !found {
            let Some(piece) = self.piece(name, &disk).await? else { return Ok(Value::None) };
            if piece.is_empty() {
                if line.is_empty() {
                    return Ok(false.into());
                }
                break;
            }
            let end = piece.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let taken = end.unwrap_or(piece.len());
            bounded(name, line.len() + taken)?;
            line.extend_from_slice(&piece[..taken]);
            self.advance(taken);
            found = end.is_some();
        }
        Ok(without_end(&line).into())
    }

    fn line_of_memory(&self, bytes: &[u8]) -> Value {
        let rest = self.rest(bytes);
        if rest.is_empty() {
            return false.into();
        }
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        self.advance(end);
        without_end(&rest[..end]).into()
    }

    /// The length of the file now.
    async fn length(&self, name: &str) -> Result<Option<u64>, Fault> {
        let source = self.content.borrow().clone();
        match source {
            Source::Memory(bytes) => Ok(Some(bytes.len() as u64)),
            Source::Message(message) => Ok(Some(message.len() as u64)),
            Source::Closed => Ok(None),
            Source::Disk(disk, _) => {
                let length = offload(name, move || disk.metadata().map(|metadata| metadata.len())).await?;
                Ok(length.ok())
            }
        }
    }
}

impl HostObject for File {
    fn class(&self) -> &'static NativeClass {
        &class::CLASS
    }

    fn size_bytes(&self) -> usize {
        let held = match &*self.content.borrow() {
            Source::Memory(bytes) => bytes.len(),
            Source::Message(message) => message.size_bytes(),
            Source::Disk(..) | Source::Closed => 0,
        };
        size_of::<File>() + held + self.ahead.borrow().bytes.len()
    }
}

/// Opens a file by the path that a script gives.
async fn open(execution: &Rc<Execution>, name: &str, path: &[u8]) -> Result<Result<File, String>, Fault> {
    let Ok(path) = String::from_utf8(path.to_vec()) else {
        return Ok(Err("the path is not UTF-8".into()));
    };
    let sources = execution.environment.settings.sources.clone();
    let found = offload(name, move || sources.find(&path, "").map_err(|error| error.to_string())).await?;
    Ok(found.and_then(|found| {
        let source = match found.content {
            Content::Bytes(bytes) => Source::Memory(Bytes::from_owner(bytes)),
            Content::Disk(file) => {
                let slot = execution.open_slot();
                let slot =
                    slot.ok_or_else(|| format!("a script opens at most {} files", limits::OPEN_MAX))?;
                Source::Disk(Arc::new(file), Rc::new(slot))
            }
        };
        Ok(File::new(source, Some(found.name)))
    }))
}

/// All from `position` on; none when it cannot be read.
async fn read_rest(name: &str, disk: &Arc<std::fs::File>, position: u64) -> Result<Option<Bytes>, Fault> {
    let disk = disk.clone();
    let read = offload(name, move || {
        let mut all = Vec::new();
        loop {
            let piece = read_at(&disk, position + all.len() as u64, limits::FILE_READ_BYTES)?;
            if piece.is_empty() || all.len() > limits::FILE_BYTES_MAX {
                return io::Result::Ok(all);
            }
            all.extend_from_slice(&piece);
        }
    });
    let Ok(all) = read.await? else { return Ok(None) };
    bounded(name, all.len())?;
    Ok(Some(all.into()))
}

/// Up to `length` bytes; fewer only at the end.
fn read_at(disk: &std::fs::File, position: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match disk.read_at(&mut bytes[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

fn bounded(name: &str, length: usize) -> Result<(), Fault> {
    match length > limits::FILE_BYTES_MAX {
        true => Err(Fault::error(format!("{name}(): more than {} bytes", limits::FILE_BYTES_MAX))),
        false => Ok(()),
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
