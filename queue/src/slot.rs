//! An item as it is stored.

use crate::intern::Name;
use crate::item::{Item, ItemKey, MessageKey};
use crate::packed::Packed;
use crate::queue::Half;
use tables::slab::NIL;
use tables::u48::U48;

/// One queued recipient: 128 bytes, plus [`Packed`] and 6 to 9 bytes of index.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) log: u32,
    pub(crate) recipient_index: u32,
    pub(crate) sequence: u64,
    pub(crate) transaction: [u8; 16],
    /// Addresses, metadata, quotas.
    pub(crate) packed: Packed,
    size_bytes: U48,
    received_ms: U48,
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
    /// The last attempt that counted found no such domain.
    pub(crate) domain_missing: bool,
}

// At millions of items a word more is worth a thought.
const _: () = assert!(size_of::<Slot>() <= 128);

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

impl Place {
    /// ACTIVE.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Place::Ready | Place::Parked)
    }
}

/// Bits of [`Item::flags`](crate::Item::flags): an item with all of them set is alone in its attempts.
pub const ALONE: u16 = 0xff00;

/// What names and tables say of an item, for [`Slot::new`].
pub(crate) struct Known {
    pub(crate) domain: Name,
    pub(crate) sender_domain: Option<Name>,
    pub(crate) job_id: Option<Name>,
    pub(crate) tenant_id: Option<Name>,
    pub(crate) origin: Name,
    pub(crate) reason: Option<Name>,
    pub(crate) tried_s: u32,
    pub(crate) transport: u32,
    pub(crate) packed: Packed,
}

impl Slot {
    /// An item that is in no list yet: held.
    pub(crate) fn new(item: &Item<'_>, known: Known) -> Slot {
        let Known { domain, sender_domain, job_id, tenant_id, origin, reason, tried_s, transport, packed } =
            known;
        Slot {
            log: item.key.message.log,
            sequence: item.key.message.sequence,
            recipient_index: item.key.recipient,
            transaction: item.transaction,
            packed,
            size_bytes: U48::new(item.size_bytes),
            received_ms: U48::new(item.received_ms),
            domain,
            sender_domain,
            job_id,
            tenant_id,
            hold_reason: None,
            origin,
            reason,
            link: None,
            tried_s,
            transport,
            attempts: item.attempts,
            due: 0,
            line: NIL,
            prev: NIL,
            next: NIL,
            flags: item.flags,
            company: 0,
            place: Place::Held,
            uncounted: 0,
            urgent: item.priority > 0,
            domain_missing: false,
        }
    }

    /// Of the message.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes.get()
    }

    /// When the message was received, in milliseconds since the Unix epoch.
    pub(crate) fn received_ms(&self) -> u64 {
        self.received_ms.get()
    }

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
            && self.packed.sender() == other.packed.sender()
    }
}
