//! What a segment says: from its index, or from all of it.

use std::io;

use engine::buf::AlignedBuf;
use engine::task::{self, Slice};

use super::Load;
use crate::content::Content;
use crate::event::Event;
use crate::files::{self, Handle};
use crate::format::batch::Batch;
use crate::format::codec::Bad;
use crate::format::scan::{Scan, Step};
use crate::format::segment::Trailer;
use crate::format::{BLOCK, epoch_of};
use crate::limits::{SLICE, WINDOW_BYTES};
use crate::state::Uid;

/// Times a failed read of a segment is tried.
const READ_TRIES: usize = 5;

impl Load {
    pub(super) fn file(&self, uid: Uid) -> Handle {
        self.store.state.borrow().segments[&uid].file.clone()
    }

    fn size(&self, uid: Uid) -> u64 {
        self.store.state.borrow().segments[&uid].size
    }

    pub(super) fn account(&self, uid: Uid, content: &Content) {
        let mut state = self.store.state.borrow_mut();
        let segment = state.segments.get_mut(&uid).expect("found");
        segment.first_stamp = content.found.first_stamp;
        segment.last_stamp = content.found.last_stamp;
    }

    pub(super) async fn trailer(&self, uid: Uid, file: &Handle) -> Option<Trailer> {
        let at = self.size(uid).checked_sub(BLOCK as u64)?;
        let (buf, skip) = files::read_range(&file.file, at, BLOCK).await.ok()?;
        Trailer::decode(&buf[skip..], &file.identity).ok()
    }

    /// Reads the index; none when it cannot be trusted.
    pub(super) async fn index(&self, file: &Handle, trailer: &Trailer) -> Option<Content> {
        // As with a mark: written by the last start, it may be in a cache only.
        if epoch_of(trailer.as_of) >= self.store.spool.last_epoch() {
            file.file.sync().await.ok()?;
        }
        let mut content = Content::new((file.identity.log, file.identity.sequence));
        let mut slice = Slice::begin(SLICE);
        let end = u64::from(trailer.index_offset) + u64::from(trailer.index_bytes);
        let (mut at, mut number) = (u64::from(trailer.index_offset), trailer.batches);
        while at < end {
            let (head, skip) = files::read_range(&file.file, at, BLOCK).await.ok()?;
            let offset = u32::try_from(at).ok()?;
            let batch = Batch::parse(&file.identity, number, offset, &head[skip..]).ok()?;
            let len = batch.bytes as usize;
            if batch.place.number != number || !batch.index || at + len as u64 > end {
                return None;
            }
            let (bytes, skip) = files::read_range(&file.file, at, len).await.ok()?;
            let mut records = batch.records(&bytes[skip..]);
            while content.next_index_record(&mut records, trailer.as_of).ok()? {
                slice.give_way_now().await;
            }
            at += u64::from(batch.padded_bytes());
            number += 1;
            task::yield_now().await;
        }
        content.found.first_stamp = trailer.first_stamp;
        content.found.last_stamp = trailer.last_stamp;
        Some(content)
    }

    /// Reads a segment whole.
    pub(super) async fn scan(&self, uid: Uid, file: &Handle) -> Content {
        let size = self.size(uid);
        // What is believed now must not be lost by a power failure later.
        if let Err(error) = file.file.sync().await {
            self.background("syncing a found segment", &error);
        }
        let mut content = Content::new((file.identity.log, file.identity.sequence));
        let mut scan = Scan::new(file.identity, size);
        let (mut window_at, mut window) = (0, AlignedBuf::with_capacity(0));
        let mut between = Vec::new();
        let mut slice = Slice::begin(SLICE);
        loop {
            match scan.step(window_at, &window) {
                Step::Read { offset, bytes } => {
                    let len = (bytes.max(WINDOW_BYTES) as u64).min(size - offset) as usize;
                    window_at = offset;
                    window = self.read_or_keep(uid, file, offset, len).await;
                    task::yield_now().await;
                }
                Step::Batch { batch, window_at, damaged } => {
                    between.extend(damaged);
                    let mut records = content.begin(&batch, &window[window_at..]);
                    while content.next_record(&batch, &mut records) {
                        slice.give_way_now().await;
                    }
                }
                Step::End { tail, torn } => {
                    let cut = content.end();
                    if torn || cut {
                        let offset = if cut { content.last_batch } else { tail };
                        let file = file.name.to_string();
                        (self.store.options.log)(&Event::TornTail { file, offset });
                    }
                    break;
                }
            }
        }
        for range in between {
            self.damaged(uid, file, range, None, Bad::Checksum).await;
        }
        for damage in std::mem::take(&mut content.damage) {
            self.damaged(uid, file, damage.range, damage.message, damage.bad).await;
        }
        content
    }

    /// Reads; after several errors gives zeros, and keeps the segment as it is for a later start.
    async fn read_or_keep(&self, uid: Uid, file: &Handle, offset: u64, len: usize) -> AlignedBuf {
        for _ in 0..READ_TRIES {
            match files::read_range(&file.file, offset, len).await {
                Ok((buf, _)) => return buf,
                Err(error) => self.background("reading a segment", &error),
            }
        }
        let mut state = self.store.state.borrow_mut();
        state.segments.get_mut(&uid).expect("found").stuck = true;
        let mut zeros = AlignedBuf::with_capacity(len);
        zeros.resize(len);
        zeros
    }

    /// Sets damaged bytes aside, as the options say.
    async fn damaged(
        &self,
        uid: Uid,
        file: &Handle,
        range: std::ops::Range<u64>,
        message: Option<crate::MessageId>,
        bad: Bad,
    ) {
        self.store.set_aside(uid, file, range, message, &bad.to_string()).await;
    }

    fn background(&self, what: &'static str, error: &io::Error) {
        (self.store.options.log)(&Event::Background { what, error: error.to_string() });
    }
}
