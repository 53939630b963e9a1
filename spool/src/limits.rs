//! Every bound of the spool, in one place.
//!
//! Memory per shard: [`crate::Options::memory_budget_bytes`] (bodies), one batch buffer ([`BATCH_MAX_BYTES`]), one
//! for compaction and sealing ([`BACKGROUND_BATCH_BYTES`] each), a window for reading back ([`WINDOW_BYTES`]), per open
//! reader one record (at most [`Sizes::inline_bytes`] and its meta), per live message about 105 bytes (88, a name of
//! 8 in its segment, its place in an index), 32 more for each recipient of one to which something has happened, and different replies once. While loading: all settles of segments that are still needed.

use std::time::Duration;

/// Smallest segment.
pub const SEGMENT_MIN_BYTES: u64 = 256 << 10;
/// Largest segment: offsets have 32 bits.
pub const SEGMENT_MAX_BYTES: u64 = 1 << 30;
/// Most bytes of one batch (one write), unless a single record needs more.
pub const BATCH_MAX_BYTES: usize = 1 << 20;
/// Bytes of one write of compaction or sealing.
pub const BACKGROUND_BATCH_BYTES: usize = 256 << 10;
/// Bytes read at once when segments are read back.
pub const WINDOW_BYTES: usize = 1 << 20;
/// Envelopes of a segment that is being loaded stand together in pieces of this size.
pub const ARENA_BYTES: usize = 256 << 10;
/// What background work, like the load, takes of one turn of a shard's loop, about. Who reads what the load finds takes as much
/// again.
pub const SLICE: Duration = Duration::from_micros(300);
/// Bytes written at once when segments are zeroed.
pub const ZERO_BYTES: usize = 1 << 20;
/// First buffer of a message whose size is not known.
pub const CHUNK_FIRST_BYTES: usize = 4 << 10;
/// Largest buffer of a message in memory: what a reader gives out at once, what one checksum covers.
pub const CHUNK_MAX_BYTES: usize = crate::format::BODY_BLOCK;
/// Bytes added on top of a message ([`crate::Intake::commit`]'s prefix).
pub const PREFIX_MAX_BYTES: usize = 32 << 10;
/// Last reply or hold reason kept with an item.
pub const REPLY_MAX_BYTES: usize = 512;
/// Properties of an item: metadata of 15 KiB, names and a path of a few.
pub const PROPERTIES_MAX_BYTES: usize = 28 << 10;
/// Settle entries in one record.
pub const SETTLE_RECORD_BYTES: usize = 32 << 10;
/// Settles in one batch: some hundreds with a reply, thousands without.
pub const SETTLE_BATCH_BYTES: usize = 64 << 10;
/// Settles that have nothing to ride on are written after this long.
pub const SETTLE_DELAY_MS: u64 = 20;
/// The same when only the reserve is left: a block then carries many.
pub const TIGHT_SETTLE_DELAY_MS: u64 = 1000;
/// Marks of running attempts that have nothing to ride on are written after this long.
pub const MARK_DELAY_MS: u64 = 1000;
/// Time between attempts to write when the disk does not take writes.
pub const UNHEALTHY_RETRY_MS: u64 = 1000;
/// Time between looks at the free space.
pub const SPACE_POLL_MS: u64 = 2000;
/// Found messages that wait for [`crate::Recovery::next`].
pub const RECOVERED_MAX: usize = 256;
/// Recipients of a message that was unloaded into a file: up to its highest index, so 12 MiB of memory at most.
pub const HQF_RECIPIENTS: u32 = 100_000;
/// One record of such a file but the body: an envelope, or a recipient.
pub const HQF_RECORD_BYTES: usize = 4 << 20;
/// Free segments kept beyond the reserve, for the next messages.
pub const SPARE_SEGMENTS: usize = 2;
/// Consecutive aborts at which an item that was in flight is put on hold.
pub const ABORTS_MAX: u8 = 2;
/// Body bytes that the scrub verifies per second.
pub const SCRUB_BYTES_PER_S: u64 = 4 << 20;
/// Messages that one look for the next to be verified visits.
pub const SCRUB_CHUNK: u32 = 1000;
/// Time between two scrubs.
pub const SCRUB_PERIOD_S: u64 = 24 * 3600;
/// Time from the end of the load to the first scrub.
pub const SCRUB_DELAY_S: u64 = 60;

/// Sizes that follow from the size of a segment, so that each record fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// A batch.
    pub batch_bytes: usize,
    /// Body bytes inside a commit record (prefix and rest); what is above goes elsewhere before.
    pub inline_bytes: usize,
    /// Body bytes of one message in body records; what is above goes to an extent.
    pub spilled_bytes: u64,
    /// Body bytes in one body record.
    pub body_record_bytes: usize,
    /// Meta of a commit record: head and envelope.
    pub meta_bytes: usize,
}

impl Sizes {
    /// For segments of this size.
    pub fn of(segment_bytes: u64) -> Sizes {
        let part = |divisor: u64| usize::try_from(segment_bytes / divisor).expect("segments are below 4 GiB");
        Sizes {
            batch_bytes: BATCH_MAX_BYTES.min(part(8)),
            inline_bytes: (128 << 10).min(part(8)),
            spilled_bytes: (512 << 10).min(segment_bytes / 8),
            body_record_bytes: CHUNK_MAX_BYTES.min(part(8)),
            meta_bytes: (4 << 20).min(part(8)),
        }
    }
}
