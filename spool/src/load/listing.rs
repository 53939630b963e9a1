//! Which segments and extents there are, and what each is used for.

use std::io;
use std::rc::Rc;

use crate::files::{self, Name, SegmentFile};
use crate::format::BLOCK;
use crate::format::batch::Batch;
use crate::format::codec::Bad;
use crate::format::segment::{DATA_OFFSET, Header, Identity, Use, use_of};
use crate::segments::Freed;
use crate::spool::OpenError;
use crate::state::{Phase, Segment};
use crate::store::Store;

/// What the directory holds of a store's logs.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) used: Vec<Segment>,
    pub(crate) freed: Vec<Freed>,
    pub(crate) extents: Vec<(u32, u64)>,
    pub(crate) last_slot: u32,
}

/// Opens all segments of the store's logs and reads what they are used for.
pub(crate) async fn list(store: &Store, logs: &[u32]) -> Result<Listing, OpenError> {
    let mut listing = Listing::default();
    let io_error = |name: &str, error| OpenError::Io { file: store.dir.path().join(name), error };
    let entries = store.dir.list().await.map_err(|error| io_error("", error))?;
    let mut names: Vec<(Name, u64)> =
        entries.iter().filter_map(|entry| Some((Name::parse(&entry.name)?, entry.len_bytes))).collect();
    names.sort_unstable_by_key(|(name, _)| name.to_string());
    for (name, len) in names {
        match name {
            Name::Extent { log, id } if logs.contains(&log) => listing.extents.push((log, id)),
            Name::Segment { log, slot } if logs.contains(&log) => {
                if log == store.log {
                    listing.last_slot = listing.last_slot.max(slot);
                }
                let text = name.to_string();
                let file = files::open(&store.dir, &text, false, store.options.direct).await;
                let file = file.map_err(|error| io_error(&text, error))?;
                match use_of_file(&file, log, len).await.map_err(|error| io_error(&text, error))? {
                    Use::Used(header) => {
                        let handle = SegmentFile { file, name, identity: header.identity };
                        let size = header.size_bytes.min(len - len % BLOCK as u64);
                        let segment = Segment::new(Rc::new(handle), size, header.zeroed, Phase::Sealed);
                        listing.used.push(segment);
                    }
                    Use::Free { zeroed } => {
                        let freed = Freed { file, name, size: len, zeroed };
                        // Shorter than it should be: the start that made it did not come to its end.
                        if len == store.options.segment_bytes || store.spool.is_read_only() {
                            listing.freed.push(freed);
                        } else {
                            drop(freed);
                            store.remove(&text).await;
                        }
                    }
                    Use::Damaged(Bad::TooNew) => {
                        return Err(OpenError::TooNew { what: format!("segment {text}") });
                    }
                    Use::Damaged(bad) => {
                        let file = store.dir.path().join(&text);
                        return Err(OpenError::Damaged { file, what: format!("header: {bad}") });
                    }
                }
            }
            Name::Extent { .. } | Name::Segment { .. } => {}
        }
    }
    Ok(listing)
}

/// What a segment file is used for. A damaged header is made up from the first batch, which names the use too; without a
/// valid one, nothing was ever acknowledged in it.
async fn use_of_file(file: &engine::disk::File, log: u32, len: u64) -> io::Result<Use> {
    let (blocks, _) = files::read_range(file, 0, 3 * BLOCK).await?;
    let found = use_of(&blocks);
    if matches!(found, Use::Free { .. }) {
        // A retire mark whose write was reported as failed, or never ended, may be in a cache only. What is done from now
        // on relies on it.
        file.sync().await?;
    }
    let Use::Damaged(bad) = found else { return Ok(found) };
    if bad == Bad::TooNew {
        return Ok(found);
    }
    let batch = &blocks[DATA_OFFSET as usize..];
    let identity = Identity {
        id: batch[8..24].try_into().expect("16 bytes"),
        log,
        sequence: u64::from_le_bytes(batch[24..32].try_into().expect("8 bytes")),
    };
    Ok(match Batch::parse(&identity, 0, DATA_OFFSET as u32, batch) {
        Ok(_) => Use::Used(Header { identity, spool: [0; 16], size_bytes: len, zeroed: false }),
        Err(_) => Use::Free { zeroed: false },
    })
}
