//! The file `spool.meta`: identity of the spool, and its logs.
//!
//! Two slots of fixed size: each start writes the one that the last start did not, in place, so that a start needs no
//! space. The valid slot with the highest number of the start counts.

use super::FORMAT;
use super::codec::{Bad, Get, Put};

const MAGIC: &[u8; 8] = b"HQSPOOL\n";
/// Required feature bits that this release knows.
const KNOWN_REQUIRED: u64 = 0;
/// Optional feature bits that this release knows.
const KNOWN_OPTIONAL: u64 = 0;

/// Bytes of a slot.
pub const SLOT_BYTES: usize = 16 << 10;
/// Bytes of the file.
pub const FILE_BYTES: usize = 2 * SLOT_BYTES;
/// Most logs that a slot holds.
pub const LOGS_MAX: usize = (SLOT_BYTES - 64) / 8;

/// One log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its number; never reused.
    pub id: u32,
    /// Logs of one group may hold settles for each other's messages, so they have one owner.
    pub group: u32,
}

/// Content of `spool.meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Feature bits that a reader must know.
    pub required: u64,
    /// Feature bits that a writer must know.
    pub optional: u64,
    /// Identity.
    pub uuid: [u8; 16],
    /// Starts so far: the upper part of stamps and sequence numbers.
    pub epoch: u32,
    /// Number of the next new log.
    pub next_log: u32,
    /// All logs.
    pub logs: Vec<Log>,
}

impl Meta {
    /// A new spool.
    pub fn new(uuid: [u8; 16]) -> Meta {
        Meta { required: 0, optional: 0, uuid, epoch: 0, next_log: 0, logs: Vec::new() }
    }

    /// The slot that this state is written to.
    pub fn slot(&self) -> usize {
        self.epoch as usize % 2
    }

    /// Reads the file.
    pub fn read(file: &[u8]) -> Result<Meta, Bad> {
        let slots = [file.get(..SLOT_BYTES).unwrap_or(file), file.get(SLOT_BYTES..).unwrap_or_default()];
        let [first, second] = slots.map(Meta::decode);
        match (first, second) {
            (Ok(first), Ok(second)) => Ok(if first.epoch > second.epoch { first } else { second }),
            // A slot of a later release may be the later state.
            (Err(Bad::TooNew), _) | (_, Err(Bad::TooNew)) => Err(Bad::TooNew),
            (Ok(meta), Err(_)) | (Err(_), Ok(meta)) => Ok(meta),
            (Err(bad), Err(_)) => Err(bad),
        }
    }

    /// A slot's content.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.logs.len() * 8);
        out.extend_from_slice(MAGIC);
        out.put_u32(FORMAT);
        out.put_u64(self.required);
        out.put_u64(self.optional);
        out.extend_from_slice(&self.uuid);
        out.put_u32(self.epoch);
        out.put_u32(self.next_log);
        out.put_u32(u32::try_from(self.logs.len()).expect("logs are numbered by 32 bits"));
        for log in &self.logs {
            out.put_u32(log.id);
            out.put_u32(log.group);
        }
        let crc = crc32c::crc32c(&out);
        out.put_u32(crc);
        assert!(out.len() <= SLOT_BYTES, "more logs than a slot holds");
        out.resize(SLOT_BYTES, 0);
        out
    }

    /// Reads a slot; bytes after the checksum are padding.
    pub fn decode(bytes: &[u8]) -> Result<Meta, Bad> {
        let mut get = Get::new(bytes);
        if get.take(8)? != MAGIC {
            return Err(Bad::Magic);
        }
        if get.u32()? != FORMAT {
            return Err(Bad::TooNew);
        }
        let (required, optional) = (get.u64()?, get.u64()?);
        let uuid = get.array()?;
        let (epoch, next_log, count) = (get.u32()?, get.u32()?, get.u32()? as usize);
        if count > get.remaining() / 8 {
            return Err(Bad::Short);
        }
        let mut logs = Vec::with_capacity(count);
        for _ in 0..count {
            logs.push(Log { id: get.u32()?, group: get.u32()? });
        }
        if crc32c::crc32c(&bytes[..get.position()]) != get.u32()? {
            return Err(Bad::Checksum);
        }
        if epoch >= 1 << 24 {
            return Err(Bad::Value("epoch"));
        }
        Ok(Meta { required, optional, uuid, epoch, next_log, logs })
    }

    /// Required bits that this release does not know: it must not read the spool.
    pub fn unknown_required(&self) -> u64 {
        self.required & !KNOWN_REQUIRED
    }

    /// Optional bits that this release does not know: it must not write the spool.
    pub fn unknown_optional(&self) -> u64 {
        self.optional & !KNOWN_OPTIONAL
    }
}
