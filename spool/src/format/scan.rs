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
    /// A batch in that stretch, known by the copy of its header.
    by_copy: Option<Batch>,
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
        Scan {
            segment,
            size,
            offset: DATA_OFFSET,
            number: 0,
            bad_from: None,
            bad_is_ours: false,
            by_copy: None,
        }
    }

    /// Number that the next batch should have.
    pub fn next_number(&self) -> u32 {
        self.number
    }

    /// Continues with `window`, the bytes of the segment from `at` on. Must cover what the last [`Step::Read`] asked
    /// for; what cannot be read is given as zeros.
    pub fn step(&mut self, at: u64, window: &[u8]) -> Step {
        loop {
            if let Some(batch) = self.by_copy {
                return self.batch(batch, at, window);
            }
            if self.offset + BLOCK as u64 > self.size {
                return self.end();
            }
            let Some(block) = slice(at, window, self.offset, BLOCK) else {
                return self.read(self.offset, BLOCK);
            };
            let offset = u32::try_from(self.offset).expect("segments are below 4 GiB");
            let (header, copy) = (&block[..HEADER_BYTES], &block[BLOCK - HEADER_BYTES..]);
            match Batch::parse(&self.segment, self.number, offset, header) {
                Ok(batch) if self.fits(&batch) => return self.batch(batch, at, window),
                _ => {
                    if self.bad_from.is_none() {
                        self.bad_from = Some(self.offset);
                        self.bad_is_ours = header[8..24] == self.segment.id;
                    }
                    self.by_copy = self.batch_that_ends_here(copy);
                    if self.by_copy.is_none() {
                        self.offset += BLOCK as u64;
                    }
                }
            }
        }
    }

    fn fits(&self, batch: &Batch) -> bool {
        u64::from(batch.place.offset) + u64::from(batch.padded_bytes()) <= self.size
    }

    /// The batch whose header is damaged, but not the copy at the end of this block.
    fn batch_that_ends_here(&self, copy: &[u8]) -> Option<Batch> {
        let batch = Batch::parse_anywhere(&self.segment, self.number, copy).ok()?;
        let from = u64::from(batch.place.offset);
        let ends_here = from + u64::from(batch.padded_bytes()) == self.offset + BLOCK as u64;
        (ends_here && self.bad_from.is_some_and(|bad| bad <= from)).then_some(batch)
    }

    fn batch(&mut self, batch: Batch, at: u64, window: &[u8]) -> Step {
        let from = u64::from(batch.place.offset);
        if slice(at, window, from, batch.bytes as usize).is_none() {
            return self.read(from, batch.bytes as usize);
        }
        self.by_copy = None;
        let damaged = self.bad_from.take().map(|bad| bad..from).filter(|range| !range.is_empty());
        self.offset = from + u64::from(batch.padded_bytes());
        self.number = batch.place.number + 1;
        Step::Batch { batch, window_at: (from - at) as usize, damaged }
    }

    fn read(&self, offset: u64, bytes: usize) -> Step {
        let bytes = (round_up(bytes as u64)).min(self.size - offset) as usize;
        Step::Read { offset, bytes }
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
