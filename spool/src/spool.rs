//! The spool directory: one per process.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use engine::buf::AlignedBuf;
use engine::disk::{Dir, Durability, File, Lock, LockError, OpenOptions};

use crate::event::Event;
use crate::files::Name;
use crate::format::codec::Bad;
use crate::format::meta::{FILE_BYTES, LOGS_MAX, Log, Meta, SLOT_BYTES};
use crate::limits::{SEGMENT_MAX_BYTES, SEGMENT_MIN_BYTES};
use crate::options::Options;

const META: &str = "spool.meta";
const META_NEW: &str = "spool.meta.new";
const LOCK: &str = "spool.lock";

/// Why a spool was not opened. `Display` says what to do.
#[derive(Debug)]
pub enum OpenError {
    /// Another process uses it.
    Locked {
        /// Its pid, where known.
        pid: Option<u32>,
        /// The directory.
        path: PathBuf,
    },
    /// Written by a later release, in a way this one cannot read.
    TooNew {
        /// What is not known here.
        what: String,
    },
    /// `spool.meta` or a segment cannot be read as such; it is named.
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system refuses.
    Io {
        /// The file or directory.
        file: PathBuf,
        /// Its words.
        error: io::Error,
    },
    /// The options do not fit together or are out of range.
    Options(String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Locked { pid: Some(pid), path } => {
                write!(f, "spool {} is in use by process {pid}", path.display())
            }
            OpenError::Locked { pid: None, path } => {
                write!(f, "spool {} is in use by another process", path.display())
            }
            OpenError::TooNew { what } => write!(f, "the spool was written by a later release: {what}"),
            OpenError::Damaged { file, what } => write!(f, "{}: {what}", file.display()),
            OpenError::Io { file, error } => write!(f, "{}: {error}", file.display()),
            OpenError::Options(what) => write!(f, "spool: {what}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// An open spool directory: holds its lock, knows its logs and which shard owns which.
#[derive(Debug)]
pub struct Spool {
    options: Arc<Options>,
    uuid: [u8; 16],
    epoch: u32,
    read_only: bool,
    shards: Vec<ShardLogs>,
    _lock: Lock,
}

/// The logs of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardLogs {
    /// Takes new messages.
    pub(crate) active: u32,
    /// All, the active one too.
    pub(crate) all: Vec<u32>,
}

impl Spool {
    /// Opens (or creates) the spool, takes its lock, and assigns its logs to `options.shards` shards. Runs on any
    /// thread of the engine; pass the result to the shards.
    pub async fn open(options: Options) -> Result<Arc<Spool>, OpenError> {
        check(&options)?;
        let io = |name: &str, error| OpenError::Io { file: options.path.join(name), error };
        let dir = Dir::create(&options.path).await.map_err(|error| io("", error))?;
        let lock = match dir.lock(LOCK).await {
            Ok(lock) => lock,
            Err(LockError::Held(pid)) => return Err(OpenError::Locked { pid, path: options.path.clone() }),
            Err(LockError::Io(error)) => return Err(io(LOCK, error)),
        };
        let entries = dir.list().await.map_err(|error| io("", error))?;
        let names: Vec<Name> = entries.iter().filter_map(|entry| Name::parse(&entry.name)).collect();
        let known = entries.iter().any(|entry| entry.name == META);
        let mut meta = if known {
            read_meta(&dir, &options).await?
        } else if names.is_empty() {
            let mut uuid = [0; 16];
            engine::rng::fill(&mut uuid);
            Meta::new(uuid)
        } else {
            let what =
                "missing, though there are segments: restore it from a backup, or read them with hqfcat";
            return Err(OpenError::Damaged { file: options.path.join(META), what: what.to_owned() });
        };
        if meta.unknown_required() != 0 {
            let what = format!("required features {:#x}", meta.unknown_required());
            return Err(OpenError::TooNew { what });
        }
        let read_only = meta.unknown_optional() != 0;
        let shards = assign(&mut meta, &names, options.shards);
        if meta.logs.len() > LOGS_MAX {
            return Err(OpenError::Options(format!("{} logs, at most {LOGS_MAX}", meta.logs.len())));
        }
        if !read_only {
            meta.epoch += 1;
            let written = if known { update_meta(&dir, &meta).await } else { create_meta(&dir, &meta).await };
            written.map_err(|error| io(META, error))?;
        }
        if !options.fsync {
            (options.log)(&Event::NoFsync);
        }
        Ok(Arc::new(Spool {
            uuid: meta.uuid,
            epoch: meta.epoch,
            read_only,
            shards,
            options: Arc::new(options),
            _lock: lock,
        }))
    }
    /// True when an unknown optional feature was found: messages can be read, nothing is written.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
    /// Identity of the spool.
    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }
    pub(crate) fn options(&self) -> &Arc<Options> {
        &self.options
    }
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }
    pub(crate) fn last_epoch(&self) -> u32 {
        if self.read_only { self.epoch } else { self.epoch - 1 }
    }
    pub(crate) fn logs(&self, shard: u16) -> Option<&ShardLogs> {
        self.shards.get(usize::from(shard))
    }
}

fn check(options: &Options) -> Result<(), OpenError> {
    let size = options.segment_bytes;
    if !(SEGMENT_MIN_BYTES..=SEGMENT_MAX_BYTES).contains(&size) || !size.is_multiple_of(64 << 10) {
        return Err(OpenError::Options(format!("segments of {size} bytes")));
    }
    if options.shards == 0 {
        return Err(OpenError::Options("no shards".to_owned()));
    }
    Ok(())
}

async fn read_meta(dir: &Dir, options: &Options) -> Result<Meta, OpenError> {
    let path = options.path.join(META);
    let read = async {
        let file = dir.open_file(META, OpenOptions::default()).await?;
        file.read_at(0, FILE_BYTES).await
    };
    let bytes = read.await.map_err(|error| OpenError::Io { file: path.clone(), error })?;
    Meta::read(&bytes).map_err(|bad| match bad {
        Bad::TooNew => OpenError::TooNew { what: "format of spool.meta".to_owned() },
        bad => OpenError::Damaged { file: path, what: bad.to_string() },
    })
}

/// Writes the slot that does not hold the present state: needs no space, and a torn write costs nothing.
async fn update_meta(dir: &Dir, meta: &Meta) -> io::Result<()> {
    let file = dir.open_file(META, OpenOptions { write: true, ..OpenOptions::default() }).await?;
    write_slot(&file, meta, meta.slot()).await
}

async fn create_meta(dir: &Dir, meta: &Meta) -> io::Result<()> {
    let options = OpenOptions { write: true, create: true, exclusive: false, direct: false, mode: 0 };
    let file = dir.open_file(META_NEW, options).await?;
    write_slot(&file, meta, 0).await?;
    write_slot(&file, meta, 1).await?;
    file.sync().await?;
    dir.rename(META_NEW, META).await?;
    dir.sync().await
}

async fn write_slot(file: &File, meta: &Meta, slot: usize) -> io::Result<()> {
    let bytes = meta.encode();
    let mut buf = AlignedBuf::with_capacity(bytes.len());
    buf.extend_from_slice(&bytes);
    file.write_at((slot * SLOT_BYTES) as u64, buf, Durability::Durable).await.0
}

/// Gives whole groups of logs to shards, the largest first to the least loaded; shards without one get a new log. Logs
/// that have no file left are forgotten.
fn assign(meta: &mut Meta, names: &[Name], shards: u16) -> Vec<ShardLogs> {
    let mut files: BTreeMap<u32, usize> = BTreeMap::new();
    for name in names {
        let (Name::Segment { log, .. } | Name::Extent { log, .. }) = name;
        *files.entry(*log).or_default() += 1;
    }
    meta.logs.retain(|log| files.contains_key(&log.id));
    for id in files.keys() {
        // Its files were made in a start whose table is lost: no settle can be elsewhere.
        if !meta.logs.iter().any(|log| log.id == *id) {
            meta.logs.push(Log { id: *id, group: *id });
        }
        meta.next_log = meta.next_log.max(id + 1);
    }
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for log in &meta.logs {
        groups.entry(log.group).or_default().push(log.id);
    }
    let weight = |logs: &Vec<u32>| logs.iter().map(|log| files[log]).sum::<usize>();
    let mut groups: Vec<(usize, Vec<u32>)> = groups.into_values().map(|logs| (weight(&logs), logs)).collect();
    groups.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut loads: Vec<(usize, Vec<u32>)> = vec![(0, Vec::new()); usize::from(shards)];
    for (weight, logs) in groups {
        let least = loads.iter_mut().min_by_key(|(load, logs)| (*load, logs.len())).expect("shards");
        least.0 += weight;
        least.1.extend(logs);
    }
    let mut out = Vec::with_capacity(loads.len());
    meta.logs.clear();
    for (_, mut all) in loads {
        if all.is_empty() {
            all.push(meta.next_log);
            meta.next_log += 1;
        }
        all.sort_unstable();
        let group = all[0];
        meta.logs.extend(all.iter().map(|id| Log { id: *id, group }));
        // The newest takes new mail: older ones drain and go.
        out.push(ShardLogs { active: *all.last().expect("not empty"), all });
    }
    out
}

#[cfg(test)]
mod tests;
