//! The queue of one shard.

use std::sync::Arc;

use crate::attempt::{Attempt, AttemptId, Change, Destination, Lines, Outcome};
use crate::item::{Counts, Entry, Item, ItemKey, ItemView, Refused};
use crate::limits;
use crate::retry::RetryPolicy;
use crate::suspend::Suspends;

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

/// What the queue knows of a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its name.
    pub name: String,
    /// How its items are put into lines.
    pub lines: Lines,
    /// Most attempts at once for one line.
    pub concurrency: u32,
    /// When to retry.
    pub retry: RetryPolicy,
}

/// Where a [`Queue::scan`] goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(crate) u32);

/// Why an operation on one item was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationError {
    /// No such item: delivered or removed meanwhile.
    NotFound,
    /// It is being sent; bulk updates leave such items alone.
    Sending,
}

/// The index, lines and schedule of one shard. See the crate documentation.
#[derive(Debug)]
pub struct Queue {}

impl Queue {
    /// An empty queue.
    pub fn new(options: Options) -> Queue {
        todo!()
    }

    /// Sets bounds anew (reload). Lower ones take effect as running attempts end.
    pub fn set_options(&mut self, options: Options) {
        todo!()
    }

    /// Sets the transports (start and reload). Items of a transport that is no longer among them stay queued
    /// under its last known rules; items of a name never heard of get the defaults.
    pub fn set_transports(&mut self, transports: &[Transport]) {
        todo!()
    }

    /// Replaces the suspend rules. Items set aside under the old ones are looked at again in bounded chunks by
    /// the following calls of [`Queue::next`].
    pub fn set_suspends(&mut self, suspends: Arc<Suspends>) {
        todo!()
    }

    /// The rules in force, for [`Suspends::matches`] at connect time.
    pub fn suspends(&self) -> &Arc<Suspends> {
        todo!()
    }

    /// How many more items fit. Ask at MAIL.
    pub fn room(&self) -> usize {
        todo!()
    }

    /// Queues an item: a new one, or one from recovery with its state.
    pub fn insert(&mut self, item: Item<'_>, entry: Entry, now_ms: u64) -> Result<(), Refused> {
        todo!()
    }

    /// The next attempt that is due and permitted; its items become SENDING. Destinations take turns.
    /// `None`: nothing for now; ask again after the next insert or report, when the rules change, or at
    /// [`Queue::next_wakeup`].
    pub fn next(&mut self, now_ms: u64) -> Option<Attempt> {
        todo!()
    }

    /// The next attempt for `destination`, so that a connection is used again while messages wait.
    /// Report the attempt before it first. `None` also when other destinations have waited long enough for
    /// the last free attempts.
    pub fn next_for(&mut self, destination: &Destination, now_ms: u64) -> Option<Attempt> {
        todo!()
    }

    /// When to call [`Queue::next`] again if nothing else happens (milliseconds since the Unix epoch);
    /// a time that has passed means at once, after letting others run. `None`: only an insert, a report or
    /// new rules can make something due.
    pub fn next_wakeup(&self) -> Option<u64> {
        todo!()
    }

    /// Ends an attempt. `outcomes` are in the order of [`Attempt::recipients`]; missing ones count as
    /// [`Outcome::NotTried`]. Returns what has to be made durable. An id that is not running gives nothing.
    pub fn report(&mut self, id: AttemptId, outcomes: Vec<Outcome>, now_ms: u64) -> Vec<Change> {
        todo!()
    }

    /// How many items are in which state.
    pub fn counts(&self) -> Counts {
        todo!()
    }

    /// Attempts now running.
    pub fn running(&self) -> u32 {
        todo!()
    }

    /// Items waiting at `destination` (ACTIVE).
    pub fn waiting_for(&self, destination: &Destination) -> usize {
        todo!()
    }

    /// One item.
    pub fn get(&self, key: ItemKey) -> Option<ItemView<'_>> {
        todo!()
    }

    /// Visits up to [`limits::SCAN_CHUNK`] items from `from` on, in no particular order but each at most once
    /// over a whole scan (an item that is inserted during it may be missed). Returns where to go on; `None`
    /// at the end. Start with `Cursor::default()`.
    pub fn scan(&self, from: Cursor, visit: impl FnMut(ItemView<'_>)) -> Option<Cursor> {
        todo!()
    }

    /// Takes an item out of the queue.
    pub fn remove(&mut self, key: ItemKey) -> Result<Change, OperationError> {
        todo!()
    }

    /// Puts an item on hold.
    pub fn hold(&mut self, key: ItemKey, reason: &str) -> Result<Change, OperationError> {
        todo!()
    }

    /// Makes a deferred or held item due now.
    pub fn activate(&mut self, key: ItemKey, now_ms: u64) -> Result<Change, OperationError> {
        todo!()
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_items: limits::MAX_ITEMS,
            total_concurrency: limits::TOTAL_CONCURRENCY,
            max_attempt_recipients: limits::MAX_ATTEMPT_RECIPIENTS,
            grouping: GroupingAtPickup::default(),
        }
    }
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
