//! What is queued: one recipient of one message.

use std::sync::Arc;

use crate::attempt::LimitedBy;
use crate::details::{Details, Link, Metadata, Origin, Quotas};
use crate::diagnosis::Reason;
use crate::queue::Queue;
use crate::slot::Slot;

/// A message as the spool names it: log and sequence number, as plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// The log that holds the message.
    pub log: u32,
    /// Its sequence number there.
    pub sequence: u64,
}

/// One recipient of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// The message.
    pub message: MessageKey,
    /// Index of the recipient in its envelope.
    pub recipient: u32,
}

impl ItemKey {
    /// From the three numbers.
    pub fn new(log: u32, sequence: u64, recipient: u32) -> ItemKey {
        ItemKey { message: MessageKey { log, sequence }, recipient }
    }
}

/// A recipient to be queued. Names are copied into an interner; items never hold an index into a
/// configuration snapshot, so a reload cannot invalidate them.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// Who this is.
    pub key: ItemKey,
    /// Uuid of the transaction that brought the message: what log lines and listings name it by.
    pub transaction: [u8; 16],
    /// Envelope sender without angle brackets; empty for the null sender.
    pub sender: &'a [u8],
    /// Domain of the sender in lower case, if it has one (for listing).
    pub sender_domain: Option<&'a str>,
    /// Envelope recipient without angle brackets, as received.
    pub recipient: &'a [u8],
    /// Domain of the recipient: A-label form, lower case, no trailing dot; or an address literal in brackets.
    pub domain: &'a str,
    /// Name of the transport.
    pub transport: &'a str,
    /// Job id, if any.
    pub job_id: Option<&'a str>,
    /// Tenant id, if any.
    pub tenant_id: Option<&'a str>,
    /// Size of the message.
    pub size_bytes: u64,
    /// When the message was received, in milliseconds since the Unix epoch: retry ages count from here.
    pub received_ms: u64,
    /// Attempts behind the item (`retry` of hooks 5.3): 0 for a new one.
    pub attempts: u32,
    /// Carried to the attempt unchanged: body type, SMTPUTF8 and the like. Items with other flags are not in one attempt;
    /// beyond that, and [`ALONE`](crate::ALONE), this crate does not look at them.
    pub flags: u16,
    /// 1: goes before those with 0. Higher ones count as 1.
    pub priority: u8,
    /// What listings and filters know of it.
    pub details: Details<'a>,
}

/// Where an item enters the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Due at once.
    Active,
    /// Due at this time (milliseconds since the Unix epoch); in the past: at once.
    DeferUntil(u64),
    /// Held until an operator lets it go, with the reason that is shown.
    Hold(Arc<str>),
}

/// State of a queued item (hooks 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Due; waits for its turn, a free attempt, or the end of a suspend.
    Active,
    /// Due later.
    Defer {
        /// When it comes due, in milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// Until released.
    Hold,
    /// In a running attempt.
    Sending,
    /// Failed for good or taken by an operator, and being dealt with.
    InHand,
}

/// What a queued item waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting<'a> {
    /// Nothing: it is being sent or dealt with, or its turn comes.
    Nothing,
    /// The time of its next try.
    Time {
        /// Milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// The end of a pause that did not count as a try: its hosts are parked, mostly.
    Parked {
        /// Milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// The end of a fault on our side, at most until then.
    LocalFault {
        /// Milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// A suspend rule.
    Suspend {
        /// Which one, where it can be told without hosts and addresses.
        rule: Option<usize>,
    },
    /// A counter of a policy.
    Policy(&'a LimitedBy),
    /// An attempt of its destination to end: as many run as may.
    Attempts,
    /// Somebody to release it.
    Release,
}

/// How many items are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// ACTIVE.
    pub active: usize,
    /// Those of them that go before others.
    pub urgent: usize,
    /// DEFER.
    pub defer: usize,
    /// HOLD.
    pub hold: usize,
    /// SENDING and UNKNOWN: in a running attempt, or being dealt with.
    pub sending: usize,
}

impl Counts {
    /// All items.
    pub fn total(&self) -> usize {
        self.active + self.defer + self.hold + self.sending
    }
}

/// Why [`crate::Queue::insert`] did not take an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An item with this key is queued already: the caller inserted it twice.
    Duplicate,
    /// An address is longer than `limits` allows.
    TooLong,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refused::Duplicate => "an item with this key is queued already",
            Refused::TooLong => "an address is too long for the queue index",
        })
    }
}

impl std::error::Error for Refused {}

/// A queued item as [`crate::Queue::scan`] and [`crate::Queue::get`] show it.
#[derive(Clone, Copy, Debug)]
pub struct ItemView<'a> {
    /// Who this is.
    pub key: ItemKey,
    /// Uuid of the transaction.
    pub transaction: [u8; 16],
    /// State now.
    pub state: State,
    /// Envelope sender.
    pub sender: &'a [u8],
    /// Domain of the sender.
    pub sender_domain: Option<&'a str>,
    /// Envelope recipient.
    pub recipient: &'a [u8],
    /// Domain of the recipient.
    pub domain: &'a str,
    /// Transport.
    pub transport: &'a str,
    /// Job id.
    pub job_id: Option<&'a str>,
    /// Tenant id.
    pub tenant_id: Option<&'a str>,
    /// Size of the message.
    pub size_bytes: u64,
    /// When the message was received.
    pub received_ms: u64,
    /// Attempts behind the item.
    pub attempts: u32,
    /// Goes before others of its destination.
    pub urgent: bool,
    /// Why it is held, when it is.
    pub hold_reason: Option<&'a str>,
    /// Where its message came from.
    pub origin: &'a Origin,
    /// What its last attempt came to; `None`: there was none.
    pub reason: Option<&'a Reason>,
    /// Where its last attempt, or the one that is running, went.
    pub link: Option<&'a Link>,
    /// When its last attempt ended, or the one that is running began: to the second, in milliseconds since the Unix
    /// epoch.
    pub tried_ms: Option<u64>,
    /// Its metadata.
    pub metadata: Metadata<'a>,
    /// Quotas that it counts for.
    pub quotas: Quotas<'a>,
    pub(crate) within: Within<'a>,
}

impl<'a> ItemView<'a> {
    /// What it waits for.
    pub fn waiting(&self) -> Waiting<'a> {
        self.within.queue.waiting(self.within.slot)
    }

    /// Whether an update of it is being written to disk.
    pub fn is_writing(&self) -> bool {
        self.within.queue.is_writing(self.key)
    }
}

/// Where an item stands, for what few want to know of it.
#[derive(Clone, Copy)]
pub(crate) struct Within<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) slot: &'a Slot,
}

impl std::fmt::Debug for Within<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}
