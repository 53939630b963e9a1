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
use crate::format::batch::{
    Builder, FRAME_BYTES, HEADER_BYTES, OVERHEAD_BYTES, Place, RecordAt, record_bytes,
};
use crate::format::record::{Change, CommitHead, Cut, Kind, Mark, SettleEncoder};
use crate::format::{BLOCK, round_up, stamp};
use crate::intake::CommitError;
use crate::limits::{
    MARK_DELAY_MS, SETTLE_DELAY_MS, SETTLE_RECORD_BYTES, TIGHT_SETTLE_DELAY_MS, UNHEALTHY_RETRY_MS,
};
use crate::messages::{Items, Message};
use crate::segments::Purpose;
use crate::state::{Cached, Chunks, PartRef, Pending, PendingMap, Phase, State, Uid};
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
    pub(crate) parts: Option<Box<[PartRef]>>,
    /// Keeps the segments of the parts until the message does.
    pub(crate) _holds: Vec<Handle>,
    pub(crate) recipients: u32,
    /// What is known of the recipients; those that are done already do not count as live.
    pub(crate) items: Items,
    pub(crate) live: u32,
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
    fn bytes(&self) -> usize {
        match self {
            Request::Commit(commit) => record_bytes(commit.meta.len(), commit.data_bytes()),
            Request::Body(body) => record_bytes(0, body.bytes.len()),
        }
    }

    fn purpose(&self) -> Purpose {
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

impl Commit {
    fn data_bytes(&self) -> usize {
        self.prefix.len() + self.body.len()
    }
}

/// A batch on its way to disk.
#[derive(Debug)]
struct Flight {
    segment: Uid,
    hold: Handle,
    number: u32,
    offset: u64,
    stamp: u64,
    commits: Vec<(Commit, MessageId, RecordAt)>,
    bodies: Vec<(Body, RecordAt)>,
    settles: Vec<Pending>,
    maps: Vec<PendingMap>,
    cuts: Vec<(Uid, Cut)>,
    clean: bool,
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

    /// Settles, marks, maps or cuts wait: they may use the reserve.
    fn has_priority_work(&self) -> bool {
        !self.cuts.is_empty() || !self.settles.is_empty() || !self.maps.is_empty() || self.clean_wanted
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
        for (commit, id, at) in flight.commits {
            state.commit_us.record((now - commit.since).as_micros() as u64);
            let recipients = commit.recipients;
            let (waiter, message) = commit.into_message(flight.segment, flight.stamp, at);
            state.insert(id, message);
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
        for (waiter, error) in refused {
            drop(waiter.send(Err(error)));
        }
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

    /// The batch is not on disk, or only a part of it: its segment takes no more.
    fn failed(self: &Rc<Self>, flight: Flight, error: &std::io::Error) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let kind = commit_error(error);
        if let Some(segment) = state.segments.get_mut(&flight.segment) {
            segment.failed = true;
            segment.phase = Phase::Sealed;
            let (log, sequence) = segment.key();
            state.cuts.push((flight.segment, Cut { log, segment: sequence, batches: flight.number }));
        }
        state.active = None;
        state.cuts.extend(flight.cuts);
        for pending in flight.settles.into_iter().rev() {
            state.settles.push_front(pending);
        }
        state.settle_since = Some(time::now());
        state.hurry = true;
        state.clean_wanted |= flight.clean;
        let count = flight.commits.len();
        // Their clients are told when it is certain that a later start will not find them.
        state.refused.extend(flight.commits.into_iter().map(|(commit, _, _)| (commit.waiter, kind.clone())));
        for (body, _) in flight.bodies {
            drop(body.waiter.send(Err(kind.clone())));
        }
        for map in flight.maps {
            let _ = map.done.send(false);
        }
        drop(guard);
        (self.options.log)(&Event::WriteFailed {
            file: flight.hold.name.to_string(),
            error: error.to_string(),
            refused: count,
        });
        self.after_failure(error);
    }

    /// No segment could be made.
    fn cannot_write(self: &Rc<Self>, error: &std::io::Error) {
        (self.options.log)(&Event::Background { what: "making a segment", error: error.to_string() });
        self.after_failure(error);
    }

    /// One failure: write what must not be lost elsewhere, at once. Two: stop.
    fn after_failure(self: &Rc<Self>, error: &std::io::Error) {
        let mut state = self.state.borrow_mut();
        state.failures += 1;
        if state.failures < 2 {
            return;
        }
        state.retry_at = Some(time::now() + Duration::from_millis(UNHEALTHY_RETRY_MS));
        let new = state.admission != Admission::Unhealthy;
        state.admission = Admission::Unhealthy;
        let refused = std::mem::take(&mut state.refused);
        drop(state);
        for (waiter, error) in refused {
            drop(waiter.send(Err(error)));
        }
        self.refuse_queue(&CommitError::Unavailable);
        self.settled.wake();
        if new {
            (self.options.log)(&Event::Unhealthy { shard: self.shard, error: error.to_string() });
        }
    }

    /// Those who wait for the same, and those who may take less from the reserve.
    fn refuse_queue_of(&self, purpose: Purpose, error: &CommitError) {
        let queue = std::mem::take(&mut self.state.borrow_mut().queue);
        for request in queue {
            if purpose == Purpose::Commit && request.purpose() == Purpose::Report {
                self.state.borrow_mut().queue.push_back(request);
            } else {
                request.refuse(error.clone());
            }
        }
    }

    fn refuse_queue(&self, error: &CommitError) {
        let queue = std::mem::take(&mut self.state.borrow_mut().queue);
        for request in queue {
            request.refuse(error.clone());
        }
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
        home: Uid,
        stamp: u64,
        at: RecordAt,
    ) -> (Sender<Result<MessageId, CommitError>>, Message) {
        let prefix_bytes = self.prefix.len() as u32;
        let cache = self.memory.map(|memory| {
            let (prefix, body) = (self.prefix, self.body);
            Box::new(Cached { meta: self.meta.into(), prefix, body, _memory: Some(memory) })
        });
        let message = Message {
            home,
            at,
            stamp,
            flags: self.flags,
            prefix_bytes,
            recipients: self.recipients,
            live: self.live,
            size: self.size,
            items: self.items,
            parts: self.parts,
            cache,
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

type Building<'b> = Builder<'b, AlignedBuf>;

fn put_cuts(state: &mut State, flight: &mut Flight, builder: &mut Building<'_>, limit: usize) {
    while let Some((about, cut)) = state.cuts.pop() {
        let meta = cut.encode();
        if builder.len() + record_bytes(meta.len(), 0) > limit {
            state.cuts.push((about, cut));
            return;
        }
        builder.record(Kind::Cut, 0, &meta, &[]);
        let target = state.segments.get_mut(&flight.segment).expect("the active segment exists");
        target.cuts.push(cut);
        target.pin(about, u64::MAX);
        flight.cuts.push((about, cut));
    }
}

fn put_settles(
    state: &mut State,
    flight: &mut Flight,
    builder: &mut Building<'_>,
    limit: usize,
    encoder: &mut SettleEncoder,
) {
    while let Some(pending) = state.settles.front() {
        let bytes = encoder.len() + change_bytes(&pending.change);
        if builder.len() + record_bytes(bytes, 0) > limit {
            break;
        }
        if !encoder.is_empty() && bytes > SETTLE_RECORD_BYTES {
            builder.record(Kind::Settle, 0, encoder.bytes(), &[]);
            encoder.clear();
            continue;
        }
        let pending = state.settles.pop_front().expect("looked at");
        if !(state.tight && matches!(pending.change, Change::Mark(_))) {
            encoder.push(pending.item, &pending.change);
            say(state, flight, pending.item, pending.home);
        }
        flight.settles.push(pending);
    }
    if !encoder.is_empty() {
        builder.record(Kind::Settle, 0, encoder.bytes(), &[]);
        encoder.clear();
    }
}

/// Marks of attempts that have not ended meanwhile.
fn put_marks(
    state: &mut State,
    flight: &mut Flight,
    builder: &mut Building<'_>,
    limit: usize,
    encoder: &mut SettleEncoder,
    epoch: u32,
) {
    if state.tight {
        state.marks.clear();
    }
    while let Some(item) = state.marks.pop() {
        if builder.len() + record_bytes(encoder.len() + 64, 0) > limit {
            state.marks.push(item);
            break;
        }
        let Some(message) = state.messages.get_mut(item.message) else { continue };
        let home = message.home;
        let Some(entry) = message.item(item.recipient).filter(|entry| entry.in_flight) else { continue };
        encoder.push(item, &Change::Mark(Mark { epoch, aborts: entry.aborts }));
        say(state, flight, item, home);
    }
    if !encoder.is_empty() {
        builder.record(Kind::Settle, 0, encoder.bytes(), &[]);
        encoder.clear();
    }
}

/// The segment of this batch says something about an item at `home`.
fn say(state: &mut State, flight: &Flight, item: ItemId, home: Uid) {
    // A copy that is being written may be older than this; and where the message was may be gone, but not its copy.
    let copy = if state.segments.contains_key(&home) {
        if state.moving.is_empty() { None } else { state.moving.get(&item.message).copied() }
    } else {
        state.messages.get(item.message).map(|message| message.home).or(state.cold)
    };
    for about in [Some(home), copy].into_iter().flatten() {
        if about == flight.segment || !state.segments.contains_key(&about) {
            continue;
        }
        let target = state.segments.get_mut(&flight.segment).expect("the active segment exists");
        target.pin(about, flight.stamp);
        target.said.push((item, about));
        target.index_bytes += 24;
    }
}

fn put_maps(state: &mut State, flight: &mut Flight, builder: &mut Building<'_>, limit: usize) {
    while let Some(map) = state.maps.front() {
        if builder.len() + record_bytes(map.meta.len(), 0) > limit {
            return;
        }
        let map = state.maps.pop_front().expect("looked at");
        builder.record(Kind::LiveMap, 0, &map.meta, &[]);
        let target = state.segments.get_mut(&flight.segment).expect("the active segment exists");
        target.maps.push(map.meta.clone());
        target.index_bytes += map.meta.len() as u64 + 16;
        // Later than what it covers, or it would cover itself.
        target.pin(map.target, flight.stamp);
        flight.maps.push(map);
    }
}

fn put_requests(
    state: &mut State,
    flight: &mut Flight,
    builder: &mut Building<'_>,
    limit: &mut usize,
    log: u32,
    epoch: u32,
) {
    while let Some(request) = state.queue.front() {
        // What the index takes later comes off the room.
        let index = if let Request::Commit(commit) = request { commit.meta.len() + 80 } else { 0 };
        let bytes = request.bytes() + if builder.is_empty() { 0 } else { index };
        if builder.len() + bytes > *limit {
            return;
        }
        match state.queue.pop_front().expect("looked at") {
            Request::Commit(mut commit) => {
                state.sequences += 1;
                let id = MessageId { log, sequence: stamp(epoch, state.sequences) };
                CommitHead::patch_id(&mut commit.meta, id);
                let at = put_commit(builder, &commit);
                *limit = limit.saturating_sub(index);
                flight.commits.push((commit, id, at));
            }
            Request::Body(body) => {
                let at = builder.record(Kind::Body, 0, &[], &[&body.bytes]);
                flight.bodies.push((body, at));
            }
        }
    }
}

fn put_commit(builder: &mut Building<'_>, commit: &Commit) -> RecordAt {
    if commit.body.rest.is_empty() {
        return builder.record(
            Kind::Commit,
            commit.flags,
            &commit.meta,
            &[&commit.prefix, &commit.body.first],
        );
    }
    let mut data: Vec<&[u8]> = Vec::with_capacity(commit.body.rest.len() + 2);
    data.push(&commit.prefix);
    data.push(&commit.body.first);
    data.extend(commit.body.rest.iter().map(|chunk| &chunk[..]));
    builder.record(Kind::Commit, commit.flags, &commit.meta, &data)
}

/// Bytes that an entry takes at most.
fn change_bytes(change: &Change) -> usize {
    40 + match change {
        Change::RetryAt { reply: text, .. } | Change::Hold { reason: text } | Change::Properties(text) => {
            text.len()
        }
        Change::Image(_) => crate::limits::PROPERTIES_MAX_BYTES + crate::limits::REPLY_MAX_BYTES,
        Change::Done | Change::Active | Change::Mark(_) => 0,
    }
}

pub(crate) fn commit_error(error: &std::io::Error) -> CommitError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => CommitError::DiskFull,
        _ => CommitError::Io(error.to_string()),
    }
}
