//! What follows a write that failed: its segment takes no more, what must not be lost is written elsewhere, at once, and who
//! waits is told when it is certain what a later start will find. When that fails too, the store takes nothing more.

use std::rc::Rc;
use std::time::Duration;

use engine::time;

use crate::event::Event;
use crate::format::record::Cut;
use crate::intake::CommitError;
use crate::limits::UNHEALTHY_RETRY_MS;
use crate::segments::Purpose;
use crate::state::Phase;
use crate::stats::Admission;
use crate::store::Store;
use crate::writer::{Flight, Refusal};

impl Store {
    /// The batch is not on disk, or only a part of it: its segment takes no more.
    pub(crate) fn failed(self: &Rc<Self>, flight: Flight, error: &std::io::Error) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let kind = commit_error(error);
        if let Some(segment) = state.segments.get_mut(&flight.segment) {
            segment.failed = true;
            segment.phase = Phase::Sealed;
            let (log, sequence) = segment.key();
            state.cuts.push((flight.segment, Cut { log, segment: sequence, batches: flight.number }));
        }
        state.active = None;
        state.cuts.extend(flight.cuts);
        for pending in flight.settles.into_iter().rev() {
            state.settles.push_front(pending);
        }
        state.settle_since = Some(time::now());
        state.hurry = true;
        state.clean_wanted |= flight.clean;
        let count = flight.commits.len();
        // Their clients are told when it is certain that a later start will not find them.
        let refused = flight.commits.into_iter().map(|(commit, _, _)| commit.refused(kind.clone()));
        state.refused.extend(refused);
        for (body, _) in flight.bodies {
            drop(body.waiter.send(Err(kind.clone())));
        }
        for map in flight.maps {
            let _ = map.done.send(false);
        }
        drop(guard);
        (self.options.log)(&Event::WriteFailed {
            file: flight.hold.name.to_string(),
            error: error.to_string(),
            refused: count,
        });
        self.after_failure(error);
    }

    /// No segment could be made.
    pub(crate) fn cannot_write(self: &Rc<Self>, error: &std::io::Error) {
        (self.options.log)(&Event::Background { what: "making a segment", error: error.to_string() });
        self.after_failure(error);
    }

    /// One failure: write what must not be lost elsewhere, at once. Two: stop.
    fn after_failure(self: &Rc<Self>, error: &std::io::Error) {
        let mut state = self.state.borrow_mut();
        state.failures += 1;
        if state.failures < 2 {
            return;
        }
        state.retry_at = Some(time::now() + Duration::from_millis(UNHEALTHY_RETRY_MS));
        let new = state.admission != Admission::Unhealthy;
        state.admission = Admission::Unhealthy;
        let refused = std::mem::take(&mut state.refused);
        drop(state);
        refused.into_iter().for_each(Refusal::tell);
        self.refuse_queue(&CommitError::Unavailable);
        self.settled.wake();
        if new {
            (self.options.log)(&Event::Unhealthy { shard: self.shard, error: error.to_string() });
        }
    }

    /// Those who wait for the same, and those who may take less from the reserve.
    pub(crate) fn refuse_queue_of(&self, purpose: Purpose, error: &CommitError) {
        let queue = std::mem::take(&mut self.state.borrow_mut().queue);
        for request in queue {
            if purpose == Purpose::Commit && request.purpose() == Purpose::Report {
                self.state.borrow_mut().queue.push_back(request);
            } else {
                request.refuse(error.clone());
            }
        }
    }

    pub(crate) fn refuse_queue(&self, error: &CommitError) {
        let queue = std::mem::take(&mut self.state.borrow_mut().queue);
        for request in queue {
            request.refuse(error.clone());
        }
    }
}

pub(crate) fn commit_error(error: &std::io::Error) -> CommitError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => CommitError::DiskFull,
        _ => CommitError::Io(error.to_string()),
    }
}
