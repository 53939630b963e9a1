//! One shard's part of the spool.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::body::BodyReader;
use crate::intake::{Intake, Refused};
use crate::recovery::Recovery;
use crate::spool::{OpenError, Spool};
use crate::stats::{Admission, Stats};
use crate::types::{ItemId, MessageId, Settle};

/// One shard's store. Cheap calls, no locks: everything is on this shard.
#[derive(Debug)]
pub struct Store(());

/// The store could not write and is closing: whether it is durable is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// Ends when what it was returned for is durable. Dropping it changes nothing: the work goes on.
#[derive(Debug)]
pub struct Durable(());

impl Future for Durable {
    type Output = Result<(), Lost>;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}

impl Store {
    /// Opens the store of `shard` (below [`crate::Options::shards`]). Mail is accepted when it returns; found
    /// messages follow on [`Store::recovery`]. Once per shard.
    pub async fn open(spool: &Arc<Spool>, shard: u16) -> Result<Rc<Store>, OpenError> {
        todo!()
    }
    /// The messages found at start. Call once, and read it to its end beside everything else.
    pub fn recovery(&self) -> Recovery {
        todo!()
    }
    /// False until all found messages were given out by [`Store::recovery`].
    pub fn is_loaded(&self) -> bool {
        todo!()
    }
    /// Starts a message of about `expected_bytes` (SIZE=), if known.
    pub fn begin(self: &Rc<Self>, expected_bytes: Option<u64>) -> Result<Intake, Refused> {
        todo!()
    }
    /// Changes the state of items; in force at once, on disk with the next batch, at most 20 ms later. Unknown items
    /// (already done) are ignored. The future may be dropped. Nothing is lost by a failed write: it is written again.
    pub fn settle(self: &Rc<Self>, changes: Vec<(ItemId, Settle)>) -> Durable {
        todo!()
    }
    /// Says that an attempt for these items starts, so that a message which was in flight at two consecutive aborts
    /// can be put on hold. `None`: go ahead (the mark is written lazily, and not at all when the attempt is
    /// settled soon). Some: wait for it first; only after an abort.
    pub fn attempt(self: &Rc<Self>, items: &[ItemId]) -> Option<Durable> {
        todo!()
    }
    /// Reads a message.
    pub fn body(self: &Rc<Self>, id: MessageId) -> BodyReader {
        todo!()
    }
    /// The first attempt for the message has ended: its body need not be in memory any more.
    pub fn release_body(&self, id: MessageId) {
        todo!()
    }
    /// Whether mail is accepted, and work should be picked up.
    pub fn admission(&self) -> Admission {
        todo!()
    }
    /// Counters.
    pub fn stats(&self) -> Stats {
        todo!()
    }
    /// Stops intake, makes all settles durable, marks the shutdown as clean. Error when they could not be written.
    pub async fn close(&self) -> Result<(), Lost> {
        todo!()
    }
}
