//! The start: which segments there are, what they say, newest first; delivery and intake run meanwhile.

mod aside;
mod listing;
mod read;
mod take;

use std::rc::Rc;

use engine::task::{self, Slice};
use engine::time;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::content::Content;
use crate::event::Event;
use crate::format::segment::Trailer;
use crate::limits::SLICE;
use crate::replay::{Replay, SegmentKey};
use crate::state::Uid;
use crate::store::Store;

pub(crate) use listing::list;

/// The task that reads what was found.
pub(crate) async fn run(store: Rc<Store>, found: Vec<Uid>, extents: Vec<(u32, u64)>) {
    let started = time::now();
    let mut load = Load {
        store: store.clone(),
        replay: Replay::new(store.spool.last_epoch()),
        by_key: FxHashMap::default(),
        extents: FxHashSet::default(),
        present: extents.iter().copied().collect(),
        bad_bodies: FxHashMap::default(),
        messages: 0,
    };
    load.read_all(found).await;
    load.remove_orphans(extents).await;
    let messages = load.messages;
    load.end().await;
    store.state.borrow_mut().loaded = true;
    let took_ms = u64::try_from((time::now() - started).as_millis()).unwrap_or(u64::MAX);
    (store.options.log)(&Event::Loaded { shard: store.shard, messages, took_ms });
    store.recovered.notify_all();
    store.wake_keeper.notify_one();
}

struct Load {
    store: Rc<Store>,
    replay: Replay,
    by_key: FxHashMap<SegmentKey, Uid>,
    /// Extents that live messages name.
    extents: FxHashSet<(u32, u64)>,
    present: FxHashSet<(u32, u64)>,
    bad_bodies: FxHashMap<SegmentKey, Vec<u32>>,
    messages: u64,
}

/// A segment to be read: what is known of it.
enum Source {
    /// Already read whole.
    Scanned(Box<Content>),
    /// Has an index.
    Indexed(Trailer),
}

impl Load {
    async fn read_all(&mut self, found: Vec<Uid>) {
        let mut sources = Vec::with_capacity(found.len());
        for uid in found {
            let file = self.file(uid);
            self.by_key.insert((file.identity.log, file.identity.sequence), uid);
            let trailer = self.trailer(uid, &file).await;
            let source = match trailer {
                Some(trailer) => Source::Indexed(trailer),
                None => Source::Scanned(Box::new(self.scan(uid, &file).await)),
            };
            let stamp = match &source {
                Source::Scanned(content) => content.found.last_stamp,
                Source::Indexed(trailer) => trailer.last_stamp,
            };
            sources.push((stamp, uid, source));
        }
        sources.sort_by_key(|(stamp, uid, _)| (*stamp, *uid));
        while let Some((_, uid, source)) = sources.pop() {
            let content = match source {
                Source::Scanned(content) => *content,
                Source::Indexed(trailer) => {
                    let file = self.file(uid);
                    match self.index(&file, &trailer).await {
                        Some(content) => content,
                        None => self.scan(uid, &file).await,
                    }
                }
            };
            self.account(uid, &content);
            self.bad_bodies.insert(content.found.key, content.bad_bodies);
            self.replay.add(content.found);
            let mut slice = Slice::begin(SLICE);
            while self.replay.take_in() {
                slice.give_way().await;
            }
            let next = sources.last().map(|(stamp, _, _)| *stamp);
            for segment in self.replay.resolve(next) {
                self.take(segment).await;
            }
            task::yield_now().await;
        }
    }

    /// What was needed of settles may be millions: it goes piece by piece.
    async fn end(mut self) {
        let mut slice = Slice::begin(SLICE);
        while self.replay.drop_some() {
            slice.give_way().await;
        }
    }
}
