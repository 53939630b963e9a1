//! The queue of one shard: its parts, and what goes in. Picking is in `pick`, reports in `report`, listing and
//! changes by operators in `operations`.

mod details;
#[cfg(test)]
mod details_test;
mod expiry;
mod held;
#[cfg(test)]
mod held_test;
mod lines;
#[cfg(test)]
mod model_test;
mod operations;
mod pick;
mod report;
mod settle;
#[cfg(test)]
mod tests;
mod transports;
mod waits;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::attempt::{AttemptId, Destination, Lines};
use crate::details::{QuotaUse, Shared};
use crate::intern::{Interner, Name};
use crate::item::{Counts, Entry, Item, ItemKey, Refused};
use crate::limits;
use crate::line::{Group, GroupKey, Line, Split};
use crate::list::List;
use crate::packed::Packed;
use crate::policy::Key;
use crate::retry::RetryPolicy;
use crate::schedule::{Schedule, bucket_of};
use crate::slot::{Known, Place, Slot};
use crate::suspend::Suspends;
use tables::index::Index;
use tables::slab::Slab;

use expiry::Expiry;
use lines::Sweep;
pub use operations::{Cursor, OperationError};
pub use settle::Settlement;
use transports::Transports;
pub(crate) use waits::Half;
use waits::Waits;

/// Bounds of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most items.
    pub max_items: usize,
    /// Most attempts at once, over all destinations.
    pub total_concurrency: u32,
    /// Most recipients in one attempt.
    pub max_attempt_recipients: usize,
    /// What `grouping` is at pick-up.
    pub grouping: GroupingAtPickup,
    /// By what lines are split, since policies look at it.
    pub split: Split,
    /// Nothing fails for good: it is tried again instead.
    pub soft_bounce: bool,
    /// Recipients of an attempt share their domain, also where their transport has one line.
    pub one_domain: bool,
    /// A random number, so that nobody outside can choose domains that collide in the hash tables. Looked at
    /// by [`Queue::new`] only.
    pub hash_seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_items: limits::MAX_ITEMS,
            total_concurrency: limits::TOTAL_CONCURRENCY,
            max_attempt_recipients: limits::MAX_ATTEMPT_RECIPIENTS,
            grouping: GroupingAtPickup::default(),
            split: Split::default(),
            soft_bounce: false,
            one_domain: false,
            hash_seed: 0,
        }
    }
}

/// What suspends can know of `grouping` before DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupingAtPickup {
    /// Nothing: it depends on the host, or groupings are configured.
    #[default]
    Unknown,
    /// It is the recipient domain (`queues.grouping.default: recipientdomain`, no groupings).
    RecipientDomain,
}

/// What [`Queue::next`] has looked at since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PickCounts {
    /// Lines.
    pub evals: u64,
    /// Those of them from which nothing could be picked.
    pub skips: u64,
    /// Lines whose turn comes, now.
    pub pending: usize,
}

/// What the queue knows of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its name.
    pub name: String,
    /// How its items are put into lines.
    pub lines: Lines,
    /// Most attempts at once for one line; 0 stops the transport.
    pub concurrency: u32,
    /// When to retry.
    pub retry: RetryPolicy,
}

impl Default for Transport {
    fn default() -> Self {
        Transport {
            name: String::new(),
            lines: Lines::default(),
            concurrency: limits::DESTINATION_CONCURRENCY,
            retry: RetryPolicy::default(),
        }
    }
}

/// The index, lines and schedule of one shard. See the crate documentation.
#[derive(Debug)]
pub struct Queue {
    options: Options,
    slots: Slab<Slot>,
    by_key: Index,
    names: Interner,
    shared: Shared,
    /// How much counts for each quota.
    quotas: FxHashMap<Name, QuotaUse>,
    transports: Transports,
    lines: Slab<Line>,
    by_line: Index,
    /// Lines that may have something to pick, in turn: urgent ones, and the others.
    rings: [VecDeque<u32>; 2],
    /// Urgent lines that were picked from since another one was.
    urgent_picks: u32,
    groups: FxHashMap<GroupKey, Group>,
    /// Lines by the counters that hold them back, those with the oldest mail first.
    held_by: FxHashMap<Key, BTreeSet<(u64, u32)>>,
    /// When lines that are held back are looked at in any case.
    held_until: BTreeSet<(u64, u32)>,
    /// How many of them are looked at because policies have changed.
    held_before_change: usize,
    expiry: Expiry,
    /// Lines to look at when the rules change.
    blocked: VecDeque<u32>,
    /// Lines to look at because they have changed.
    unblock: VecDeque<u32>,
    sweep: Sweep,
    schedule: Schedule,
    waits: Waits,
    /// Items in `waits`.
    counts_of_waits: usize,
    suspends: Arc<Suspends>,
    /// Number of the present rules.
    generation: u32,
    attempts: FxHashMap<AttemptId, Running>,
    next_attempt: u64,
    counts: Counts,
    /// Items of which an update is being written, by how many updates.
    writing: FxHashMap<ItemKey, u32>,
    picks: PickCounts,
    /// [`limits::NEXT_BUDGET`]; tests make it small.
    next_budget: u32,
}

/// A running attempt.
#[derive(Debug)]
struct Running {
    line: u32,
    members: List,
    /// The rules that let it go.
    generation: u32,
    /// Instead of the transport's.
    retry: Option<Arc<RetryPolicy>>,
    /// Policies hold its line back: it finds out whether they still do.
    probe: bool,
}

impl Queue {
    /// An empty queue.
    pub fn new(options: Options) -> Queue {
        Queue {
            slots: Slab::new(),
            by_key: Index::new(),
            names: Interner::new(options.hash_seed),
            shared: Shared::new(options.hash_seed),
            quotas: FxHashMap::default(),
            transports: Transports::default(),
            lines: Slab::new(),
            by_line: Index::new(),
            rings: [VecDeque::new(), VecDeque::new()],
            urgent_picks: 0,
            groups: FxHashMap::default(),
            held_by: FxHashMap::default(),
            held_until: BTreeSet::new(),
            held_before_change: 0,
            expiry: Expiry::default(),
            blocked: VecDeque::new(),
            unblock: VecDeque::new(),
            sweep: Sweep::default(),
            schedule: Schedule::new(),
            waits: Waits::new(),
            counts_of_waits: 0,
            suspends: Arc::default(),
            generation: 1,
            attempts: FxHashMap::default(),
            next_attempt: 0,
            counts: Counts::default(),
            writing: FxHashMap::default(),
            picks: PickCounts::default(),
            next_budget: limits::NEXT_BUDGET,
            options,
        }
    }

    /// Sets bounds anew (reload). Lower ones take effect as running attempts end.
    pub fn set_options(&mut self, options: Options) {
        let regroup = options.grouping != self.options.grouping;
        if options.split != self.options.split {
            self.sweep.request();
        }
        self.options = options;
        if regroup {
            self.set_suspends(Arc::clone(&self.suspends));
        }
    }

    /// Sets the transports (start and reload). Items of a transport that is no longer among them stay queued
    /// under its last known rules; items of a name never heard of get the defaults.
    pub fn set_transports(&mut self, transports: &[Transport]) {
        for transport in transports {
            self.transports.set(transport);
        }
        self.sweep.request();
    }

    /// Replaces the suspend rules. Items set aside under the old ones are looked at again in bounded chunks by
    /// the following calls of [`Queue::next`].
    pub fn set_suspends(&mut self, suspends: Arc<Suspends>) {
        self.suspends = suspends;
        self.generation = self.generation.wrapping_add(1);
        self.unblock.append(&mut self.blocked);
    }

    /// The rules in force, for [`Suspends::matches`] at connect time.
    pub fn suspends(&self) -> &Arc<Suspends> {
        &self.suspends
    }

    /// How many more items fit. Ask at MAIL, and before a message is made durable.
    pub fn room(&self) -> usize {
        self.options.max_items.saturating_sub(self.slots.len())
    }

    /// How many items are in which state.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Attempts now running.
    pub fn running(&self) -> u32 {
        self.attempts.len() as u32
    }

    /// Items waiting at `destination` (ACTIVE).
    pub fn waiting_for(&self, destination: &Destination) -> usize {
        let waiting = |line: u32| self.lines[line].ready.len() + self.lines[line].parked.len();
        self.lines_of(destination).into_iter().flatten().map(waiting).sum()
    }

    /// Queues an item: a new one, or one from recovery with its state. It is taken beyond [`Queue::room`], too: what is
    /// durable has been promised, and those who asked at the same moment all had the same answer. Names that are too long
    /// are cut.
    pub fn insert(&mut self, item: Item<'_>, entry: Entry, now_ms: u64) -> Result<(), Refused> {
        if item.is_too_long() {
            return Err(Refused::TooLong);
        }
        if self.find(item.key).is_some() {
            return Err(Refused::Duplicate);
        }
        let id = self.store(&item);
        self.enter(id, entry, now_ms);
        Ok(())
    }

    /// Keeps the item, in no list yet, as held.
    fn store(&mut self, item: &Item<'_>) -> u32 {
        let names = &mut self.names;
        let details = &item.details;
        let last = details.last.as_ref();
        let named = details.quotas.iter().enumerate();
        // It counts once in each.
        let named = named.filter(|(at, text)| !details.quotas[..*at].contains(text));
        let quotas: Vec<Name> =
            named.take(limits::QUOTAS).map(|(_, text)| names.acquire(name(text))).collect();
        let known = Known {
            domain: names.acquire(item.domain),
            sender_domain: item.sender_domain.map(|text| names.acquire(text)),
            job_id: item.job_id.map(|text| names.acquire(name(text))),
            tenant_id: item.tenant_id.map(|text| names.acquire(name(text))),
            origin: self.shared.origins.acquire_with(&details.origin, || details.origin.clone()),
            reason: last.map(|last| self.shared.reasons.acquire_with(&last.reason, || last.reason.clone())),
            tried_s: last.map_or(0, |last| seconds(last.at_ms)),
            transport: self.transports.number(item.transport),
            packed: Packed::new(item.sender, item.recipient, &quotas, details.metadata.iter().copied()),
        };
        let slot = Slot::new(item, known);
        for quota in quotas {
            self.quotas.entry(quota).or_default().add(slot.size_bytes());
        }
        let id = self.slots.insert(slot);
        let slots = &self.slots;
        self.by_key.insert(hash(&item.key), id, |id| hash(&slots[id].key()));
        self.counts.hold += 1;
        id
    }

    /// Moves a held item to where `entry` says.
    fn enter(&mut self, id: u32, entry: Entry, now_ms: u64) {
        match entry {
            Entry::Hold(reason) => self.put_on_hold(id, &reason),
            Entry::DeferUntil(at_ms) if at_ms > now_ms => self.defer(id, at_ms),
            Entry::DeferUntil(_) | Entry::Active => self.make_ready(id, End::Back),
        }
    }

    fn put_on_hold(&mut self, id: u32, reason: &str) {
        let reason = self.names.acquire(cut(reason, limits::REASON_BYTES));
        self.forget_reason(id);
        self.slots[id].hold_reason = Some(reason);
        self.set_place(id, Place::Held);
    }

    fn forget_reason(&mut self, id: u32) {
        if let Some(reason) = self.slots[id].hold_reason.take() {
            self.names.release(reason);
        }
    }

    /// Puts an item that is in no list into the schedule.
    fn defer(&mut self, id: u32, at_ms: u64) {
        let due = self.enter_schedule(id, at_ms);
        let line = self.slots[id].line;
        if self.schedule.push(&mut self.slots, due, line, id) {
            self.lines[line].buckets += 1;
        }
        self.set_place(id, Place::Deferred);
    }

    /// Notes when an item that is in no list will be due, and in which line.
    fn enter_schedule(&mut self, id: u32, at_ms: u64) -> u32 {
        self.forget_reason(id);
        let line = self.line_for(id);
        let due = bucket_of(at_ms);
        let slot = &mut self.slots[id];
        (slot.line, slot.due) = (line, due);
        due
    }

    /// Puts an item that is in no list into its line.
    fn make_ready(&mut self, id: u32, end: End) {
        self.forget_reason(id);
        let line = self.line_for(id);
        self.slots[id].line = line;
        let ready = &mut self.lines[line].ready;
        match end {
            End::Back => ready.push_back(&mut self.slots, id),
            End::Front => ready.push_front(&mut self.slots, id),
        }
        self.set_place(id, Place::Ready);
        self.offer(line);
    }

    /// Sets aside an item that is in no list until the rules change.
    fn park(&mut self, id: u32) {
        let line = self.line_for(id);
        self.slots[id].line = line;
        self.lines[line].parked.push_back(&mut self.slots, id);
        self.set_place(id, Place::Parked);
        self.block(line);
    }

    /// The one place where an item's place changes, so that the counts are right.
    fn set_place(&mut self, id: u32, place: Place) {
        let slot = &mut self.slots[id];
        let urgent = slot.urgent;
        let before = std::mem::replace(&mut slot.place, place);
        *self.counts.of(before) -= 1;
        *self.counts.of(place) += 1;
        if urgent {
            self.counts.urgent -= usize::from(before.is_active());
            self.counts.urgent += usize::from(place.is_active());
        }
    }

    /// Forgets an item that is in no list.
    fn discard(&mut self, id: u32) {
        let slot = self.slots.remove(id).expect("the caller names a present item");
        *self.counts.of(slot.place) -= 1;
        self.counts.urgent -= usize::from(slot.urgent && slot.place.is_active());
        self.by_key.remove(hash(&slot.key()), id);
        self.names.release(slot.domain);
        let names: [Option<Name>; 4] = [slot.sender_domain, slot.job_id, slot.tenant_id, slot.hold_reason];
        names.into_iter().flatten().for_each(|name| self.names.release(name));
        self.forget_details(&slot);
    }

    fn find(&self, key: ItemKey) -> Option<u32> {
        self.by_key.find(hash(&key), |id| self.slots[id].key() == key)
    }
}

/// In seconds, within the range of a slot.
fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(u32::MAX)
}

/// Which end of a line.
#[derive(Clone, Copy)]
enum End {
    Front,
    Back,
}

impl Counts {
    fn of(&mut self, place: Place) -> &mut usize {
        match place {
            Place::Ready | Place::Parked => &mut self.active,
            Place::Deferred | Place::Waiting(_) => &mut self.defer,
            Place::Held => &mut self.hold,
            Place::Sending | Place::InHand => &mut self.sending,
        }
    }
}

impl Item<'_> {
    fn is_too_long(&self) -> bool {
        let names = [Some(self.domain), Some(self.transport), self.sender_domain];
        self.sender.len() > limits::ADDRESS_BYTES
            || self.recipient.len() > limits::ADDRESS_BYTES
            || names.into_iter().flatten().any(|name| name.len() > limits::NAME_BYTES)
    }
}

/// Hash of our own numbers: nobody outside chooses them.
fn hash(value: &impl std::hash::Hash) -> u64 {
    use std::hash::BuildHasher;
    rustc_hash::FxBuildHasher.hash_one(value)
}

/// A name of somebody's choice, as it is kept.
fn name(text: &str) -> &str {
    cut(text, limits::NAME_BYTES)
}

/// At most `bytes` bytes of `text`, whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
