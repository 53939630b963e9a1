//! One shard's part of the spool.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use engine::budget::Budget;
use engine::disk::{Dir, Space};
use engine::histogram::Histogram;
use engine::sync::Notify;
use engine::task::{self, Class};
use engine::time;
use rustc_hash::FxHashMap;

use crate::body::BodyReader;
use crate::event::Event;
use crate::format::record::{Change, Mark};
use crate::intake::{Intake, Refused};
use crate::limits::{CHUNK_FIRST_BYTES, Sizes};
use crate::load;
use crate::messages::Messages;
use crate::options::Options;
use crate::recovery::Recovery;
use crate::segments::{self, Purpose};
use crate::spool::{OpenError, Spool};
use crate::state::{Pending, Phase, State};
use crate::stats::{Admission, Stats};
use crate::types::{ItemId, MessageId, Settle};
use crate::writer;

/// How long [`Store::close`] tries to write what waits.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// One shard's store. Cheap calls, no locks: everything is on this shard.
#[derive(Debug)]
pub struct Store {
    pub(crate) spool: Arc<Spool>,
    pub(crate) options: Arc<Options>,
    pub(crate) sizes: Sizes,
    pub(crate) dir: Dir,
    pub(crate) shard: u16,
    /// The log that takes new messages.
    pub(crate) log: u32,
    pub(crate) epoch: u32,
    pub(crate) budget: Budget,
    pub(crate) state: RefCell<State>,
    pub(crate) wake_writer: Notify,
    pub(crate) wake_keeper: Notify,
    /// A found message can be given out.
    pub(crate) recovered: Notify,
    /// There is room for another found message.
    pub(crate) room: Notify,
    pub(crate) settled: Wakers,
}

/// The store could not write and is closing: whether it is durable is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// Ends when what it was returned for is durable. Dropping it changes nothing: the work goes on.
#[derive(Debug)]
pub struct Durable {
    store: Rc<Store>,
    ticket: u64,
    /// Not worth waiting for when space is short.
    advice: bool,
}

impl Future for Durable {
    type Output = Result<(), Lost>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = self.store.state.borrow();
        if state.settles_durable >= self.ticket || (self.advice && state.tight) {
            return Poll::Ready(Ok(()));
        }
        if state.closed || self.store.spool.is_read_only() {
            return Poll::Ready(Err(Lost));
        }
        self.store.settled.register(cx.waker());
        Poll::Pending
    }
}

/// Tasks that wait for settles.
#[derive(Debug, Default)]
pub(crate) struct Wakers(RefCell<Vec<Waker>>);

impl Wakers {
    fn register(&self, waker: &Waker) {
        self.0.borrow_mut().push(waker.clone());
    }
    pub(crate) fn wake(&self) {
        let wakers = std::mem::take(&mut *self.0.borrow_mut());
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Store {
    /// Opens the store of `shard` (below [`crate::Options::shards`]). Mail is accepted when it returns; found
    /// messages follow on [`Store::recovery`]. Once per shard.
    pub async fn open(spool: &Arc<Spool>, shard: u16) -> Result<Rc<Store>, OpenError> {
        let logs = spool.logs(shard).ok_or_else(|| OpenError::Options(format!("no shard {shard}")))?.clone();
        let options = spool.options().clone();
        let io = |error| OpenError::Io { file: options.path.clone(), error };
        let dir = Dir::open(&options.path).await.map_err(io)?;
        let store = Store {
            spool: spool.clone(),
            sizes: Sizes::of(options.segment_bytes),
            dir,
            shard,
            log: logs.active,
            epoch: spool.epoch(),
            budget: Budget::new(options.memory_budget_bytes),
            state: RefCell::new(new_state()),
            wake_writer: Notify::new(),
            wake_keeper: Notify::new(),
            recovered: Notify::new(),
            room: Notify::new(),
            settled: Wakers::default(),
            options,
        };
        let listing = load::list(&store, &logs.all).await?;
        let store = Rc::new(store);
        let mut found = Vec::with_capacity(listing.used.len());
        {
            let mut state = store.state.borrow_mut();
            state.next_slot = listing.last_slot;
            for segment in listing.used {
                let uid = state.next_uid;
                state.next_uid += 1;
                state.segments.insert(uid, segment);
                found.push(uid);
            }
        }
        let extents = listing.extents;
        drop(task::spawn(Class::Background, load::run(store.clone(), found, extents)));
        if spool.is_read_only() {
            store.state.borrow_mut().admission = Admission::ReadOnly;
            return Ok(store);
        }
        store.look_at_space().await;
        drop(task::spawn(Class::Background, crate::scrub::run(store.clone())));
        drop(task::spawn(Class::Commit, writer::run(store.clone())));
        drop(task::spawn(Class::Background, segments::keep(store.clone(), listing.freed)));
        Ok(store)
    }

    /// The messages found at start. Call once, and read it to its end beside everything else.
    pub fn recovery(self: &Rc<Self>) -> Recovery {
        Recovery { store: self.clone() }
    }

    /// False until all found messages were given out by [`Store::recovery`].
    pub fn is_loaded(&self) -> bool {
        let state = self.state.borrow();
        state.loaded && state.recovered.is_empty()
    }

    /// Starts a message of about `expected_bytes` (SIZE=), if known.
    pub fn begin(self: &Rc<Self>, expected_bytes: Option<u64>) -> Result<Intake, Refused> {
        self.begin_for(Purpose::Commit, expected_bytes)
    }

    /// The same for a report on others that leave the queue with it: it is taken while the disk is full, from what is
    /// kept in reserve. Small ones only.
    pub fn begin_report(self: &Rc<Self>, bytes: u64) -> Result<Intake, Refused> {
        self.begin_for(Purpose::Report, Some(bytes))
    }

    fn begin_for(self: &Rc<Self>, purpose: Purpose, expected_bytes: Option<u64>) -> Result<Intake, Refused> {
        let max = self.options.max_message_bytes;
        if max > 0 && expected_bytes.is_some_and(|bytes| bytes > max) {
            return Err(Refused::TooLarge);
        }
        {
            let state = self.state.borrow();
            match state.admission {
                Admission::DiskFull if purpose == Purpose::Commit => return Err(Refused::DiskFull),
                Admission::Open | Admission::DiskFull => {}
                Admission::Unhealthy => return Err(Refused::Unhealthy),
                Admission::ReadOnly => return Err(Refused::ReadOnly),
            }
            if purpose == Purpose::Commit && self.is_full(&state, expected_bytes.unwrap_or(0)) {
                return Err(Refused::DiskFull);
            }
        }
        while self.budget.used() + CHUNK_FIRST_BYTES > self.budget.capacity() {
            if !self.state.borrow_mut().evict_one() {
                return Err(Refused::Memory);
            }
        }
        Ok(Intake::new(self.clone(), purpose, expected_bytes))
    }

    /// Changes the state of items; in force at once, on disk with the next batch, at most 20 ms later. Unknown items
    /// (already done) are ignored. The future may be dropped. Nothing is lost by a failed write: it is written again.
    pub fn settle(self: &Rc<Self>, changes: Vec<(ItemId, Settle)>) -> Durable {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let mut look = false;
        for (item, settle) in changes {
            look |= state.apply(item, settle).unwrap_or(false);
        }
        let ticket = state.settles_asked;
        let first = state.settle_since.is_none() && !state.settles.is_empty();
        if first {
            state.settle_since = Some(time::now());
        }
        drop(guard);
        if first {
            self.wake_writer.notify_one();
        }
        if look {
            self.wake_keeper.notify_one();
        }
        Durable { store: self.clone(), ticket, advice: false }
    }

    /// When all that [`Store::settle`] was told so far is on disk.
    pub fn settled(self: &Rc<Self>) -> Durable {
        Durable { store: self.clone(), ticket: self.state.borrow().settles_asked, advice: false }
    }

    /// Says that an attempt for these items starts, so that a message which was in flight at two consecutive aborts
    /// can be put on hold. `None`: go ahead (the mark is written lazily, and not at all when the attempt is
    /// settled soon). Some: wait for it first; only for messages found after an abort.
    pub fn attempt(self: &Rc<Self>, items: &[ItemId]) -> Option<Durable> {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        if state.tight {
            return None;
        }
        let mut suspect = false;
        for item in items {
            let Some(message) = state.messages.get(item.message) else { continue };
            let (home, is_suspect) = (message.home, message.suspect);
            let Some(entry) = state.messages.item(*item) else { continue };
            entry.in_flight = true;
            if is_suspect {
                suspect = true;
                let change = Change::Mark(Mark { epoch: self.epoch, aborts: entry.aborts });
                state.settles.push_back(Pending { item: *item, change, home, copy: None });
                state.settles_asked += 1;
            } else {
                state.marks.push(*item);
            }
        }
        if suspect {
            state.settle_since.get_or_insert_with(time::now);
            state.hurry = true;
        } else if state.mark_since.is_none() && !state.marks.is_empty() {
            state.mark_since = Some(time::now());
        } else {
            return None;
        }
        let ticket = state.settles_asked;
        drop(guard);
        self.wake_writer.notify_one();
        suspect.then(|| Durable { store: self.clone(), ticket, advice: true })
    }

    /// Reads a message.
    pub fn body(self: &Rc<Self>, id: MessageId) -> BodyReader {
        BodyReader::new(self.clone(), id)
    }

    /// The first attempt for the message has ended: its body and envelope need not be in memory any more.
    pub fn release_body(&self, id: MessageId) {
        self.state.borrow_mut().uncache(id);
    }

    /// Whether mail is accepted, and work should be picked up.
    pub fn admission(&self) -> Admission {
        self.state.borrow().admission
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let state = self.state.borrow();
        let count = |wanted: fn(Phase) -> bool| state.segments.values().filter(|s| wanted(s.phase)).count();
        let segment_bytes: u64 = state.segments.values().map(|segment| segment.size).sum();
        Stats {
            live_bytes: state.live_bytes + state.extent_bytes,
            allocated_bytes: segment_bytes + state.extent_bytes,
            live_messages: state.messages.len() as u64,
            segments_free: count(|phase| phase == Phase::Ready),
            segments_active: count(|phase| phase == Phase::Active),
            segments_sealed: count(|phase| !matches!(phase, Phase::Ready | Phase::Active)),
            memory_used_bytes: self.budget.used(),
            admission: state.admission,
            loaded: state.loaded && state.recovered.is_empty(),
            requests: state.queue.len(),
            found: state.recovered.len(),
            ..state.stats
        }
    }

    /// How long commits have taken, from the end of the message to its place on disk.
    pub fn commit_us(&self) -> Histogram {
        self.state.borrow().commit_us.clone()
    }

    /// Stops intake, makes all settles durable, marks the shutdown as clean. Error when they could not be written.
    pub async fn close(self: &Rc<Self>) -> Result<(), Lost> {
        if self.spool.is_read_only() {
            self.state.borrow_mut().closed = true;
            self.recovered.notify_all();
            return Ok(());
        }
        {
            let mut state = self.state.borrow_mut();
            state.closing = true;
            state.admission = Admission::ReadOnly;
            state.marks.clear();
            state.mark_since = None;
            state.hurry = true;
            // With nothing to say, an empty store stays without a segment.
            state.clean_wanted =
                state.active.is_some() || !state.settles.is_empty() || !state.queue.is_empty();
            state.clean_written = !state.clean_wanted;
        }
        self.wake_writer.notify_one();
        self.wake_keeper.notify_one();
        let done = time::timeout(CLOSE_TIMEOUT, self.flushed()).await.unwrap_or(false);
        let (active, cold) = {
            let mut state = self.state.borrow_mut();
            (state.active.take(), state.cold.take())
        };
        for uid in [active, cold].into_iter().flatten() {
            self.seal(uid);
        }
        while self.state.borrow().sealing > 0 {
            time::sleep(Duration::from_millis(1)).await;
        }
        self.state.borrow_mut().closed = true;
        self.wake_writer.notify_one();
        self.recovered.notify_all();
        self.room.notify_all();
        self.settled.wake();
        if done { Ok(()) } else { Err(Lost) }
    }

    /// True when everything was written, false when it cannot be.
    async fn flushed(&self) -> bool {
        loop {
            {
                let state = self.state.borrow();
                if state.clean_written && !state.compacting {
                    return true;
                }
                if state.failures >= 2 {
                    (self.options.log)(&Event::Background {
                        what: "closing the spool",
                        error: "the disk does not take writes".to_owned(),
                    });
                    return false;
                }
            }
            time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn new_state() -> State {
    State {
        segments: std::collections::BTreeMap::new(),
        next_uid: 0,
        next_slot: 0,
        active: None,
        cold: None,
        ready: std::collections::VecDeque::new(),
        messages: Messages::new(engine::rng::u64()),
        cached: std::collections::VecDeque::new(),
        live_bytes: 0,
        extent_bytes: 0,
        unlink: Vec::new(),
        stamps: 0,
        sequences: 0,
        segment_sequences: 0,
        queue: std::collections::VecDeque::new(),
        settles: std::collections::VecDeque::new(),
        settles_asked: 0,
        settles_durable: 0,
        segment_waits: false,
        settle_since: None,
        marks: Vec::new(),
        mark_since: None,
        maps: std::collections::VecDeque::new(),
        cuts: Vec::new(),
        refused: Vec::new(),
        clean_wanted: false,
        clean_written: false,
        hurry: false,
        recovered: std::collections::VecDeque::new(),
        recovery_dropped: false,
        loaded: false,
        free: Space { free_bytes: 0, free_inodes: 0 },
        admission: Admission::Open,
        tight: false,
        failures: 0,
        retry_at: None,
        closing: false,
        closed: false,
        compacting: false,
        moving: FxHashMap::default(),
        sealing: 0,
        stats: Stats::default(),
        commit_us: Histogram::default(),
    }
}
