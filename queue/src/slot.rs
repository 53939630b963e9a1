//! An item as it is stored.

use std::sync::Arc;

use crate::details::Extra;
use crate::intern::Name;
use crate::item::{ItemKey, MessageKey};
use crate::queue::Half;

/// One queued recipient: 160 bytes, plus the two addresses and 5 to 9 bytes of index.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) log: u32,
    pub(crate) recipient_index: u32,
    pub(crate) sequence: u64,
    pub(crate) transaction: [u8; 16],
    pub(crate) sender: Arc<[u8]>,
    pub(crate) recipient: Box<[u8]>,
    pub(crate) size_bytes: u64,
    pub(crate) received_ms: u64,
    pub(crate) domain: Name,
    pub(crate) sender_domain: Option<Name>,
    pub(crate) job_id: Option<Name>,
    pub(crate) tenant_id: Option<Name>,
    /// Why it is held.
    pub(crate) hold_reason: Option<Name>,
    /// Where its message came from.
    pub(crate) origin: Name,
    /// What its last attempt came to.
    pub(crate) reason: Option<Name>,
    /// Where its last attempt, or the one that is running, went.
    pub(crate) link: Option<Name>,
    /// When its last attempt ended, or the one that is running began: seconds since the Unix epoch; 0: there was none.
    pub(crate) tried_s: u32,
    /// What few items have.
    pub(crate) extra: Option<Box<Extra>>,
    /// Number in the queue's table of transports.
    pub(crate) transport: u32,
    pub(crate) attempts: u32,
    /// When a deferred item comes due: number of its bucket.
    pub(crate) due: u32,
    /// Its line, while ready, parked, deferred or sending.
    pub(crate) line: u32,
    /// Neighbours in the list it is in.
    pub(crate) prev: u32,
    pub(crate) next: u32,
    pub(crate) flags: u16,
    /// What was split off an attempt with the same number may go in one again; 0: it was not split off.
    pub(crate) company: u16,
    pub(crate) place: Place,
    /// Reports in a row that did not count as an attempt.
    pub(crate) uncounted: u8,
    /// Goes before others of its destination.
    pub(crate) urgent: bool,
}

/// Which list an item is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `ready` of its line.
    Ready,
    /// `parked` of its line: suspended.
    Parked,
    /// The bucket (`due`, `line`) of the schedule.
    Deferred,
    /// The bucket (`due`, `line`) of what waits for us.
    Waiting(Half),
    /// None; waits for an operator.
    Held,
    /// The members of a running attempt.
    Sending,
    /// None; the caller deals with it.
    InHand,
}

/// Bits of [`Item::flags`](crate::Item::flags): an item with all of them set is alone in its attempts.
pub const ALONE: u16 = 0xff00;

impl Slot {
    pub(crate) fn key(&self) -> ItemKey {
        ItemKey { message: self.message(), recipient: self.recipient_index }
    }

    pub(crate) fn message(&self) -> MessageKey {
        MessageKey { log: self.log, sequence: self.sequence }
    }

    /// May go in the same attempt as `other`, of the same line.
    pub(crate) fn travels_with(&self, other: &Slot) -> bool {
        self.sequence == other.sequence
            && self.log == other.log
            && self.job_id == other.job_id
            && self.tenant_id == other.tenant_id
            && self.flags == other.flags
            && self.company == other.company
            && self.flags & ALONE != ALONE
            && self.sender == other.sender
    }
}
