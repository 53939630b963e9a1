//! The bytes on disk, as pure functions: no I/O, no clock, no randomness. `docs/spool-format.md` describes them.
//!
//! - [`meta`]: the file `spool.meta`.
//! - [`segment`]: a segment's fixed blocks: header, retire mark, trailer.
//! - [`batch`]: what one write appends: a header and records, every checksum seeded by where it stands.
//! - [`record`]: contents of records: commit, settle, live map, cut, index.
//! - [`envelope`]: what is known of a message.
//! - [`scan`]: walks a segment's batches, tells torn tails from damage.
//!
//! ```
//! use spool::format::{batch::{Batch, Builder, Place}, segment::Identity};
//! let segment = Identity { id: [7; 16], log: 0, sequence: 1 };
//! let mut out = Vec::new();
//! let mut builder = Builder::begin(&mut out, Place { segment, number: 0, offset: 8192, stamp: 1 });
//! builder.record(spool::format::record::Kind::Body, 0, &[], &[b"hello"]);
//! builder.finish();
//! let batch = Batch::parse(&segment, 0, 8192, &out).expect("just written");
//! assert_eq!(batch.records(&out).count(), 1);
//! // The same bytes anywhere else verify nowhere.
//! assert!(Batch::parse(&segment, 0, 12288, &out).is_err());
//! ```

pub mod batch;
pub mod codec;
pub mod envelope;
pub mod meta;
pub mod record;
pub mod scan;
pub mod segment;
#[cfg(test)]
mod tests;

/// Batches start at multiples of this; fixed areas are of this size.
pub const BLOCK: usize = 4096;
/// A checksum covers at most this much of a body.
pub const BODY_BLOCK: usize = 64 * 1024;
/// The format written and read by this release.
pub const FORMAT: u32 = 1;

/// `len` rounded up to whole blocks.
pub fn round_up(len: u64) -> u64 {
    len.next_multiple_of(BLOCK as u64)
}

/// A point in a spool's history: the number of the start (upper 24 bits) and a count since (lower 40 bits). Every
/// batch has its own; of two states of one item, the one with the higher stamp is the later.
pub fn stamp(epoch: u32, count: u64) -> u64 {
    (u64::from(epoch) << 40) | (count & ((1 << 40) - 1))
}

/// The start of the server that a stamp or sequence number belongs to.
pub fn epoch_of(stamp: u64) -> u32 {
    u32::try_from(stamp >> 40).expect("24 bits")
}
