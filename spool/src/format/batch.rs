//! A batch: what one write appends to a segment. A header of 64 bytes, then records, zeros, and at the end of its last
//! block the header once more, so that damage of the first does not cost the records.
//!
//! A record is a frame of 16 bytes, a part called *meta* (small, covered by the frame's checksum) and *data* (body
//! bytes, one checksum per 64 KiB at the beginning of meta). Every checksum is seeded from the segment's use, the
//! batch's number, offset and stamp, and the place of what it covers: a valid record is valid in one place only.

use std::ops::{DerefMut, Range};

use super::codec::{Bad, Get};
use super::record::Kind;
use super::segment::Identity;
use super::{BLOCK, BODY_BLOCK};

const MAGIC: u32 = u32::from_le_bytes(*b"HQB1");
/// Bytes of a batch's header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a batch beside its records and padding: the header, twice.
pub const OVERHEAD_BYTES: usize = 2 * HEADER_BYTES;
/// Bytes that looking for the next good record may checksum, per batch.
const RESYNC_BYTES: usize = 64 << 20;
/// Bytes of a record's frame.
pub const FRAME_BYTES: usize = 16;
/// Flag: the batch belongs to the index that sealing writes.
const FLAG_INDEX: u32 = 1;

/// Where a batch is, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment.
    pub segment: Identity,
    /// Number of the batch in the segment, from 0.
    pub number: u32,
    /// Its first byte in the segment: a multiple of [`BLOCK`].
    pub offset: u32,
    /// Its stamp.
    pub stamp: u64,
}

impl Place {
    /// Start value of the checksums in the batch.
    pub fn seed(&self) -> u32 {
        let mut bytes = [0u8; 16];
        bytes[..4].copy_from_slice(&self.number.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..].copy_from_slice(&self.stamp.to_le_bytes());
        crc32c::crc32c_append(self.segment.seed(), &bytes)
    }
}

/// Where a record is; enough to read and verify it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordAt {
    /// First byte of its frame in the segment.
    pub offset: u32,
    /// Seed of its batch.
    pub seed: u32,
    /// Bytes of meta.
    pub meta_bytes: u32,
    /// Bytes of data.
    pub data_bytes: u32,
}

impl RecordAt {
    /// Bytes on disk.
    pub fn len(&self) -> u64 {
        FRAME_BYTES as u64 + u64::from(self.meta_bytes) + u64::from(self.data_bytes)
    }
    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }
    /// First byte of the data in the segment.
    pub fn data_offset(&self) -> u64 {
        u64::from(self.offset) + FRAME_BYTES as u64 + u64::from(self.meta_bytes)
    }
}

/// Checksum of body bytes that stand at `offset` of the segment.
pub fn body_crc(seed: u32, offset: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed ^ offset as u32, bytes)
}

/// Checksums that the data of a record of `data_bytes` has.
pub fn body_blocks(data_bytes: usize) -> usize {
    data_bytes.div_ceil(BODY_BLOCK)
}

/// Bytes that a record takes in a batch.
pub fn record_bytes(meta_bytes: usize, data_bytes: usize) -> usize {
    FRAME_BYTES + 4 * body_blocks(data_bytes) + meta_bytes + data_bytes
}

/// A growing buffer.
pub trait Sink: DerefMut<Target = [u8]> {
    /// Appends.
    fn append(&mut self, bytes: &[u8]);
    /// Appends zeros up to this length.
    fn grow(&mut self, len: usize);
}

impl Sink for Vec<u8> {
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    fn grow(&mut self, len: usize) {
        self.resize(len, 0);
    }
}

impl Sink for engine::buf::AlignedBuf {
    fn append(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
    fn grow(&mut self, len: usize) {
        self.resize(len);
    }
}

/// Writes a batch into an empty buffer.
#[derive(Debug)]
pub struct Builder<'a, S: Sink> {
    out: &'a mut S,
    place: Place,
    seed: u32,
    records: u32,
    flags: u32,
}

impl<'a, S: Sink> Builder<'a, S> {
    /// Begins a batch in `out`, which must be empty.
    pub fn begin(out: &'a mut S, place: Place) -> Self {
        assert!(out.is_empty(), "a batch begins at the start of its buffer");
        assert_eq!(place.offset as usize % BLOCK, 0);
        out.append(&[0; HEADER_BYTES]);
        Builder { out, place, seed: place.seed(), records: 0, flags: 0 }
    }

    /// Marks it as part of the index.
    pub fn index(mut self) -> Self {
        self.flags |= FLAG_INDEX;
        self
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// True while it has no record.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Appends a record with this meta (without the checksums of data) and data (the parts one after the other).
    pub fn record(&mut self, kind: Kind, flags: u8, meta: &[u8], data: &[&[u8]]) -> RecordAt {
        let data_bytes: usize = data.iter().map(|part| part.len()).sum();
        let crc_bytes = 4 * body_blocks(data_bytes);
        let start = self.out.len();
        let at = RecordAt {
            offset: self.place.offset + u32::try_from(start).expect("a batch is small"),
            seed: self.seed,
            meta_bytes: u32::try_from(crc_bytes + meta.len()).expect("meta is small"),
            data_bytes: u32::try_from(data_bytes).expect("data is small"),
        };
        let mut frame = [0u8; FRAME_BYTES];
        frame[0] = kind as u8;
        frame[1] = flags;
        frame[4..8].copy_from_slice(&at.meta_bytes.to_le_bytes());
        frame[8..12].copy_from_slice(&at.data_bytes.to_le_bytes());
        self.out.append(&frame);
        for _ in 0..crc_bytes / 4 {
            self.out.append(&[0; 4]);
        }
        self.out.append(meta);
        let data_start = self.out.len();
        for part in data {
            self.out.append(part);
        }
        let mut offset = at.data_offset();
        for block in 0..crc_bytes / 4 {
            let from = data_start + block * BODY_BLOCK;
            let bytes = &self.out[from..(from + BODY_BLOCK).min(data_start + data_bytes)];
            let crc = body_crc(self.seed, offset, bytes);
            offset += bytes.len() as u64;
            let slot = start + FRAME_BYTES + 4 * block;
            self.out[slot..slot + 4].copy_from_slice(&crc.to_le_bytes());
        }
        let crc = frame_crc(self.seed, at.offset, &self.out[start..data_start]);
        self.out[start + 12..start + 16].copy_from_slice(&crc.to_le_bytes());
        self.records += 1;
        at
    }

    /// Completes the header, and pads to whole blocks that end with it too.
    pub fn finish(self) {
        let mut header = [0u8; HEADER_BYTES];
        let len = u32::try_from(self.out.len()).expect("a batch is small");
        header[..4].copy_from_slice(&MAGIC.to_le_bytes());
        header[8..24].copy_from_slice(&self.place.segment.id);
        header[24..32].copy_from_slice(&self.place.segment.sequence.to_le_bytes());
        header[32..36].copy_from_slice(&self.place.number.to_le_bytes());
        header[36..40].copy_from_slice(&self.place.offset.to_le_bytes());
        header[40..48].copy_from_slice(&self.place.stamp.to_le_bytes());
        header[48..52].copy_from_slice(&len.to_le_bytes());
        header[52..56].copy_from_slice(&self.records.to_le_bytes());
        header[56..60].copy_from_slice(&self.flags.to_le_bytes());
        let crc = crc32c::crc32c_append(self.seed, &header[8..]);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        self.out[..HEADER_BYTES].copy_from_slice(&header);
        self.out.grow((len as usize + HEADER_BYTES).next_multiple_of(BLOCK) - HEADER_BYTES);
        self.out.append(&header);
    }
}

/// A batch header that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where and when.
    pub place: Place,
    /// Bytes without the padding.
    pub bytes: u32,
    /// Records.
    pub records: u32,
    /// Part of the index.
    pub index: bool,
}

impl Batch {
    /// Reads a header of `segment` at `offset`; its number must be at least `number_min`.
    pub fn parse(segment: &Identity, number_min: u32, offset: u32, bytes: &[u8]) -> Result<Batch, Bad> {
        let batch = Batch::parse_anywhere(segment, number_min, bytes)?;
        if batch.place.offset == offset { Ok(batch) } else { Err(Bad::Foreign) }
    }

    /// Reads a header of `segment`, also the one at a batch's end.
    pub fn parse_anywhere(segment: &Identity, number_min: u32, bytes: &[u8]) -> Result<Batch, Bad> {
        let header = bytes.get(..HEADER_BYTES).ok_or(Bad::Short)?;
        let mut get = Get::new(header);
        if get.u32()? != MAGIC {
            return Err(Bad::Magic);
        }
        let crc = get.u32()?;
        if get.take(16)? != segment.id || get.u64()? != segment.sequence {
            return Err(Bad::Foreign);
        }
        let place = Place { segment: *segment, number: get.u32()?, offset: get.u32()?, stamp: get.u64()? };
        let (len, records, flags) = (get.u32()?, get.u32()?, get.u32()?);
        if place.number < number_min {
            return Err(Bad::Foreign);
        }
        if crc32c::crc32c_append(place.seed(), &header[8..]) != crc {
            return Err(Bad::Checksum);
        }
        if (len as usize) < HEADER_BYTES || u64::from(place.offset) + u64::from(len) > u64::from(u32::MAX) {
            return Err(Bad::Value("batch length"));
        }
        Ok(Batch { place, bytes: len, records, index: flags & FLAG_INDEX != 0 })
    }

    /// Bytes on disk, padding included.
    pub fn padded_bytes(&self) -> u32 {
        (self.bytes + HEADER_BYTES as u32).next_multiple_of(BLOCK as u32)
    }

    /// The records, in order, each checked (data too); `bytes` begins with the header. Where a frame or meta is bad,
    /// lengths cannot be trusted: it goes on with the next place that is a good record.
    pub fn records<'b>(&self, bytes: &'b [u8]) -> Records<'b> {
        Records {
            bytes: &bytes[..bytes.len().min(self.bytes as usize)],
            at: HEADER_BYTES,
            left: self.records,
            base: self.place.offset,
            seed: self.place.seed(),
            bad: 0..0,
            resync: RESYNC_BYTES,
        }
    }
}

/// A record that verified, but perhaps for its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'b> {
    /// Where it is.
    pub at: RecordAt,
    /// Its kind; none when this release does not know it.
    pub kind: Option<Kind>,
    /// Its flags.
    pub flags: u8,
    /// Meta, without the checksums of data.
    pub meta: &'b [u8],
    /// The checksums of data, four bytes each.
    pub crcs: &'b [u8],
    /// Data. Not checked by [`Record::parse`].
    pub data: &'b [u8],
}

impl<'b> Record<'b> {
    /// Reads frame and meta at the beginning of `bytes`, which stand at `offset` of the segment. Data may be cut off.
    pub fn parse(bytes: &'b [u8], offset: u32, seed: u32) -> Result<Record<'b>, Bad> {
        let mut get = Get::new(bytes);
        let (kind, flags, _) = (get.u8()?, get.u8()?, get.u16()?);
        let (meta_bytes, data_bytes, crc) = (get.u32()?, get.u32()?, get.u32()?);
        let meta = get.take(meta_bytes as usize)?;
        if frame_crc(seed, offset, &bytes[..FRAME_BYTES + meta_bytes as usize]) != crc {
            return Err(Bad::Checksum);
        }
        let crc_bytes = 4 * body_blocks(data_bytes as usize);
        if crc_bytes > meta.len() {
            return Err(Bad::Value("meta"));
        }
        let (crcs, meta) = meta.split_at(crc_bytes);
        let data = get.take(get.remaining().min(data_bytes as usize))?;
        let at = RecordAt { offset, seed, meta_bytes, data_bytes };
        Ok(Record { at, kind: Kind::from_byte(kind), flags, meta, crcs, data })
    }

    /// Checks the data.
    pub fn check_data(&self) -> Result<(), Bad> {
        if self.data.len() != self.at.data_bytes as usize {
            return Err(Bad::Body);
        }
        for (block, bytes) in self.data.chunks(BODY_BLOCK).enumerate() {
            if !check_block(self.crcs, self.at, block, bytes) {
                return Err(Bad::Body);
            }
        }
        Ok(())
    }
}

/// True when `bytes` are block number `block` of the record's data.
pub fn check_block(crcs: &[u8], at: RecordAt, block: usize, bytes: &[u8]) -> bool {
    let Some(crc) = crcs.get(4 * block..4 * block + 4) else { return false };
    let offset = at.data_offset() + (block * BODY_BLOCK) as u64;
    body_crc(at.seed, offset, bytes).to_le_bytes() == crc
}

/// Iterator over a batch's records.
#[derive(Clone, Debug, Default)]
pub struct Records<'b> {
    bytes: &'b [u8],
    at: usize,
    left: u32,
    base: u32,
    seed: u32,
    bad: Range<usize>,
    resync: usize,
}

impl Records<'_> {
    /// The bytes that the last error was about, relative to the batch.
    pub fn bad(&self) -> Range<usize> {
        self.bad.clone()
    }

    /// Goes to the next place that holds a good record, or to the end.
    fn skip_bad(&mut self) {
        let from = self.at;
        let mut at = from + 1;
        while at + FRAME_BYTES <= self.bytes.len() && self.resync > 0 {
            if self.may_begin_at(at)
                && Record::parse(&self.bytes[at..], self.base + at as u32, self.seed).is_ok()
            {
                self.bad = from..at;
                self.at = at;
                return;
            }
            at += 1;
        }
        self.bad = from..self.bytes.len();
        self.at = self.bytes.len();
        self.left = 0;
    }

    /// Cheap checks before a checksum is worth its time.
    fn may_begin_at(&mut self, at: usize) -> bool {
        let frame = &self.bytes[at..at + FRAME_BYTES];
        let word =
            |from: usize| u32::from_le_bytes(frame[from..from + 4].try_into().expect("4 bytes")) as usize;
        let (meta, data) = (word(4), word(8));
        let plausible = Kind::from_byte(frame[0]).is_some()
            && frame[2..4] == [0, 0]
            && meta.saturating_add(data) <= self.bytes.len() - at - FRAME_BYTES;
        if plausible {
            self.resync = self.resync.saturating_sub(meta + FRAME_BYTES);
        }
        plausible
    }
}

impl<'b> Iterator for Records<'b> {
    /// A record, and whether its data is good; or why nothing more can be read.
    type Item = Result<(Record<'b>, Result<(), Bad>), Bad>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match Record::parse(rest, self.base + self.at as u32, self.seed) {
            Ok(record) => {
                let checked = record.check_data();
                self.at += FRAME_BYTES + record.at.meta_bytes as usize + record.at.data_bytes as usize;
                Some(Ok((record, checked)))
            }
            Err(bad) => {
                self.skip_bad();
                Some(Err(bad))
            }
        }
    }
}

/// Over the frame, without its checksum, and meta.
fn frame_crc(seed: u32, offset: u32, frame_and_meta: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(seed ^ offset, &frame_and_meta[..12]);
    crc32c::crc32c_append(crc, &frame_and_meta[FRAME_BYTES..])
}
