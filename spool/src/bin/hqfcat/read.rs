//! The messages of a spool directory, as a start of the server would find them.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use spool::content::{Content, Damage};
use spool::files::Name;
use spool::format::batch::{Record, RecordAt};
use spool::format::meta::Meta;
use spool::format::record::{ItemImage, Part, extent_seed};
use spool::format::scan::{Scan, Step};
use spool::format::segment::{Use, use_of};
use spool::format::{BODY_BLOCK, envelope};
use spool::replay::{FoundCommit, Replay, SegmentKey};
use spool::{Envelope, ItemState};

use crate::json::Json;

/// A spool directory, read.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    uuid: [u8; 16],
    /// Files of the segments.
    segments: BTreeMap<SegmentKey, PathBuf>,
    damage: Vec<(PathBuf, Damage)>,
    problems: Vec<String>,
    pub(crate) messages: Vec<Message>,
}

/// A queued message.
#[derive(Debug)]
pub(crate) struct Message {
    home: SegmentKey,
    commit: FoundCommit,
    envelope: Envelope,
    size_bytes: u64,
    pub(crate) items: Vec<ItemImage>,
}

impl Directory {
    pub(crate) fn read(path: &Path) -> Result<Directory, String> {
        let meta = read_file(&path.join("spool.meta")).ok().and_then(|bytes| Meta::read(&bytes).ok());
        let mut directory = Directory {
            path: path.to_owned(),
            uuid: meta.as_ref().map_or([0; 16], |meta| meta.uuid),
            segments: BTreeMap::new(),
            damage: Vec::new(),
            problems: Vec::new(),
            messages: Vec::new(),
        };
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
            for (found, outcome) in replay.resolve(next) {
                for resolved in outcome.messages {
                    directory.message(found.key, resolved.commit, resolved.items);
                }
            }
        }
        directory.messages.sort_by_key(|message| (message.envelope.received_ms, message.commit.head.id));
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
                self.messages.push(Message { home, commit, envelope, size_bytes, items });
            }
            Err(bad) => self.problems.push(format!("envelope of message {}: {bad}", commit.head.id)),
        }
    }

    /// Says what could not be read; true when there is nothing to say.
    pub(crate) fn report_damage(&self) -> bool {
        for problem in &self.problems {
            eprintln!("hqfcat: {problem}");
        }
        for (path, damage) in &self.damage {
            let of = damage.message.map_or(String::new(), |id| format!(", message {id}"));
            let range = &damage.range;
            eprintln!(
                "hqfcat: {}: damaged at {}..{}{of}: {}",
                path.display(),
                range.start,
                range.end,
                damage.bad
            );
        }
        self.problems.is_empty() && self.damage.is_empty()
    }

    /// The message's bytes, checked.
    pub(crate) fn body(&self, message: &Message) -> Result<Vec<u8>, String> {
        let head = &message.commit.head;
        let data = self.record(message.home, message.commit.at)?;
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
    pub(crate) fn transaction(&self) -> String {
        self.envelope.transaction.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// One recipient, as `hqfcat` documents it.
    pub(crate) fn object(&self, at: usize) -> Json {
        let item = &self.items[at];
        let recipient = self.envelope.recipients.get(item.recipient as usize).cloned().unwrap_or_default();
        let (status, retry_ms, reply) = state(&item.state);
        let optional = |bytes: &[u8]| if bytes.is_empty() { Json::Null } else { Json::bytes(bytes) };
        Json::Object(vec![
            ("id", Json::Text(self.transaction())),
            ("queueid", Json::Number(u64::from(item.recipient) + 1)),
            ("message", Json::Text(self.commit.head.id.to_string())),
            ("status", Json::Text(status.to_owned())),
            ("retry", Json::Number(u64::from(item.attempts))),
            ("retryts", retry_ms.map_or(Json::Null, |ms| Json::Number(ms / 1000))),
            ("transportid", Json::bytes(&recipient.transport)),
            ("ts", Json::Number(self.envelope.received_ms / 1000)),
            ("sender", Json::bytes(&self.envelope.sender)),
            ("recipient", Json::bytes(&recipient.address)),
            ("domain", Json::bytes(&recipient.domain)),
            ("serverid", Json::bytes(&self.envelope.server_id)),
            ("senderip", self.envelope.peer.map_or(Json::Null, |peer| Json::Text(peer.ip().to_string()))),
            ("senderhelo", Json::bytes(&self.envelope.helo)),
            ("username", self.envelope.auth_user.as_deref().map_or(Json::Null, Json::bytes)),
            ("size", Json::Number(self.size_bytes)),
            ("reply", optional(reply)),
        ])
    }

    /// The same as a line.
    pub(crate) fn line(&self, at: usize) -> String {
        let item = &self.items[at];
        let address = self.envelope.recipients.get(item.recipient as usize).map(|r| r.address.clone());
        let (status, _, reply) = state(&item.state);
        format!(
            "{} {status:5} <{}> -> <{}> {} bytes, {} attempts{}{}",
            self.transaction(),
            String::from_utf8_lossy(&self.envelope.sender).escape_debug(),
            String::from_utf8_lossy(&address.unwrap_or_default()).escape_debug(),
            self.size_bytes,
            item.attempts,
            if reply.is_empty() { "" } else { ": " },
            String::from_utf8_lossy(reply).escape_debug(),
        )
    }
}

fn state(state: &ItemState) -> (&'static str, Option<u64>, &[u8]) {
    match state {
        ItemState::Active => ("QUEUE", None, &[]),
        ItemState::RetryAt { at_ms, reply } => ("QUEUE", Some(*at_ms), readable(reply)),
        ItemState::Hold { reason } => ("HOLD", None, readable(reason)),
    }
}

/// The server keeps more behind a NUL.
fn readable(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a program outside the engine")]
pub(crate) fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
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
