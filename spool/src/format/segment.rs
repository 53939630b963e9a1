//! A segment's fixed blocks: header (block 0), retire mark (block 1), trailer (last block).

use super::codec::{Bad, Get, Put};
use super::{BLOCK, FORMAT};

const HEADER_MAGIC: &[u8; 8] = b"HQSEGMNT";
const RETIRE_MAGIC: &[u8; 8] = b"HQRETIRE";
const TRAILER_MAGIC: &[u8; 8] = b"HQFOOTER";
/// Where the first batch begins.
pub const DATA_OFFSET: u64 = 2 * BLOCK as u64;

/// One use of a segment file. Seeds every checksum in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Random.
    pub id: [u8; 16],
    /// The log it belongs to.
    pub log: u32,
    /// Never reused in its log.
    pub sequence: u64,
}

impl Identity {
    /// Start value of this use's checksums.
    pub fn seed(&self) -> u32 {
        let seed = crc32c::crc32c(&self.id);
        let seed = crc32c::crc32c_append(seed, &self.log.to_le_bytes());
        crc32c::crc32c_append(seed, &self.sequence.to_le_bytes())
    }
}

/// Block 0: what the segment is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// This use.
    pub identity: Identity,
    /// The spool it belongs to.
    pub spool: [u8; 16],
    /// Size of the file.
    pub size_bytes: u64,
    /// All blocks were written before first use: recycling need not zero it.
    pub zeroed: bool,
}

impl Header {
    /// The block.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK);
        out.extend_from_slice(HEADER_MAGIC);
        out.put_u32(FORMAT);
        out.put_u32(self.identity.log);
        out.extend_from_slice(&self.identity.id);
        out.put_u64(self.identity.sequence);
        out.put_u64(self.size_bytes);
        out.extend_from_slice(&self.spool);
        out.put_u32(u32::from(self.zeroed));
        finish(out, 0)
    }

    /// Reads the block.
    pub fn decode(bytes: &[u8]) -> Result<Header, Bad> {
        let mut get = Get::new(bytes);
        if get.take(8)? != HEADER_MAGIC {
            return Err(Bad::Magic);
        }
        if get.u32()? != FORMAT {
            return Err(Bad::TooNew);
        }
        let log = get.u32()?;
        let id = get.array()?;
        let sequence = get.u64()?;
        let size_bytes = get.u64()?;
        let spool = get.array()?;
        let flags = get.u32()?;
        check(bytes, &mut get, 0)?;
        if size_bytes % BLOCK as u64 != 0 || size_bytes < 4 * BLOCK as u64 || size_bytes > 1 << 32 {
            return Err(Bad::Value("size"));
        }
        let identity = Identity { id, log, sequence };
        Ok(Header { identity, spool, size_bytes, zeroed: flags & 1 != 0 })
    }
}

/// Block 1: this use has ended. Names the use, so that the mark of an earlier one has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retire {
    /// The use that ended.
    pub identity: Identity,
    /// When.
    pub stamp: u64,
}

impl Retire {
    /// The block.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK);
        out.extend_from_slice(RETIRE_MAGIC);
        out.extend_from_slice(&self.identity.id);
        out.put_u32(self.identity.log);
        out.put_u64(self.identity.sequence);
        out.put_u64(self.stamp);
        finish(out, self.identity.seed())
    }

    /// Reads the block.
    pub fn decode(bytes: &[u8]) -> Result<Retire, Bad> {
        let mut get = Get::new(bytes);
        if get.take(8)? != RETIRE_MAGIC {
            return Err(Bad::Magic);
        }
        let identity = Identity { id: get.array()?, log: get.u32()?, sequence: get.u64()? };
        let stamp = get.u64()?;
        check(bytes, &mut get, identity.seed())?;
        Ok(Retire { identity, stamp })
    }
}

/// The last block: the segment is sealed, and where its index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The use it belongs to.
    pub identity: Identity,
    /// Where the index begins.
    pub index_offset: u32,
    /// Length of the index.
    pub index_bytes: u32,
    /// Batches before the index: the number of its first batch.
    pub batches: u32,
    /// Stamp of the first batch.
    pub first_stamp: u64,
    /// Stamp of the last batch before the index.
    pub last_stamp: u64,
    /// The states in the index are as of this stamp.
    pub as_of: u64,
}

impl Trailer {
    /// The block.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK);
        out.extend_from_slice(TRAILER_MAGIC);
        out.extend_from_slice(&self.identity.id);
        out.put_u32(self.identity.log);
        out.put_u64(self.identity.sequence);
        out.put_u32(self.index_offset);
        out.put_u32(self.index_bytes);
        out.put_u32(self.batches);
        out.put_u64(self.first_stamp);
        out.put_u64(self.last_stamp);
        out.put_u64(self.as_of);
        finish(out, self.identity.seed())
    }

    /// Reads the block of the segment `identity`.
    pub fn decode(bytes: &[u8], identity: &Identity) -> Result<Trailer, Bad> {
        let mut get = Get::new(bytes);
        if get.take(8)? != TRAILER_MAGIC {
            return Err(Bad::Magic);
        }
        let found = Identity { id: get.array()?, log: get.u32()?, sequence: get.u64()? };
        let (index_offset, index_bytes, batches) = (get.u32()?, get.u32()?, get.u32()?);
        let (first_stamp, last_stamp, as_of) = (get.u64()?, get.u64()?, get.u64()?);
        if found != *identity {
            return Err(Bad::Foreign);
        }
        check(bytes, &mut get, identity.seed())?;
        if !(index_offset as usize).is_multiple_of(BLOCK) || !(index_bytes as usize).is_multiple_of(BLOCK) {
            return Err(Bad::Value("index"));
        }
        Ok(Trailer { identity: found, index_offset, index_bytes, batches, first_stamp, last_stamp, as_of })
    }
}

/// What the first two blocks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Never used, or its use has ended: may be used anew. `zeroed` as in [`Header`].
    Free {
        /// No need to zero it.
        zeroed: bool,
    },
    /// In use.
    Used(Header),
    /// The header is damaged, or of a later format.
    Damaged(Bad),
}

/// Reads block 0 and block 1 of a segment.
pub fn use_of(blocks: &[u8]) -> Use {
    let retired = blocks.get(BLOCK..2 * BLOCK).and_then(|block| Retire::decode(block).ok());
    match blocks.get(..BLOCK).ok_or(Bad::Short).and_then(Header::decode) {
        Ok(header) if retired.is_some_and(|retire| retire.identity == header.identity) => {
            Use::Free { zeroed: header.zeroed }
        }
        Ok(header) => Use::Used(header),
        Err(Bad::TooNew) => Use::Damaged(Bad::TooNew),
        // The header for a next use was torn: the mark of the last use is still there.
        Err(_) if retired.is_some() => Use::Free { zeroed: false },
        // Created, and not yet given a header.
        Err(Bad::Magic | Bad::Short) if blocks.iter().take(BLOCK).all(|byte| *byte == 0) => {
            Use::Free { zeroed: false }
        }
        Err(bad) => Use::Damaged(bad),
    }
}

fn finish(mut out: Vec<u8>, seed: u32) -> Vec<u8> {
    let crc = crc32c::crc32c_append(seed, &out);
    out.put_u32(crc);
    out.resize(BLOCK, 0);
    out
}

fn check(bytes: &[u8], get: &mut Get<'_>, seed: u32) -> Result<(), Bad> {
    let covered = &bytes[..get.position()];
    if crc32c::crc32c_append(seed, covered) == get.u32()? { Ok(()) } else { Err(Bad::Checksum) }
}
