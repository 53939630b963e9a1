//! One shard's context, and the one cell that says which shard runs now on this thread.
//!
//! A loop turn is: [`Shard::begin_turn`] (clock, mesh, wheel), [`Shard::poll_ready`] (tasks within budget), then the
//! driver submits, waits until [`Shard::next_deadline`], and delivers completions with [`Shard::complete`].
//! `boot` does that with the uring driver on a thread per shard; the simulator does it for many shards on one thread.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::boot::ShardId;
use crate::buf::Pool;
use crate::driver::Driver;
use crate::mesh::MeshPort;
use crate::op::table::{Effects, OpTable};
use crate::op::{Item, Op, OpId, Reply};
use crate::rng::Rng;
use crate::stats::Counters;
use crate::task::executor::Executor;
use crate::task::{Class, Task, spawn, waker};
use crate::time::{Instant, TICK_NS};
use crate::wheel::Wheel;

pub(crate) mod attention;
pub(crate) mod process;
pub(crate) use process::{Done, Letter, Mailbox, Process};

thread_local! {
    /// The shard whose code runs now. The only thread-local of the workspace. The pointer is valid while set:
    /// [`Shard::enter`] borrows the shard for as long.
    static CURRENT: Cell<*const Shard> = const { Cell::new(std::ptr::null()) };
}

/// All that belongs to one shard (or the control thread).
pub(crate) struct Shard {
    pub(crate) id: ShardId,
    pub(crate) process: Arc<Process>,
    pub(crate) ops: RefCell<OpTable>,
    pub(crate) executor: Executor,
    pub(crate) wheel: RefCell<Wheel>,
    pub(crate) mesh: MeshPort,
    pub(crate) rng: RefCell<Rng>,
    pub(crate) pool: Pool,
    pub(crate) locals: RefCell<Vec<(TypeId, Rc<dyn Any>)>>,
    root: RefCell<Option<Task<()>>>,
    now: Cell<Instant>,
    /// What the present turn takes is counted already: it ended in a wait.
    counted: Cell<bool>,
    wall_us: Cell<Option<u64>>,
    /// Wall time less monotonic time when the shard came to be, in microseconds.
    epoch_us: u64,
    /// Those to wake at the start of the next turn.
    next_turn: RefCell<Vec<Waker>>,
    /// Scratch of `begin_turn`.
    fired: RefCell<Vec<Waker>>,
    /// Last, so that it outlives what may hold descriptors.
    pub(crate) driver: Driver,
}

impl Shard {
    /// A shard that stands on `driver`. `seed` seeds its random numbers.
    pub(crate) fn new(process: Arc<Process>, id: ShardId, driver: Driver, seed: [u8; 32]) -> Rc<Shard> {
        let now = driver.now();
        let executor = Executor::new(waker::register(process.mailboxes[usize::from(id.0)].clone()));
        let mesh = MeshPort::new(process.threads());
        Rc::new(Shard {
            id,
            ops: RefCell::default(),
            executor,
            wheel: RefCell::new(Wheel::new(now.0 / TICK_NS)),
            mesh,
            rng: RefCell::new(Rng::new(seed)),
            pool: Pool::default(),
            locals: RefCell::default(),
            root: RefCell::default(),
            now: Cell::new(now),
            counted: Cell::new(true),
            wall_us: Cell::new(None),
            epoch_us: driver.wall_us().saturating_sub(now.0 / 1000),
            next_turn: RefCell::default(),
            fired: RefCell::default(),
            process,
            driver,
        })
    }

    /// Runs `f` as code of this shard (the cell points here meanwhile; nests).
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Restore(*const Shard);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _restore = Restore(CURRENT.replace(self));
        f()
    }

    /// Starts the root task. Call inside [`Shard::enter`].
    pub(crate) fn start(&self, root: impl Future<Output = ()> + 'static) {
        *self.root.borrow_mut() = Some(spawn(Class::Interactive, root));
    }

    /// True when the root task has ended.
    pub(crate) fn root_ended(&self) -> bool {
        self.root.borrow().as_ref().is_some_and(Task::is_finished)
    }

    /// Reads the clock, drains the mesh, fires the wheel. Inside `enter`.
    pub(crate) fn begin_turn(&self) {
        let before = self.now.replace(self.driver.now());
        if !self.counted.replace(false) {
            self.count_turn(before, self.now.get());
        }
        self.wall_us.set(None);
        let mailbox = self.mailbox();
        for letter in mailbox.take_letters() {
            match letter {
                Letter::Wake(task) => self.executor.wake(task),
                Letter::Done(op, done) => self.driver.done(self, op, done),
            }
        }
        self.mesh.drain(self);
        let mut fired = self.fired.take();
        self.wheel.borrow_mut().advance(self.now.get().0 / TICK_NS, &mut fired);
        fired.append(&mut self.next_turn.borrow_mut());
        fired.drain(..).for_each(Waker::wake);
        *self.fired.borrow_mut() = fired;
        Counters::add(&self.counters().turns, 1);
    }

    /// Polls ready tasks, at most `limit` in all (the loop passes `usize::MAX`: the classes' budgets decide).
    /// Gives the number polled. Inside `enter`.
    pub(crate) fn poll_ready(&self, limit: usize) -> usize {
        let polls = self.executor.poll_ready(limit);
        Counters::add(&self.counters().polls, polls as u64);
        polls
    }

    /// True when a task is ready, or a call or letter has arrived: do not sleep.
    pub(crate) fn has_work(&self) -> bool {
        self.has_ready() || self.mailbox().attention.is_marked()
    }

    /// Says that this shard goes to sleep (its peers then wake it), and gives false when work came in meanwhile.
    pub(crate) fn try_sleep(&self) -> bool {
        let sleeps = !self.has_ready() && self.mailbox().attention.try_sleep();
        if sleeps {
            self.counted.set(true);
            self.count_turn(self.now.get(), self.driver.now());
        }
        sleeps
    }

    fn count_turn(&self, from: Instant, to: Instant) {
        self.counters().loop_us.record((to.0.saturating_sub(from.0)) / 1000);
    }

    fn has_ready(&self) -> bool {
        self.executor.has_ready() || !self.next_turn.borrow().is_empty()
    }

    pub(crate) fn wake_next_turn(&self, waker: Waker) {
        self.next_turn.borrow_mut().push(waker);
    }

    /// The opposite of [`Shard::try_sleep`].
    pub(crate) fn awake(&self) {
        self.mailbox().attention.awake();
    }

    /// When the wheel next has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.wheel.borrow().next_tick().map(|tick| Instant(tick.saturating_mul(TICK_NS)))
    }

    /// Delivers a terminal completion. Inside `enter`. Stale ids are ignored.
    pub(crate) fn complete(&self, id: OpId, result: io::Result<Reply>) {
        let mut effects = Effects::default();
        self.ops.borrow_mut().complete(id, result, &mut effects);
        self.settle(effects);
    }

    /// Delivers one item of a multishot operation. Inside `enter`.
    pub(crate) fn item(&self, id: OpId, item: Item) {
        let mut effects = Effects::default();
        self.ops.borrow_mut().item(id, item, &mut effects);
        self.settle(effects);
    }

    /// Calls wakers and drops what nobody waits for, with nothing borrowed.
    pub(crate) fn settle(&self, effects: Effects) {
        effects.wakers.into_iter().for_each(Waker::wake);
        drop(effects.garbage);
    }

    /// Drops all tasks (their futures orphan their operations) and local values. Inside `enter`; the shard is
    /// of no use afterwards but to have the last completions delivered, and calls answered with Gone.
    pub(crate) fn clear(&self) {
        self.executor.clear();
        drop(self.locals.take());
        // Local values may have started or woken tasks while they went.
        self.executor.clear();
    }

    /// Submits an operation: what the public types call.
    pub(crate) fn submit(&self, op: Op) -> OpId {
        Counters::add(&self.counters().ops, 1);
        let id = self.ops.borrow_mut().insert(op);
        self.driver.submit(self, id);
        id
    }

    /// The future that waited for `id` is gone.
    pub(crate) fn orphan(&self, id: OpId) {
        let mut effects = Effects::default();
        if self.ops.borrow_mut().orphan(id, &mut effects) {
            self.driver.cancel(self, id);
        }
        self.settle(effects);
    }

    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    /// Microseconds since the Unix epoch by the clock as it was when the shard came to be.
    pub(crate) fn steady_us(&self) -> u64 {
        self.epoch_us + self.now.get().0 / 1000
    }

    pub(crate) fn wall_us(&self) -> u64 {
        self.wall_us.get().unwrap_or_else(|| {
            let wall_us = self.driver.wall_us();
            self.wall_us.set(Some(wall_us));
            wall_us
        })
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.process.counters[usize::from(self.id.0)]
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.process.mailboxes[usize::from(self.id.0)]
    }

    pub(crate) fn mailbox_arc(&self) -> Arc<Mailbox> {
        self.process.mailboxes[usize::from(self.id.0)].clone()
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        waker::unregister(self.executor.id());
    }
}

/// Runs `f` with the current shard; panics outside the engine.
pub(crate) fn with<R>(f: impl FnOnce(&Shard) -> R) -> R {
    try_with(f).expect("this runs on a shard or the control thread of the engine")
}

/// Runs `f` with the current shard, if there is one.
pub(crate) fn try_with<R>(f: impl FnOnce(&Shard) -> R) -> Option<R> {
    let current = CURRENT.try_with(Cell::get).unwrap_or(std::ptr::null());
    // SAFETY: `enter` sets the cell to a shard it borrows, and restores it before that borrow ends; the
    // reference given to `f` cannot leave it.
    unsafe { current.as_ref() }.map(f)
}

/// A descriptor was dropped.
pub(crate) fn close(raw: i32, simulated: bool) {
    let closed = try_with(|shard| shard.driver.close(raw, simulated));
    if closed != Some(true) && !simulated {
        crate::os::socket::close(raw);
    }
}
