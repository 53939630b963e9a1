//! Lines: the items of one destination, in order.

use crate::intern::Name;
use crate::list::List;

/// What makes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LineKey {
    /// Number in the table of transports.
    pub(crate) transport: u32,
    /// The recipient domain, or all of them.
    pub(crate) domain: Option<Name>,
}

/// A line exists while it has items or attempts: about 100 bytes.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) key: LineKey,
    /// Due, first in first out.
    pub(crate) ready: List,
    /// Due, but a suspend matched the item itself.
    pub(crate) parked: List,
    /// Attempts running.
    pub(crate) running: u32,
    /// Buckets of the schedule that belong to it.
    pub(crate) buckets: u32,
    /// Attempts taken by `next_for` in a row while others waited.
    pub(crate) streak: u32,
    /// Which rules it was last compared with, as a whole.
    pub(crate) compared: u32,
    /// What came out: a rule stops the whole line.
    pub(crate) suspended: bool,
    /// It stands in the ring.
    pub(crate) in_ring: bool,
    /// It is to be looked at when the rules change (it is suspended, or has parked items).
    pub(crate) blocked: bool,
    /// The rules have changed, and its parked items are on their way back: not picked from meanwhile.
    pub(crate) unblocking: bool,
}

impl Line {
    pub(crate) fn new(key: LineKey) -> Line {
        Line {
            key,
            ready: List::new(),
            parked: List::new(),
            running: 0,
            buckets: 0,
            streak: 0,
            compared: 0,
            suspended: false,
            in_ring: false,
            blocked: false,
            unblocking: false,
        }
    }

    /// Nothing refers to it any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty()
            && self.parked.is_empty()
            && self.running == 0
            && self.buckets == 0
            && !self.in_ring
            && !self.blocked
            && !self.unblocking
    }
}
