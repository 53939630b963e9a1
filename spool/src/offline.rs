//! The messages of a spool directory as a start of the server would find them, and those of unloaded files: for programs that
//! look at them while no server does, or beside one. They read only, and take no lock.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::content::{Content, Damage};
use crate::files::Name;
use crate::format::batch::{Record, RecordAt};
use crate::format::meta::Meta;
use crate::format::record::{ItemImage, Part, extent_seed};
use crate::format::scan::{Scan, Step};
use crate::format::segment::{Use, use_of};
use crate::format::{BODY_BLOCK, envelope};
use crate::hqf;
use crate::replay::{FoundCommit, Next, Replay, SegmentKey};
use crate::types::{Envelope, MessageId};

/// A spool directory or an unloaded file, read.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    uuid: [u8; 16],
    /// Files of the segments.
    segments: BTreeMap<SegmentKey, PathBuf>,
    damage: Vec<(PathBuf, Damage)>,
    problems: Vec<String>,
    /// What is queued, the oldest first.
    pub messages: Vec<Message>,
}

/// A queued message.
#[derive(Debug)]
pub struct Message {
    source: Source,
    /// Its envelope.
    pub envelope: Envelope,
    /// Its size.
    pub size_bytes: u64,
    /// The recipients that are not done.
    pub items: Vec<ItemImage>,
}

#[derive(Debug)]
enum Source {
    Spool { home: SegmentKey, commit: Box<FoundCommit> },
    File(Bytes),
}

impl Directory {
    /// Reads what `path` names: a spool directory, or an unloaded file. `None`: it is another file.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open(path: &Path) -> Result<Option<Directory>, String> {
        let fail = |error: std::io::Error| format!("{}: {error}", path.display());
        if std::fs::metadata(path).map_err(fail)?.is_dir() {
            return Directory::read(path).map(Some);
        }
        let begins = read_range(path, 0, hqf::MAGIC.len() as u64).map_err(fail)?;
        if begins != hqf::MAGIC {
            return Ok(None);
        }
        let mut decoder = hqf::Decoder::default();
        decoder.push(&read_file(path).map_err(fail)?);
        let damaged = |bad| format!("{}: damaged: {bad}", path.display());
        let (mut head, mut body) = (None, Vec::new());
        while let Some(part) = decoder.next().map_err(damaged)? {
            match part {
                hqf::Part::Head(found) => head = Some(*found),
                hqf::Part::Body(bytes) => body.extend_from_slice(&bytes),
                hqf::Part::End => break,
            }
        }
        decoder.finish().map_err(damaged)?;
        let message = head.map(|hqf::Unloaded { envelope, size_bytes, items }| Message {
            source: Source::File(Bytes::from(std::mem::take(&mut body))),
            envelope,
            size_bytes,
            items: items.iter().map(ItemImage::from).collect(),
        });
        Ok(Some(Directory { messages: message.into_iter().collect(), ..Directory::empty(path) }))
    }

    fn empty(path: &Path) -> Directory {
        Directory {
            path: path.to_owned(),
            uuid: [0; 16],
            segments: BTreeMap::new(),
            damage: Vec::new(),
            problems: Vec::new(),
            messages: Vec::new(),
        }
    }

    fn read(path: &Path) -> Result<Directory, String> {
        let meta = read_file(&path.join("spool.meta")).ok().and_then(|bytes| Meta::read(&bytes).ok());
        let uuid = meta.as_ref().map_or([0; 16], |meta| meta.uuid);
        let mut directory = Directory { uuid, ..Directory::empty(path) };
        if meta.is_none() {
            directory.problems.push("spool.meta is missing or damaged".to_owned());
        }
        let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        let mut contents = Vec::new();
        for name in names {
            if matches!(Name::parse(&name), Some(Name::Segment { .. })) {
                contents.extend(directory.segment(&path.join(name)));
            }
        }
        contents.sort_by_key(|content: &Content| content.found.last_stamp);
        let mut replay = Replay::new(meta.map_or(0, |meta| meta.epoch));
        while let Some(content) = contents.pop() {
            replay.add(content.found);
            let next = contents.last().map(|content| content.found.last_stamp);
            for mut segment in replay.resolve(next) {
                loop {
                    match segment.next(&replay) {
                        Next::Message(message) => {
                            directory.message(segment.key(), message.commit, message.items);
                        }
                        Next::Dead => {}
                        Next::End => break,
                    }
                }
            }
        }
        directory.messages.sort_by_key(|message| (message.envelope.received_ms, message.id()));
        Ok(directory)
    }

    fn segment(&mut self, path: &Path) -> Option<Content> {
        let bytes = match read_file(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.problems.push(format!("{}: {error}", path.display()));
                return None;
            }
        };
        let header = match use_of(&bytes) {
            Use::Used(header) => header,
            Use::Free { .. } => return None,
            Use::Damaged(bad) => {
                self.problems.push(format!("{}: header: {bad}", path.display()));
                return None;
            }
        };
        if self.uuid == [0; 16] {
            self.uuid = header.spool;
        }
        let key = (header.identity.log, header.identity.sequence);
        self.segments.insert(key, path.to_owned());
        let mut content = Content::new(key);
        let mut scan = Scan::new(header.identity, bytes.len() as u64);
        while let Step::Batch { batch, window_at, .. } = scan.step(0, &bytes) {
            content.batch(&batch, &bytes[window_at..]);
        }
        content.end();
        self.damage.extend(content.damage.drain(..).map(|damage| (path.to_owned(), damage)));
        Some(content)
    }

    fn message(&mut self, home: SegmentKey, commit: FoundCommit, items: Vec<ItemImage>) {
        match envelope::decode(&commit.envelope) {
            Ok((envelope, size_bytes)) => {
                let source = Source::Spool { home, commit: Box::new(commit) };
                self.messages.push(Message { source, envelope, size_bytes, items });
            }
            Err(bad) => self.problems.push(format!("envelope of message {}: {bad}", commit.head.id)),
        }
    }

    /// What could not be read, in sentences.
    pub fn problems(&self) -> Vec<String> {
        let damage = self.damage.iter().map(|(path, damage)| {
            let of = damage.message.map_or(String::new(), |id| format!(", message {id}"));
            let (path, range) = (path.display(), &damage.range);
            format!("{path}: damaged at {}..{}{of}: {}", range.start, range.end, damage.bad)
        });
        self.problems.iter().cloned().chain(damage).collect()
    }

    /// The message's bytes, checked.
    ///
    /// # Errors
    /// What is damaged or missing.
    pub fn body(&self, message: &Message) -> Result<Vec<u8>, String> {
        let (home, commit) = match &message.source {
            Source::File(bytes) => return Ok(bytes.to_vec()),
            Source::Spool { home, commit } => (home, commit),
        };
        let head = &commit.head;
        let data = self.record(*home, commit.at)?;
        let prefix = head.prefix_bytes as usize;
        let mut out = data.get(..prefix).ok_or("its record is damaged")?.to_vec();
        for part in &head.parts {
            match part {
                Part::Record { segment, at } => out.extend(self.record((head.id.log, *segment), *at)?),
                Part::Extent { id, bytes, crcs } => {
                    let name = Name::Extent { log: head.id.log, id: *id }.to_string();
                    let extent =
                        read_file(&self.path.join(&name)).map_err(|error| format!("{name}: {error}"))?;
                    let good = extent.len() as u64 == *bytes
                        && extent.chunks(BODY_BLOCK).zip(crcs).enumerate().all(|(block, (piece, crc))| {
                            let seed = extent_seed(&self.uuid, head.id.log, *id, block as u64);
                            crc32c::crc32c_append(seed, piece) == *crc
                        });
                    if !good {
                        return Err(format!("{name}: checksum does not match"));
                    }
                    out.extend(extent);
                }
            }
        }
        out.extend_from_slice(&data[prefix..]);
        Ok(out)
    }

    fn record(&self, segment: SegmentKey, at: RecordAt) -> Result<Vec<u8>, String> {
        let path = self.segments.get(&segment).ok_or("a part of it is in a segment that is missing")?;
        let bytes = read_range(path, u64::from(at.offset), at.len()).map_err(|error| error.to_string())?;
        let record = Record::parse(&bytes, at.offset, at.seed).map_err(|bad| bad.to_string())?;
        record.check_data().map_err(|bad| bad.to_string())?;
        Ok(record.data.to_vec())
    }
}

impl Message {
    /// The transaction id in hexadecimal.
    pub fn transaction(&self) -> String {
        self.envelope.transaction.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The message's name in its spool; none in a file.
    pub fn id(&self) -> Option<MessageId> {
        match &self.source {
            Source::Spool { commit, .. } => Some(commit.head.id),
            Source::File(_) => None,
        }
    }
}

/// A whole file.
///
/// # Errors
/// It cannot be read.
#[expect(clippy::disallowed_methods, reason = "for programs outside the engine")]
pub fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

#[expect(clippy::disallowed_methods, reason = "a program outside the engine")]
fn read_range(path: &Path, offset: u64, len: u64) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut out = Vec::new();
    file.take(len).read_to_end(&mut out)?;
    Ok(out)
}
