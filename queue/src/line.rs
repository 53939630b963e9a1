//! Lines: the items of one destination, in order.

use std::collections::VecDeque;

use crate::attempt::LimitedBy;
use crate::intern::Name;
use crate::list::List;

/// What makes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LineKey {
    /// Number in the table of transports.
    pub(crate) transport: u32,
    /// By what else it is split.
    pub(crate) split: Split,
    /// The recipient domain, or all of them.
    pub(crate) domain: Option<Name>,
    /// The job, where it is split by that and there is one.
    pub(crate) job_id: Option<Name>,
    /// The tenant, likewise.
    pub(crate) tenant_id: Option<Name>,
    /// Goes before the other line of its kind.
    pub(crate) urgent: bool,
}

impl LineKey {
    /// What shares the limit of attempts at once: the line as the transport has it.
    pub(crate) fn group(&self) -> GroupKey {
        GroupKey { transport: self.transport, domain: self.domain.filter(|_| self.per_domain()) }
    }

    /// The transport has a line per domain; a line that is split by it is another thing.
    fn per_domain(&self) -> bool {
        !self.split.domain
    }
}

/// By what lines are split further, so that what policies hold back holds up nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Split {
    /// By recipient domain, where the transport has one line for all.
    pub domain: bool,
    /// By job.
    pub job_id: bool,
    /// By tenant.
    pub tenant_id: bool,
}

/// Lines that share a limit of attempts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupKey {
    pub(crate) transport: u32,
    pub(crate) domain: Option<Name>,
}

/// How such lines stand. It exists while attempts run or lines wait.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Attempts running.
    pub(crate) running: u32,
    /// Lines that wait for one of them to end.
    pub(crate) waiting: VecDeque<u32>,
}

/// Policies hold a line back.
#[derive(Debug)]
pub(crate) struct Held {
    /// What it waits for.
    pub(crate) by: Vec<LimitedBy>,
    /// Its place among those that a counter holds back: when its oldest message was received, as far as is known there.
    pub(crate) oldest_ms: u64,
    /// When it is looked at again in any case.
    pub(crate) until_ms: u64,
    /// Attempts that may be made nevertheless, since something has changed.
    pub(crate) allowed: u32,
}

/// A line exists while it has items or attempts: about 200 bytes.
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
    /// It stands among those of its group that wait for an attempt to end.
    pub(crate) in_group: bool,
    /// What policies hold it back.
    pub(crate) held: Option<Box<Held>>,
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
            in_group: false,
            held: None,
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
