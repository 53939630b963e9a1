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
//! ```
//! use queue::{Change, Entry, Item, ItemKey, Options, Outcome, Queue, Transport};
//!
//! let mut queue = Queue::new(Options::default());
//! queue.set_transports(&[Transport { name: "mx".into(), ..Transport::default() }]);
//!
//! let mut now_ms = 1_700_000_000_000;
//! let item = Item {
//!     key: ItemKey::new(1, 42, 0),
//!     transaction: [0; 16],
//!     sender: b"kim@example.org",
//!     sender_domain: Some("example.org"),
//!     recipient: b"jo@example.com",
//!     domain: "example.com",
//!     transport: "mx",
//!     job_id: None,
//!     tenant_id: None,
//!     size_bytes: 2048,
//!     received_ms: now_ms,
//!     attempts: 0,
//!     flags: 0,
//!     priority: 0,
//!     details: queue::Details::default(),
//! };
//! queue.insert(item, Entry::Active, now_ms)?;
//!
//! // Deliver the attempt, then say what became of it, and settle the changes in the spool.
//! let attempt = queue.next(now_ms).expect("one item is due");
//! let changes = queue.report(attempt.id, vec![Outcome::Temporary("451 4.3.0 later".into())], now_ms);
//! let Change::RetryAt { at_ms, attempts: 1, .. } = changes[0] else { panic!() };
//! // More for the same connection?
//! assert!(queue.next_for(&attempt.destination, now_ms).is_none());
//!
//! // Sleep until an insert, a report, or this:
//! assert_eq!(queue.next_wakeup(), Some(at_ms));
//! now_ms = at_ms;
//! let attempt = queue.next(now_ms).expect("due again");
//! assert_eq!(queue.report(attempt.id, vec![Outcome::Delivered], now_ms).len(), 1);
//! # Ok::<(), queue::Refused>(())
//! ```

mod amend;
mod attempt;
mod details;
mod diagnosis;
pub mod filter;
mod intern;
mod item;
pub mod limits;
mod line;
mod list;
mod matching;
mod packed;
pub mod policy;
mod queue;
mod retry;
mod schedule;
mod slot;
mod suspend;
mod verdict;

pub use amend::{Amendment, MetadataChange};
pub use attempt::{
    Again, Attempt, AttemptId, Change, Destination, FailCause, Limited, LimitedBy, Lines, NotifyStep,
    Outcome, Recipient, Withheld,
};
pub use details::{Details, LastAttempt, Link, Metadata, Origin, QuotaUse, Quotas};
pub use diagnosis::{Diagnosis, EnhancedCode, Reason, Remote};
pub use item::{Counts, Entry, Item, ItemKey, ItemView, MessageKey, Refused, State, Waiting};
pub use line::Split;
pub use matching::{Facts, Field, List};
pub use queue::{
    Cursor, GroupingAtPickup, OperationError, Options, PickCounts, Queue, Settlement, Transport,
};
pub use retry::{After, RetryPolicy, RetryStep};
pub use slot::ALONE;
pub use suspend::{Rule, RuleError, Suspends};
