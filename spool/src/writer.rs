//! Group commit: one task writes batches; the next one forms while the last is in flight.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::buf::AlignedBuf;
use engine::disk::Durability;
use engine::sync::Sender;
use engine::time::{self, Instant};

use crate::event::Event;
use crate::files::Handle;
use crate::form::{change_bytes, put_cuts, put_maps, put_marks, put_requests, put_settles};
use crate::format::batch::{
    Builder, FRAME_BYTES, HEADER_BYTES, OVERHEAD_BYTES, Place, RecordAt, record_bytes,
};
use crate::format::record::{Cut, ItemImage, Kind, SettleEncoder};
use crate::format::{BLOCK, round_up, stamp};
use crate::intake::CommitError;
use crate::limits::{MARK_DELAY_MS, SETTLE_DELAY_MS, TIGHT_SETTLE_DELAY_MS, UNHEALTHY_RETRY_MS};
use crate::messages::{Message, More};
use crate::segments::Purpose;
use crate::state::{Cached, Chunks, PartRef, Pending, PendingMap, State, Uid};
use crate::stats::Admission;
use crate::store::Store;
use crate::types::{ItemId, MessageId};

/// What an intake asks the writer for.
#[derive(Debug)]
pub(crate) enum Request {
    Commit(Commit),
    Body(Body),
}

/// A message to commit. `meta` is complete but for the message's number.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) purpose: Purpose,
    pub(crate) meta: Vec<u8>,
    pub(crate) prefix: Bytes,
    pub(crate) body: Chunks,
    pub(crate) parts: Box<[PartRef]>,
    /// Keeps the segments of the parts until the message does.
    pub(crate) _holds: Vec<Handle>,
    pub(crate) recipients: u32,
    /// What is known of those recipients that are not done; `None`: none is, and all are new.
    pub(crate) items: Option<Vec<ItemImage>>,
    /// Of its record.
    pub(crate) flags: u8,
    pub(crate) size: u64,
    /// All of the body is in `prefix` and `body`: keep it for the first attempt.
    pub(crate) memory: Option<engine::budget::Reservation>,
    pub(crate) waiter: Sender<Result<MessageId, CommitError>>,
    /// When it was asked for.
    pub(crate) since: Instant,
}

/// Body bytes to spill.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) purpose: Purpose,
    pub(crate) waiter: Sender<Result<Spilled, CommitError>>,
}

/// Where spilled bytes are.
#[derive(Debug)]
pub(crate) struct Spilled {
    pub(crate) segment: Uid,
    pub(crate) hold: Handle,
    pub(crate) at: RecordAt,
}

impl Request {
    /// Bytes it takes in a batch, at most.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Request::Commit(commit) => record_bytes(commit.meta.len(), commit.data_bytes()),
            Request::Body(body) => record_bytes(0, body.bytes.len()),
        }
    }

    pub(crate) fn purpose(&self) -> Purpose {
        match self {
            Request::Commit(commit) => commit.purpose,
            Request::Body(body) => body.purpose,
        }
    }

    pub(crate) fn refuse(self, error: CommitError) {
        match self {
            Request::Commit(commit) => drop(commit.waiter.send(Err(error))),
            Request::Body(body) => drop(body.waiter.send(Err(error))),
        }
    }
}

/// A commit that was not written, as far as can be told. Who waits for it is told when a later start is certain not to find it;
/// until then the segments of its parts stay, or it might be found without them.
#[derive(Debug)]
pub(crate) struct Refusal {
    waiter: Sender<Result<MessageId, CommitError>>,
    error: CommitError,
    _holds: Vec<Handle>,
}

impl Refusal {
    pub(crate) fn tell(self) {
        drop(self.waiter.send(Err(self.error)));
    }
}

impl Commit {
    pub(crate) fn refused(self, error: CommitError) -> Refusal {
        Refusal { waiter: self.waiter, error, _holds: self._holds }
    }

    fn data_bytes(&self) -> usize {
        self.prefix.len() + self.body.len()
    }
}

/// A batch on its way to disk.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) segment: Uid,
    pub(crate) hold: Handle,
    pub(crate) number: u32,
    pub(crate) offset: u64,
    pub(crate) stamp: u64,
    pub(crate) commits: Vec<(Commit, MessageId, RecordAt)>,
    pub(crate) bodies: Vec<(Body, RecordAt)>,
    pub(crate) settles: Vec<Pending>,
    pub(crate) maps: Vec<PendingMap>,
    pub(crate) cuts: Vec<(Uid, Cut)>,
    pub(crate) clean: bool,
}

/// When there is something to write.
enum Due {
    Now,
    At(Instant),
    Never,
}

/// The task. Ends when the store is closed and nothing is left to write.
pub(crate) async fn run(store: Rc<Store>) {
    let mut scratch = Scratch::new(store.sizes.batch_bytes);
    loop {
        let due = store.state.borrow().due();
        match due {
            Due::Now => store.write_batch(&mut scratch).await,
            Due::At(at) => {
                let _ = time::timeout(at - time::now(), store.wake_writer.notified()).await;
            }
            Due::Never if store.state.borrow().closed => return,
            Due::Never => store.wake_writer.notified().await,
        }
    }
}

/// What is used again from batch to batch.
struct Scratch {
    buf: Option<AlignedBuf>,
    encoder: SettleEncoder,
    batch_bytes: usize,
}

impl Scratch {
    fn new(batch_bytes: usize) -> Scratch {
        Scratch { buf: None, encoder: SettleEncoder::default(), batch_bytes }
    }

    fn buffer(&mut self, bytes: usize) -> AlignedBuf {
        match self.buf.take() {
            Some(mut buf) if buf.capacity() >= bytes => {
                buf.clear();
                buf
            }
            _ => AlignedBuf::with_capacity(bytes.max(self.batch_bytes)),
        }
    }
}

impl State {
    fn due(&self) -> Due {
        let now = time::now();
        if let Some(at) = self.retry_at.filter(|at| *at > now) {
            return if self.has_work() { Due::At(at) } else { Due::Never };
        }
        let urgent = !self.queue.is_empty() || !self.maps.is_empty() || !self.cuts.is_empty();
        if urgent || (self.clean_wanted && self.queue.is_empty()) {
            return Due::Now;
        }
        let delay = if self.tight { TIGHT_SETTLE_DELAY_MS } else { SETTLE_DELAY_MS };
        let settle = self.settle_since.map(|since| since + Duration::from_millis(delay));
        let mark = self.mark_since.map(|since| since + Duration::from_millis(MARK_DELAY_MS));
        match [settle, mark].into_iter().flatten().min() {
            Some(at) if at <= now || self.hurry => Due::Now,
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }

    fn has_work(&self) -> bool {
        !self.queue.is_empty()
            || !self.maps.is_empty()
            || !self.cuts.is_empty()
            || !self.settles.is_empty()
            || !self.marks.is_empty()
            || self.clean_wanted
    }

    pub(crate) fn next_stamp(&mut self, epoch: u32) -> u64 {
        self.stamps += 1;
        stamp(epoch, self.stamps)
    }

    /// Settles, marks, maps or cuts wait: they may use the reserve. The mark of a clean end comes after all else.
    fn has_priority_work(&self) -> bool {
        let clean = self.clean_wanted && self.queue.is_empty();
        !self.cuts.is_empty() || !self.settles.is_empty() || !self.maps.is_empty() || clean
    }
}

impl Store {
    async fn write_batch(self: &Rc<Self>, scratch: &mut Scratch) {
        let Some(segment) = self.segment_for_batch().await else { return };
        let Some((flight, buf)) = self.build(segment, scratch) else { return };
        let durability = self.durability();
        let file = flight.hold.clone();
        let (result, buf) = file.file.write_at(flight.offset, buf, durability).await;
        scratch.buf = Some(buf);
        drop(file);
        match result {
            Ok(()) => self.written(flight),
            Err(error) => self.failed(flight, &error),
        }
    }

    pub(crate) fn durability(&self) -> Durability {
        self.state.borrow_mut().stats.durable_writes += u64::from(self.options.fsync);
        if self.options.fsync { Durability::Durable } else { Durability::Cached }
    }

    /// A segment with room for what is first in line. None: nothing can be written now; who must be told was told.
    async fn segment_for_batch(self: &Rc<Self>) -> Option<Uid> {
        loop {
            let (need, meta, purpose) = self.first_in_line()?;
            let active = self.state.borrow().active;
            if let Some(uid) = active {
                let state = self.state.borrow();
                let room = state.segments.get(&uid).map_or(0, |segment| segment.room());
                if room >= round_up((need + OVERHEAD_BYTES) as u64) + meta as u64 {
                    return Some(uid);
                }
            }
            match self.take_segment(purpose).await {
                Ok(Some(next)) => {
                    let before = self.state.borrow_mut().active.replace(next);
                    self.activate(next);
                    if let Some(before) = before {
                        self.seal(before);
                    }
                }
                Ok(None) if purpose != Purpose::Settle => {
                    self.refuse_queue_of(purpose, &CommitError::DiskFull);
                    self.wake_keeper.notify_one();
                }
                Ok(None) => {
                    let mut state = self.state.borrow_mut();
                    state.tight = true;
                    state.retry_at = Some(time::now() + Duration::from_millis(UNHEALTHY_RETRY_MS / 5));
                    drop(state);
                    self.refuse_queue(&CommitError::DiskFull);
                    self.settled.wake();
                    self.wake_keeper.notify_one();
                    return None;
                }
                Err(error) => {
                    self.cannot_write(&error);
                    return None;
                }
            }
        }
    }

    /// Bytes of the first record that is to be written, of its meta, and what for.
    fn first_in_line(&self) -> Option<(usize, usize, Purpose)> {
        let state = self.state.borrow();
        if state.has_priority_work() {
            let map = state.maps.front().map_or(0, |map| map.meta.len());
            let settle = state.settles.front().map_or(0, |pending| change_bytes(&pending.change));
            return Some((FRAME_BYTES + map.max(settle) + 64, map, Purpose::Settle));
        }
        match state.queue.front() {
            Some(request) => {
                let meta = if let Request::Commit(commit) = request { commit.meta.len() + 64 } else { 0 };
                Some((request.bytes(), meta, request.purpose()))
            }
            None if !state.marks.is_empty() => Some((BLOCK, 0, Purpose::Settle)),
            None => None,
        }
    }

    /// Encodes what waits into a batch.
    fn build(&self, segment: Uid, scratch: &mut Scratch) -> Option<(Flight, AlignedBuf)> {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let stamp = state.next_stamp(self.epoch);
        let epoch = self.epoch;
        let target = state.segments.get_mut(&segment).expect("the active segment exists");
        let first = state.queue.front().map_or(0, Request::bytes);
        let first = first.max(state.maps.front().map_or(0, |map| map.meta.len() + 64));
        let room = target.room();
        let want = scratch.batch_bytes.max(first + OVERHEAD_BYTES).next_multiple_of(BLOCK);
        let mut buf = scratch.buffer(want);
        let place = Place {
            segment: target.file.identity,
            number: target.batches,
            offset: u32::try_from(target.next_offset).expect("segments are below 4 GiB"),
            stamp,
        };
        let mut flight = Flight {
            segment,
            hold: target.file.clone(),
            number: place.number,
            offset: target.next_offset,
            stamp,
            commits: Vec::with_capacity(state.queue.len()),
            bodies: Vec::new(),
            settles: Vec::with_capacity(state.settles.len()),
            maps: Vec::new(),
            cuts: Vec::new(),
            clean: false,
        };
        let mut limit = (buf.capacity() as u64).min(room) as usize - HEADER_BYTES;
        let mut builder = Builder::begin(&mut buf, place);
        put_cuts(state, &mut flight, &mut builder, limit);
        put_settles(state, &mut flight, &mut builder, limit, &mut scratch.encoder);
        put_marks(state, &mut flight, &mut builder, limit, &mut scratch.encoder, epoch);
        put_maps(state, &mut flight, &mut builder, limit);
        // After a failure, the next batch carries what must not be lost, and nothing that can be refused.
        if flight.cuts.is_empty() {
            put_requests(state, &mut flight, &mut builder, &mut limit, self.log, epoch);
        }
        if state.clean_wanted && state.queue.is_empty() && state.settles.is_empty() && state.cuts.is_empty() {
            builder.record(Kind::Clean, 0, &[], &[]);
            flight.clean = true;
            state.clean_wanted = false;
        }
        if builder.is_empty() {
            scratch.buf = Some(buf);
            // Marks that are not worth a block.
            state.settles_durable += flight.settles.len() as u64;
            state.forget_timers();
            return None;
        }
        builder.finish();
        state.forget_timers();
        let target = state.segments.get_mut(&segment).expect("the active segment exists");
        target.advance(buf.len() as u64, stamp);
        state.stats.batches += 1;
        state.stats.batch_bytes += buf.len() as u64;
        state.stats.commits += flight.commits.len() as u64;
        state.stats.settles += flight.settles.len() as u64;
        state.stats.batch_commits_max = state.stats.batch_commits_max.max(flight.commits.len() as u64);
        Some((flight, buf))
    }

    /// The batch is on disk.
    fn written(self: &Rc<Self>, flight: Flight) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        state.failures = 0;
        state.retry_at = None;
        state.settles_durable += flight.settles.len() as u64;
        if flight.clean {
            state.clean_written = true;
            if let Some(segment) = state.segments.get_mut(&flight.segment) {
                segment.clean = true;
            }
        }
        let healed = state.admission == Admission::Unhealthy;
        if healed {
            state.admission = Admission::Open;
        }
        let refused = std::mem::take(&mut state.refused);
        let mut abandoned = Vec::new();
        let now = time::now();
        for (mut commit, id, at) in flight.commits {
            state.commit_us.record((now - commit.since).as_micros() as u64);
            let recipients = commit.recipients;
            let items = commit.items.take();
            let (waiter, message) = commit.into_message(id, flight.segment, flight.stamp, at);
            state.insert(message, items.as_deref());
            if waiter.send(Ok(id)).is_err() {
                abandoned.push((id, recipients));
            }
        }
        for (body, at) in flight.bodies {
            let spilled = Spilled { segment: flight.segment, hold: flight.hold.clone(), at };
            drop(body.waiter.send(Ok(spilled)));
        }
        for map in flight.maps {
            let _ = map.done.send(true);
        }
        drop(guard);
        refused.into_iter().for_each(Refusal::tell);
        // Whoever asked has gone without an answer: the client saw no 250, and nobody would deliver it.
        for (id, recipients) in abandoned {
            let all =
                (0..recipients).map(|recipient| (ItemId { message: id, recipient }, crate::Settle::Done));
            drop(self.settle(all.collect()));
        }
        if healed {
            (self.options.log)(&Event::Healthy { shard: self.shard });
        }
        self.settled.wake();
        self.wake_keeper_if_useful();
    }

    /// Puts a request in line.
    pub(crate) fn enqueue(&self, request: Request) {
        let mut state = self.state.borrow_mut();
        if state.admission == Admission::Unhealthy || state.closed {
            drop(state);
            return request.refuse(CommitError::Unavailable);
        }
        state.queue.push_back(request);
        drop(state);
        self.wake_writer.notify_one();
    }
}

impl Commit {
    fn into_message(
        self,
        id: MessageId,
        home: Uid,
        stamp: u64,
        at: RecordAt,
    ) -> (Sender<Result<MessageId, CommitError>>, Message) {
        let prefix_bytes = self.prefix.len() as u32;
        let cache = self.memory.map(|memory| {
            let (prefix, body) = (self.prefix, self.body);
            Cached { meta: self.meta.into(), prefix, body, _memory: Some(memory) }
        });
        let message = Message {
            log: id.log,
            sequence: id.sequence,
            home,
            at,
            stamp,
            flags: self.flags,
            prefix_bytes,
            recipients: self.recipients,
            live: self.recipients,
            size: self.size,
            items: None,
            more: More::new(self.parts, cache),
            suspect: false,
            damaged: false,
        };
        (self.waiter, message)
    }
}

impl State {
    fn forget_timers(&mut self) {
        if self.settles.is_empty() {
            self.settle_since = None;
            self.hurry = false;
        }
        if self.marks.is_empty() {
            self.mark_since = None;
        }
    }
}
