//! Walks a segment's batches: where they are valid, where they are damaged, where they end.

use super::batch::{Batch, HEADER_BYTES};
use super::segment::{DATA_OFFSET, Identity};
use super::{BLOCK, round_up};

/// Walks the batches of a segment. Asks for bytes by [`Step::Read`]; the caller reads and calls [`Scan::step`] again.
#[derive(Clone, Debug)]
pub struct Scan {
    segment: Identity,
    size: u64,
    offset: u64,
    number: u32,
    /// Start of a stretch that is not a valid batch, while a later valid one is looked for.
    bad_from: Option<u64>,
    /// That stretch begins with a header of this use.
    bad_is_ours: bool,
}

/// What the scan says next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It needs at least these bytes of the segment; give more if that is convenient.
    Read {
        /// From here...
        offset: u64,
        /// ... this many.
        bytes: usize,
    },
    /// A batch whose header is valid and whose bytes are all in the window, from `window_at` on. Damage of its records
    /// shows when they are read.
    Batch {
        /// Its header.
        batch: Batch,
        /// Where it begins in the window.
        window_at: usize,
        /// What lies before it and is not valid: damage, for a later batch follows.
        damaged: Option<std::ops::Range<u64>>,
    },
    /// No valid batch follows. What lies from `tail` on was not acknowledged, or never written.
    End {
        /// Where the valid part ends.
        tail: u64,
        /// True when the tail begins with something (a torn batch), not with zeros or an earlier use's bytes.
        torn: bool,
    },
}

impl Scan {
    /// Of a segment of `size` bytes.
    pub fn new(segment: Identity, size: u64) -> Scan {
        Scan { segment, size, offset: DATA_OFFSET, number: 0, bad_from: None, bad_is_ours: false }
    }

    /// Number that the next batch should have.
    pub fn next_number(&self) -> u32 {
        self.number
    }

    /// Continues with `window`, the bytes of the segment from `at` on. Must cover what the last [`Step::Read`] asked
    /// for; what cannot be read is given as zeros.
    pub fn step(&mut self, at: u64, window: &[u8]) -> Step {
        loop {
            if self.offset + HEADER_BYTES as u64 > self.size {
                return self.end();
            }
            let Some(header) = slice(at, window, self.offset, HEADER_BYTES) else {
                return self.read(HEADER_BYTES);
            };
            let offset = u32::try_from(self.offset).expect("segments are below 4 GiB");
            match Batch::parse(&self.segment, self.number, offset, header) {
                Ok(batch) if self.offset + u64::from(batch.bytes) <= self.size => {
                    let Some(_) = slice(at, window, self.offset, batch.bytes as usize) else {
                        return self.read(batch.bytes as usize);
                    };
                    let window_at = (self.offset - at) as usize;
                    let damaged = self.bad_from.take().map(|from| from..self.offset);
                    self.offset += u64::from(batch.padded_bytes());
                    self.number = batch.place.number + 1;
                    return Step::Batch { batch, window_at, damaged };
                }
                _ => {
                    if self.bad_from.is_none() {
                        self.bad_from = Some(self.offset);
                        self.bad_is_ours = header[8..24] == self.segment.id;
                    }
                    self.offset += BLOCK as u64;
                }
            }
        }
    }

    fn read(&self, bytes: usize) -> Step {
        let bytes = (round_up(bytes as u64)).min(self.size - self.offset) as usize;
        Step::Read { offset: self.offset, bytes }
    }

    fn end(&self) -> Step {
        Step::End {
            tail: self.bad_from.unwrap_or(self.offset),
            torn: self.bad_from.is_some() && self.bad_is_ours,
        }
    }
}

fn slice(at: u64, window: &[u8], offset: u64, bytes: usize) -> Option<&[u8]> {
    let from = usize::try_from(offset.checked_sub(at)?).ok()?;
    window.get(from..from.checked_add(bytes)?)
}
