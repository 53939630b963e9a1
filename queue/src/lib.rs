//! Who goes next: the index of queued recipients of one shard, the retry schedule, lines per destination with
//! fair pick-up, and suspends.
//!
//! Pure: the time is an argument, nothing here does I/O or draws random numbers. One [`Queue`] per shard.
//!
//! * [`Queue`]: everything. [`Item`] goes in with an [`Entry`] state, an [`Attempt`] comes out of
//!   [`Queue::next`], its [`Outcome`]s go into [`Queue::report`], which answers with the [`Change`]s to be made
//!   durable.
//! * [`Transport`], [`RetryPolicy`]: what a transport says about lines, limits and retries, as data.
//! * [`Suspends`], [`Rule`], [`Facts`]: rules that stop pick-up.
//!
//! All times are milliseconds since the Unix epoch, because they end up in durable records.
//!
//! ```ignore
//! let mut queue = Queue::new(Options::default());
//! queue.set_transports(&[Transport { name: "mx".into(), ..Transport::default() }]);
//! queue.insert(item, Entry::Active, now_ms)?;
//! while let Some(attempt) = queue.next(now_ms) {
//!     // deliver it, then:
//!     let changes = queue.report(attempt.id, vec![Outcome::Delivered], now_ms);
//!     // settle `changes` in the spool, then take queue.next_for(&attempt.destination, now_ms) on the same connection
//! }
//! // sleep until queue.next_wakeup(), an insert, or a report
//! ```
#![allow(clippy::todo, unused)] // SKELETON: goes away with the first real bodies

mod attempt;
mod item;
pub mod limits;
mod queue;
mod retry;
mod suspend;

pub use attempt::{Attempt, AttemptId, Change, Destination, HoldCause, Lines, Outcome, Reason, Recipient};
pub use item::{Counts, Entry, Item, ItemKey, ItemView, MessageKey, Refused, State};
pub use queue::{Cursor, GroupingAtPickup, OperationError, Options, Queue, Transport};
pub use retry::RetryPolicy;
pub use suspend::{Facts, Field, List, Rule, RuleError, Suspends};
