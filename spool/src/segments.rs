//! Segments come and go: made ready, taken, sealed, retired, recycled. The reserve.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use engine::buf::AlignedBuf;
use engine::disk::Durability;
use engine::task::{self, Class};
use engine::time;

use crate::event::Event;
use crate::files::{self, Name, SegmentFile};
use crate::format::segment::{DATA_OFFSET, Header, Identity, Retire};
use crate::format::{BLOCK, stamp};
use crate::limits::{SPACE_POLL_MS, SPARE_SEGMENTS, ZERO_BYTES};
use crate::state::{Phase, Segment, State, Uid};
use crate::stats::Admission;
use crate::store::Store;

/// What a new segment is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// New messages: not from the reserve, and not below the free space that must stay.
    Commit,
    /// New messages of the server's own, by which others leave: from the reserve, but not the last half of that.
    Report,
    /// Settles and compaction: whatever there is.
    Settle,
}

impl State {
    /// True when a new file of `bytes` may be made.
    fn may_grow(&self, purpose: Purpose, bytes: u64, min_free: u64) -> bool {
        let keep = if purpose == Purpose::Commit { min_free } else { 0 };
        self.free_bytes() >= bytes.saturating_add(keep) && self.free.free_inodes > 0
    }

    /// Free bytes of the file system, without what segments that were not zeroed are going to take.
    fn free_bytes(&self) -> u64 {
        let growing = self.active.iter().chain(&self.cold).chain(&self.ready);
        let growing = growing.filter_map(|uid| self.segments.get(uid)).filter(|segment| !segment.zeroed);
        let taken: u64 = growing.map(|segment| segment.size - segment.next_offset).sum();
        self.free.free_bytes.saturating_sub(taken)
    }

    /// The use could not be ended.
    fn keep_stuck(&mut self, uid: Uid) {
        let segment = self.segments.get_mut(&uid).expect("retiring");
        segment.phase = Phase::Sealed;
        segment.stuck = true;
    }

    /// The use has ended, durably: what others say about it is not needed.
    fn remove_segment(&mut self, uid: Uid) -> Segment {
        self.stats.retired += 1;
        for other in self.segments.values_mut() {
            other.pins.remove(&uid);
        }
        self.segments.remove(&uid).expect("retiring")
    }

    fn add_segment(&mut self, segment: Segment) -> Uid {
        let uid = self.next_uid;
        self.next_uid += 1;
        self.segments.insert(uid, segment);
        uid
    }
}

impl Store {
    /// A ready segment, or a new one; none when there is no space for that purpose.
    pub(crate) async fn take_segment(self: &Rc<Self>, purpose: Purpose) -> io::Result<Option<Uid>> {
        {
            let mut state = self.state.borrow_mut();
            let stay = match purpose {
                Purpose::Commit => self.options.reserve_segments,
                Purpose::Report => self.options.reserve_segments / 2,
                Purpose::Settle => 0,
            };
            if state.ready.len() > stay
                && let Some(uid) = state.ready.pop_front()
            {
                drop(state);
                self.wake_keeper.notify_one();
                return Ok(Some(uid));
            }
        }
        self.look_at_space().await;
        let bytes = self.options.segment_bytes;
        if !self.state.borrow().may_grow(purpose, bytes, self.options.min_free_bytes) {
            return Ok(None);
        }
        match self.create_segment(false).await {
            Ok(uid) => Ok(Some(uid)),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A ready segment takes batches from now on.
    pub(crate) fn activate(&self, uid: Uid) {
        let mut state = self.state.borrow_mut();
        let segment = state.segments.get_mut(&uid).expect("just taken");
        segment.phase = Phase::Active;
    }

    /// Makes a segment file with a durable header. Not zeroed: right at once, but its first writes are slower.
    async fn create_segment(&self, zero: bool) -> io::Result<Uid> {
        let size = self.options.segment_bytes;
        let slot = {
            let mut state = self.state.borrow_mut();
            state.next_slot += 1;
            state.next_slot
        };
        let name = Name::Segment { log: self.log, slot };
        let text = name.to_string();
        let made = async {
            let file = files::open(&self.dir, &text, true, self.options.direct).await?;
            file.set_len(size).await?;
            if zero {
                zero_file(&file, 0, size).await?;
            }
            let segment = SegmentFile { file, name, identity: self.new_identity() };
            self.write_header(&segment, size, zero).await?;
            self.dir.sync().await?;
            Ok(segment)
        };
        match made.await {
            Ok(segment) => {
                let segment = Segment::new(Rc::new(segment), size, zero, Phase::Ready);
                Ok(self.state.borrow_mut().add_segment(segment))
            }
            Err(error) => {
                drop(self.dir.remove(&text).await);
                Err(error)
            }
        }
    }

    fn new_identity(&self) -> Identity {
        let mut id = [0; 16];
        engine::rng::fill(&mut id);
        let mut state = self.state.borrow_mut();
        state.segment_sequences += 1;
        Identity { id, log: self.log, sequence: stamp(self.epoch, state.segment_sequences) }
    }

    /// From here on the file is used anew; what it held before means nothing.
    async fn write_header(&self, segment: &SegmentFile, size_bytes: u64, zeroed: bool) -> io::Result<()> {
        let header = Header { identity: segment.identity, spool: self.spool.uuid(), size_bytes, zeroed };
        let durability = self.durability();
        files::write_blocks(&segment.file, 0, &header.encode(), durability).await
    }

    /// Makes a retired (or found free) segment ready again.
    async fn recycle(&self, freed: Freed) -> io::Result<()> {
        let Freed { file, name, size, zeroed } = freed;
        let (mut file, mut name) = (file, name);
        if let Name::Segment { log, .. } = name {
            // From an inherited log: the file changes its log with its name.
            if log != self.log {
                let next = {
                    let mut state = self.state.borrow_mut();
                    state.next_slot += 1;
                    Name::Segment { log: self.log, slot: state.next_slot }
                };
                self.dir.rename(&name.to_string(), &next.to_string()).await?;
                self.dir.sync().await?;
                drop(file);
                file = files::open(&self.dir, &next.to_string(), false, self.options.direct).await?;
                name = next;
            }
        }
        if !zeroed {
            // Header and retire mark stay: without them, what is left of the old use might count.
            zero_file(&file, DATA_OFFSET, size).await?;
        }
        let segment = SegmentFile { file, name, identity: self.new_identity() };
        self.write_header(&segment, size, true).await?;
        let segment = Segment::new(Rc::new(segment), size, true, Phase::Ready);
        let mut state = self.state.borrow_mut();
        let uid = state.add_segment(segment);
        state.ready.push_back(uid);
        Ok(())
    }

    /// The segment takes no more batches; its index is written beside everything else.
    pub(crate) fn seal(self: &Rc<Self>, uid: Uid) {
        let mut state = self.state.borrow_mut();
        let Some(segment) = state.segments.get_mut(&uid) else { return };
        segment.phase = Phase::Sealing;
        state.sealing += 1;
        drop(state);
        let store = self.clone();
        drop(task::spawn(Class::Background, async move {
            crate::seal::write_index(&store, uid).await;
            store.state.borrow_mut().sealing -= 1;
            store.wake_keeper.notify_one();
        }));
    }

    /// Fresh figures of the file system, and what follows for admission.
    pub(crate) async fn look_at_space(&self) {
        match self.dir.space().await {
            Ok(space) => self.state.borrow_mut().free = space,
            Err(error) => {
                (self.options.log)(&Event::Background {
                    what: "reading the free space",
                    error: error.to_string(),
                });
            }
        }
        self.update_admission();
    }

    fn update_admission(&self) {
        let mut state = self.state.borrow_mut();
        if !matches!(state.admission, Admission::Open | Admission::DiskFull) {
            return;
        }
        let full = self.is_full(&state, 0);
        let before = state.admission;
        state.admission = if full { Admission::DiskFull } else { Admission::Open };
        let changed = before != state.admission;
        drop(state);
        if changed {
            (self.options.log)(&Event::DiskFull { shard: self.shard, full });
        }
    }

    /// True when `more` bytes of new mail should not be taken. Free segments above the reserve count as free space.
    pub(crate) fn is_full(&self, state: &State, more: u64) -> bool {
        let size = self.options.segment_bytes;
        let spare = state.ready.len().saturating_sub(self.options.reserve_segments) as u64 * size;
        let room = state.active.and_then(|uid| state.segments.get(&uid)).map_or(0, Segment::room);
        let own = spare + if state.segments_allocated(state.active) { room } else { 0 };
        let room = if state.segments_allocated(state.active) { 0 } else { room };
        let available = own.saturating_add(state.free.free_bytes);
        let growth = state.free_bytes().saturating_sub(self.options.min_free_bytes);
        // A segment that was not zeroed takes its space from the file system as it fills.
        let sparse = if state.free.free_bytes >= room { room } else { 0 };
        let writable = own + sparse + if growth >= size { growth } else { 0 };
        available < self.options.min_free_bytes.saturating_add(more)
            || writable < more.max(BLOCK as u64)
            || state.free.free_inodes < self.options.min_free_inodes
    }

    /// Whether only the reserve is left.
    fn update_tight(&self) {
        let mut state = self.state.borrow_mut();
        let growth = state.may_grow(Purpose::Settle, self.options.segment_bytes, 0);
        state.tight = state.ready.len() <= self.options.reserve_segments && !growth;
        let tight = state.tight;
        drop(state);
        if tight {
            self.settled.wake();
        }
    }

    /// A segment may have become free, or the reserve is short.
    pub(crate) fn wake_keeper_if_useful(&self) {
        let state = self.state.borrow();
        if !state.unlink.is_empty() || state.segment_waits {
            drop(state);
            self.wake_keeper.notify_one();
        }
    }
}

impl State {
    /// Its blocks are on disk: writing cannot fail for lack of space.
    fn segments_allocated(&self, uid: Option<Uid>) -> bool {
        uid.and_then(|uid| self.segments.get(&uid)).is_some_and(|segment| segment.zeroed)
    }
}

/// A segment file without a use.
#[derive(Debug)]
pub(crate) struct Freed {
    pub(crate) file: engine::disk::File,
    pub(crate) name: Name,
    pub(crate) size: u64,
    pub(crate) zeroed: bool,
}

async fn zero_file(file: &engine::disk::File, from: u64, size: u64) -> io::Result<()> {
    let mut at = from;
    let mut zeros = AlignedBuf::with_capacity(ZERO_BYTES);
    while at < size {
        zeros.clear();
        zeros.resize((size - at).min(ZERO_BYTES as u64) as usize);
        let (result, buf) = file.write_at(at, zeros, Durability::Cached).await;
        result?;
        zeros = buf;
        at += zeros.len() as u64;
        task::yield_now().await;
    }
    file.sync().await
}

/// The task that keeps the reserve, retires and recycles. Ends when the store is closed.
pub(crate) async fn keep(store: Rc<Store>, mut found: Vec<Freed>) {
    let mut freed: Vec<Freed> = std::mem::take(&mut found);
    loop {
        if store.state.borrow().closing {
            return;
        }
        store.look_at_space().await;
        store.retire_all(&mut freed).await;
        store.refill(&mut freed).await;
        store.unlink_extents().await;
        store.update_admission();
        store.update_tight();
        crate::compact::start_if_needed(&store);
        let _ = time::timeout(Duration::from_millis(SPACE_POLL_MS), store.wake_keeper.notified()).await;
    }
}

impl Store {
    /// Ends the use of all segments that nothing needs any more.
    async fn retire_all(self: &Rc<Self>, freed: &mut Vec<Freed>) {
        loop {
            let next = {
                let mut state = self.state.borrow_mut();
                if !state.loaded {
                    return;
                }
                let durable = state.settles_durable;
                let mut retirable = state.segments.iter().filter(|(_, segment)| segment.is_retirable());
                let next =
                    retirable.find(|(_, segment)| segment.until_settle <= durable).map(|(uid, _)| *uid);
                state.segment_waits = state
                    .segments
                    .values()
                    .any(|segment| segment.is_retirable() && segment.until_settle > durable);
                next
            };
            let Some(uid) = next else { return };
            if let Some(file) = self.retire(uid).await {
                freed.push(file);
            }
            if self.state.borrow().closing {
                return;
            }
        }
    }

    async fn retire(self: &Rc<Self>, uid: Uid) -> Option<Freed> {
        let (handle, stamp) = {
            let mut state = self.state.borrow_mut();
            let stamp = state.next_stamp(self.epoch);
            let segment = state.segments.get_mut(&uid).expect("just found");
            segment.phase = Phase::Retiring;
            (segment.file.clone(), stamp)
        };
        let mark = Retire { identity: handle.identity, stamp }.encode();
        let durability = self.durability();
        let result = files::write_blocks(&handle.file, BLOCK as u64, &mark, durability).await;
        drop(handle);
        if let Err(error) = result {
            // Not tried again: a later start sees no live message in it and tries then.
            self.state.borrow_mut().keep_stuck(uid);
            (self.options.log)(&Event::Background { what: "retiring a segment", error: error.to_string() });
            return None;
        }
        let segment = self.state.borrow_mut().remove_segment(uid);
        let Segment { file, size, zeroed, failed, .. } = segment;
        // A reader may have come while the mark was written: the file goes when the reader does.
        let name = file.name;
        match Rc::try_unwrap(file) {
            Ok(SegmentFile { file, name, .. }) if !failed => Some(Freed { file, name, size, zeroed }),
            _ => {
                self.remove(&name.to_string()).await;
                None
            }
        }
    }

    /// Recycles free files up to what is kept, removes the others, and makes new ones where the reserve is short.
    async fn refill(self: &Rc<Self>, freed: &mut Vec<Freed>) {
        let wanted = self.options.reserve_segments + SPARE_SEGMENTS;
        let size = self.options.segment_bytes;
        while let Some(file) = freed.pop() {
            let ready = self.state.borrow().ready.len();
            if ready < wanted && file.size == size {
                if let Err(error) = self.recycle(file).await {
                    (self.options.log)(&Event::Background { what: "recycling", error: error.to_string() });
                }
                continue;
            }
            let name = file.name.to_string();
            drop(file);
            self.remove(&name).await;
        }
        loop {
            if !self.wants_segment() {
                return;
            }
            match self.create_segment(true).await {
                Ok(uid) => self.state.borrow_mut().ready.push_back(uid),
                Err(error) => {
                    (self.options.log)(&Event::Background {
                        what: "making a reserve segment",
                        error: error.to_string(),
                    });
                    self.look_at_space().await;
                    return;
                }
            }
            self.look_at_space().await;
        }
    }

    /// True when there should be one more ready segment, and there is space for it.
    fn wants_segment(&self) -> bool {
        let state = self.state.borrow();
        let ready = state.ready.len();
        let purpose = if ready < self.options.reserve_segments { Purpose::Settle } else { Purpose::Commit };
        // One more than the reserve, so that the next segment for mail need not be made while mail waits.
        ready <= self.options.reserve_segments
            && state.may_grow(purpose, self.options.segment_bytes, self.options.min_free_bytes)
            && !state.closing
            && state.admission != Admission::Unhealthy
    }

    /// Removes extents whose message is done, durably.
    async fn unlink_extents(&self) {
        let gone: Vec<(u32, u64)> = {
            let mut state = self.state.borrow_mut();
            let durable = state.settles_durable;
            let mut gone = Vec::new();
            state.unlink.retain(|(settle, log, id)| {
                if *settle <= durable {
                    gone.push((*log, *id));
                }
                *settle > durable
            });
            gone
        };
        for (log, id) in gone {
            self.remove(&Name::Extent { log, id }.to_string()).await;
        }
    }

    pub(crate) async fn remove(&self, name: &str) {
        if let Err(error) = self.dir.remove(name).await {
            (self.options.log)(&Event::Background {
                what: "removing a file",
                error: format!("{name}: {error}"),
            });
        }
    }
}

impl Segment {
    fn is_retirable(&self) -> bool {
        self.phase == Phase::Sealed
            && self.live_records == 0
            && self.pins.is_empty()
            && !self.stuck
            && Rc::strong_count(&self.file) == 1
    }
}
