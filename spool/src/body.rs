//! A message on its way out.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use engine::disk::{File, OpenOptions};

use crate::event::Event;
use crate::files::{self, Handle, Name};
use crate::format::BODY_BLOCK;
use crate::format::batch::{Record, RecordAt};
use crate::format::record::{Kind, extent_seed};
use crate::limits::CHUNK_MAX_BYTES;
use crate::messages::Message;
use crate::options::Corrupt;
use crate::state::{PartRef, State, Uid};
use crate::store::Store;
use crate::types::{ItemId, MessageId, Settle};

/// Why a body cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// The message is not in the spool (any more).
    Gone,
    /// The bytes on disk fail their checks. Abort before the final dot. The spool has put the message's items on
    /// hold, durably.
    Corrupt,
    /// The disk failed; may work later.
    Io(io::Error),
}

/// Reads a message (prefix and body) from its start, in chunks of at most 64 KiB that were verified. Keeps what it
/// reads from being recycled.
#[derive(Debug)]
pub struct BodyReader {
    store: Rc<Store>,
    id: MessageId,
    len: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Memory(std::vec::IntoIter<Bytes>),
    Disk(Box<Disk>),
    Gone,
    Corrupt,
}

/// A message on disk: prefix, parts, rest.
#[derive(Debug)]
struct Disk {
    /// What is left to be begun with; none for a message that is not committed.
    commit: Option<(Handle, Uid, RecordAt)>,
    prefix_bytes: usize,
    parts: std::vec::IntoIter<DiskPart>,
    /// Data of the commit record behind the prefix.
    rest: Option<Bytes>,
    /// Verified bytes that are given out next.
    waiting: Bytes,
    extent: Option<OpenExtent>,
}

#[derive(Debug)]
enum DiskPart {
    Record(Handle, Uid, RecordAt),
    Extent { log: u32, id: u64, bytes: u64, crcs: Rc<[u32]> },
}

#[derive(Debug)]
struct OpenExtent {
    file: File,
    log: u32,
    id: u64,
    bytes: u64,
    crcs: Rc<[u32]>,
    at: u64,
}

/// Why a read gave nothing.
enum Failure {
    Io(io::Error),
    /// A range of a segment; none: an extent.
    Corrupt(Option<(Handle, Uid, RecordAt)>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl BodyReader {
    pub(crate) fn new(store: Rc<Store>, id: MessageId) -> BodyReader {
        let (source, len) = {
            let state = store.state.borrow();
            match state.messages.get(id) {
                None => (Source::Gone, 0),
                Some(message) if message.damaged => (Source::Corrupt, message.size),
                Some(message) => (source(&state, message), message.size),
            }
        };
        BodyReader { store, id, len, source }
    }

    /// The next bytes, `None` at the end. From the cache without a copy while the message is there.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let failure = match &mut self.source {
            Source::Gone => return Err(ReadError::Gone),
            Source::Corrupt => return Err(ReadError::Corrupt),
            Source::Memory(chunks) => return Ok(chunks.next()),
            Source::Disk(disk) => match disk.next(&self.store).await {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => failure,
            },
        };
        match failure {
            Failure::Io(error) => Err(ReadError::Io(error)),
            Failure::Corrupt(place) => {
                self.source = Source::Corrupt;
                self.store.message_is_damaged(self.id, place).await;
                Err(ReadError::Corrupt)
            }
        }
    }
    /// Size of the whole message in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// True for a message without a byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn source(state: &State, message: &Message) -> Source {
    if let Some(cached) = message.cache() {
        let mut chunks = Vec::with_capacity(2 + cached.body.rest.len());
        chunks.push(cached.prefix.clone());
        chunks.push(cached.body.first.clone());
        chunks.extend(cached.body.rest.iter().cloned());
        chunks.retain(|chunk| !chunk.is_empty());
        return Source::Memory(chunks.into_iter());
    }
    let Some(segment) = state.segments.get(&message.home) else { return Source::Corrupt };
    let Some(parts) = disk_parts(state, message.parts().iter()) else { return Source::Corrupt };
    Source::Disk(Box::new(Disk {
        commit: Some((segment.file.clone(), message.home, message.at)),
        prefix_bytes: message.prefix_bytes as usize,
        parts: parts.into_iter(),
        rest: None,
        waiting: Bytes::new(),
        extent: None,
    }))
}

/// Where parts are; `None`: one of them is in no segment.
fn disk_parts<'p>(state: &State, parts: impl Iterator<Item = &'p PartRef>) -> Option<Vec<DiskPart>> {
    let parts = parts.map(|part| match part {
        PartRef::Record { segment, at } => {
            let file = state.segments.get(segment)?.file.clone();
            Some(DiskPart::Record(file, *segment, *at))
        }
        PartRef::Extent { log, id, bytes, crcs } => {
            Some(DiskPart::Extent { log: *log, id: *id, bytes: *bytes, crcs: crcs.clone() })
        }
    });
    parts.collect()
}

/// Reads parts of a message that is not committed. The error is a text.
pub(crate) async fn read_parts(
    store: &Rc<Store>,
    parts: &[PartRef],
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let parts = disk_parts(&store.state.borrow(), parts.iter());
    let Some(parts) = parts else { return Err("a part of the message is in no segment".to_owned()) };
    let mut disk = Disk {
        commit: None,
        prefix_bytes: 0,
        parts: parts.into_iter(),
        rest: None,
        waiting: Bytes::new(),
        extent: None,
    };
    loop {
        match disk.next(store).await {
            Ok(Some(bytes)) => out.extend_from_slice(&bytes),
            Ok(None) => return Ok(()),
            Err(Failure::Io(error)) => return Err(error.to_string()),
            Err(Failure::Corrupt(_)) => return Err("what was just written fails its checks".to_owned()),
        }
    }
}

impl Disk {
    async fn next(&mut self, store: &Rc<Store>) -> Result<Option<Bytes>, Failure> {
        loop {
            if !self.waiting.is_empty() {
                let len = self.waiting.len().min(CHUNK_MAX_BYTES);
                return Ok(Some(self.waiting.split_to(len)));
            }
            if let Some(place) = &self.commit {
                let (file, uid, at) = place;
                let mut data = read_record(file, *uid, *at).await?;
                if self.prefix_bytes > data.len() {
                    return Err(Failure::Corrupt(Some(place.clone())));
                }
                self.waiting = data.split_to(self.prefix_bytes);
                self.rest = Some(data);
                self.commit = None;
            } else if let Some(extent) = &mut self.extent {
                match extent.next(store).await? {
                    Some(bytes) => self.waiting = bytes,
                    None => self.extent = None,
                }
            } else if let Some(part) = self.parts.as_slice().first() {
                match part {
                    DiskPart::Record(file, uid, at) => self.waiting = read_record(file, *uid, *at).await?,
                    DiskPart::Extent { log, id, bytes, crcs } => {
                        self.extent = Some(OpenExtent::open(store, *log, *id, *bytes, crcs.clone()).await?);
                    }
                }
                self.parts.next();
            } else {
                match self.rest.take() {
                    Some(rest) => self.waiting = rest,
                    None => return Ok(None),
                }
            }
        }
    }
}

/// The data of a record: frame, meta and data are checked.
async fn read_record(file: &Handle, uid: Uid, at: RecordAt) -> Result<Bytes, Failure> {
    let len = usize::try_from(at.len()).map_err(|_| io::Error::other("too large a record"))?;
    let (buf, skip) = files::read_range(&file.file, u64::from(at.offset), len).await?;
    let good = |record: &Record<'_>| {
        matches!(record.kind, Some(Kind::Commit | Kind::Body))
            && record.at == at
            && record.check_data().is_ok()
    };
    match Record::parse(&buf[skip..skip + len], at.offset, at.seed) {
        Ok(record) if good(&record) => Ok(Bytes::copy_from_slice(record.data)),
        _ => Err(Failure::Corrupt(Some((file.clone(), uid, at)))),
    }
}

impl OpenExtent {
    async fn open(
        store: &Rc<Store>,
        log: u32,
        id: u64,
        bytes: u64,
        crcs: Rc<[u32]>,
    ) -> Result<OpenExtent, Failure> {
        let name = Name::Extent { log, id }.to_string();
        match store.dir.open_file(&name, OpenOptions::default()).await {
            Ok(file) => Ok(OpenExtent { file, log, id, bytes, crcs, at: 0 }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Corrupt(None)),
            Err(error) => Err(error.into()),
        }
    }

    async fn next(&mut self, store: &Rc<Store>) -> Result<Option<Bytes>, Failure> {
        if self.at >= self.bytes {
            return Ok(None);
        }
        let len = (self.bytes - self.at).min(BODY_BLOCK as u64) as usize;
        let block = self.at / BODY_BLOCK as u64;
        let (buf, skip) = files::read_range(&self.file, self.at, len).await?;
        let bytes = &buf[skip..skip + len];
        let seed = extent_seed(&store.spool.uuid(), self.log, self.id, block);
        if self.crcs.get(block as usize) != Some(&crc32c::crc32c_append(seed, bytes)) {
            return Err(Failure::Corrupt(None));
        }
        self.at += len as u64;
        Ok(Some(Bytes::copy_from_slice(bytes)))
    }
}

impl Store {
    /// The message cannot be read: its items go on hold, durably, and its bytes are set aside.
    async fn message_is_damaged(self: &Rc<Self>, id: MessageId, place: Option<(Handle, Uid, RecordAt)>) {
        let recipients = {
            let mut state = self.state.borrow_mut();
            let Some(message) = state.messages.get_mut(id) else { return };
            if std::mem::replace(&mut message.damaged, true) {
                return;
            }
            message.recipients
        };
        match place {
            Some((file, uid, at)) => {
                let from = u64::from(at.offset);
                self.set_aside(uid, &file, from..from + at.len(), Some(id), "checksum does not match").await;
            }
            None => {
                self.state.borrow_mut().stats.corruptions += 1;
                (self.options.log)(&Event::Corrupt {
                    file: "an extent".to_owned(),
                    offset: 0,
                    len_bytes: 0,
                    message: Some(id),
                    what: "missing, or checksum does not match; left in place".to_owned(),
                });
            }
        }
        if self.spool.is_read_only() {
            return;
        }
        let settle = if self.options.corrupt == Corrupt::Unlink {
            Settle::Done
        } else {
            Settle::Hold { reason: Bytes::from_static(b"damaged in the spool") }
        };
        let all = (0..recipients).map(|recipient| (ItemId { message: id, recipient }, settle.clone()));
        drop(self.settle(all.collect()));
    }
}
