//! One shard's context, and the one cell that says which shard runs now on this thread.
//!
//! A loop turn is: [`Shard::begin_turn`] (clock, mesh, wheel), [`Shard::poll_ready`] (tasks within budget), then the
//! driver submits, waits until [`Shard::next_deadline`], and delivers completions with [`Shard::complete`].
//! `boot` does that with the uring driver on a thread per shard; the simulator does it for many shards on one thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::boot::ShardId;
use crate::driver::Driver;
use crate::mesh::Grid;
use crate::op::table::{Effects, OpTable};
use crate::op::{Item, Op, OpId, Reply};
use crate::time::Instant;

thread_local! {
    /// The shard whose code runs now. The only thread-local of the workspace. The pointer is valid while set:
    /// [`Shard::enter`] borrows the shard for as long.
    static CURRENT: Cell<*const Shard> = const { Cell::new(std::ptr::null()) };
}

/// What the threads of one process share. The control thread is number `shards`.
pub(crate) struct Process {
    pub(crate) shards: u16,
    pub(crate) grid: Grid,
}

impl Process {
    /// A process of `shards` shards and a control thread.
    pub(crate) fn new(shards: u16) -> Arc<Process> {
        todo!()
    }
}

/// All that belongs to one shard (or the control thread).
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) process: Arc<Process>,
    pub(crate) driver: Driver,
    pub(crate) ops: RefCell<OpTable>,
}

impl Shard {
    /// A shard that stands on `driver`. `seed` seeds its random numbers.
    pub(crate) fn new(process: Arc<Process>, id: ShardId, driver: Driver, seed: [u8; 32]) -> Rc<Shard> {
        todo!()
    }
    /// Runs `f` as code of this shard (the cell points here meanwhile; nests).
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        todo!()
    }
    /// Starts the root task. Call inside [`Shard::enter`].
    pub(crate) fn start(&self, root: impl Future<Output = ()> + 'static) {
        todo!()
    }
    /// True when the root task has ended.
    pub(crate) fn root_ended(&self) -> bool {
        todo!()
    }
    /// Reads the clock, drains the mesh, fires the wheel. Inside `enter`.
    pub(crate) fn begin_turn(&self) {
        todo!()
    }
    /// Polls ready tasks, at most `limit` in all (the loop passes `usize::MAX`: the classes' budgets decide).
    /// Gives the number polled. Inside `enter`.
    pub(crate) fn poll_ready(&self, limit: usize) -> usize {
        todo!()
    }
    /// True when a task is ready, or a call has arrived: do not sleep.
    pub(crate) fn has_work(&self) -> bool {
        todo!()
    }
    /// Says that this shard goes to sleep (its peers then wake it), and gives false when work came in meanwhile.
    pub(crate) fn try_sleep(&self) -> bool {
        todo!()
    }
    /// The opposite of [`Shard::try_sleep`].
    pub(crate) fn awake(&self) {
        todo!()
    }
    /// When the wheel next has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        todo!()
    }
    /// Delivers a terminal completion. Inside `enter`. Stale ids are ignored.
    pub(crate) fn complete(&self, id: OpId, result: io::Result<Reply>) {
        todo!()
    }
    /// Delivers one item of a multishot operation. Inside `enter`.
    pub(crate) fn item(&self, id: OpId, item: Item) {
        todo!()
    }
    /// Calls wakers and drops what nobody waits for, with nothing borrowed.
    pub(crate) fn settle(&self, effects: Effects) {
        todo!()
    }
    /// Drops all tasks (their futures orphan their operations) and local values. Inside `enter`; the shard is
    /// of no use afterwards but to have the last completions delivered.
    pub(crate) fn clear(&self) {
        todo!()
    }
    /// Submits an operation: what the public types call.
    pub(crate) fn submit(&self, op: Op) -> OpId {
        todo!()
    }
}

/// Runs `f` with the current shard; panics outside the engine.
pub(crate) fn with<R>(f: impl FnOnce(&Shard) -> R) -> R {
    todo!()
}

/// Runs `f` with the current shard, if there is one.
pub(crate) fn try_with<R>(f: impl FnOnce(&Shard) -> R) -> Option<R> {
    todo!()
}

/// A descriptor was dropped.
pub(crate) fn close(raw: i32, simulated: bool) {
    todo!()
}
