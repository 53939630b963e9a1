//! An attempt on its way, with what its predelivery scripts have said about it.

use std::rc::Rc;
use std::sync::Arc;

use hooks::{GivenParameters, Kept};
use queue::Attempt;

use super::wishes::{Readdressed, Wishes};

/// An attempt that is ready to be carried out.
#[derive(Debug)]
pub(crate) struct Errand {
    /// The attempt, with the recipients that are tried.
    pub(crate) attempt: Attempt,
    /// What is different for all of them.
    pub(crate) wishes: Rc<Wishes>,
    /// What scripts have said about each, in the order of the attempt; empty: nothing about anybody.
    pub(crate) said: Vec<Said>,
    /// Its scripts were asked.
    pub(crate) prepared: bool,
    /// It was given to a lane whose connection leads to its host.
    pub(crate) matched: bool,
}

/// What scripts have said about one recipient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// Another envelope recipient.
    pub(crate) readdressed: Option<Box<Readdressed>>,
    /// `$context`, for postdelivery.
    pub(crate) kept: Kept,
    /// What a script had it given back with, as JSON.
    pub(crate) returned: Option<Arc<str>>,
}

impl Errand {
    /// Of an attempt that nobody has said anything about yet.
    pub(crate) fn fresh(attempt: Attempt) -> Errand {
        Errand { attempt, wishes: Wishes::none(), said: Vec::new(), prepared: false, matched: false }
    }

    /// The same with the first recipients only.
    pub(crate) fn first(&self, count: usize) -> Errand {
        let recipients = self.attempt.recipients.iter().take(count).cloned().collect();
        Errand {
            attempt: Attempt { recipients, ..self.attempt.clone() },
            wishes: Rc::clone(&self.wishes),
            said: self.said.iter().take(count).cloned().collect(),
            prepared: self.prepared,
            matched: self.matched,
        }
    }

    /// Its scripts want this for all of its recipients.
    pub(super) fn try_as(&mut self, wishes: Rc<Wishes>) {
        if let Some(job_id) = &wishes.job_id {
            self.attempt.job_id = Some(job_id.as_str().into());
        }
        self.wishes = wishes;
    }

    /// What was said about the recipient of this index.
    pub(crate) fn said(&self, index: usize) -> Option<&Said> {
        self.said.get(index)
    }

    /// What scripts say for the recipient of this index instead of what came with the message.
    pub(crate) fn given(&self, index: usize) -> GivenParameters {
        self.wishes.given(self.readdressed(index))
    }

    /// The other envelope recipient of this index, if it has one.
    pub(crate) fn readdressed(&self, index: usize) -> Option<&Readdressed> {
        self.said(index)?.readdressed.as_deref()
    }
}
