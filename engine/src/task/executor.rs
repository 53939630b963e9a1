//! Which tasks are ready, and polling them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Context;

use super::Class;
use super::waker::{self, ExecutorId};
use crate::limits;
use crate::slab::{Key, Slab};

/// Names a task of one executor.
pub(crate) type TaskId = Key;

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks of one shard.
pub(crate) struct Executor {
    id: ExecutorId,
    state: RefCell<State>,
}

struct State {
    tasks: Slab<Slot>,
    /// Ready tasks, one queue per class, first come first served.
    ready: [VecDeque<TaskId>; 3],
}

struct Slot {
    /// Absent while it is polled.
    future: Option<Boxed>,
    class: Class,
    /// It stands in a ready queue.
    queued: bool,
    aborted: bool,
}

/// Polls per class and loop turn.
const BUDGETS: [usize; 3] = [limits::COMMIT_POLLS, limits::INTERACTIVE_POLLS, limits::BACKGROUND_POLLS];

impl Executor {
    pub(crate) fn new(id: ExecutorId) -> Self {
        let tasks = Slab::with_generation_bits(waker::GENERATION_BITS);
        Executor { id, state: RefCell::new(State { tasks, ready: Default::default() }) }
    }

    pub(crate) fn id(&self) -> ExecutorId {
        self.id
    }

    pub(crate) fn spawn(&self, class: Class, future: Boxed) -> TaskId {
        let mut state = self.state.borrow_mut();
        let id = state.tasks.insert(Slot { future: Some(future), class, queued: true, aborted: false });
        assert!(id.index < 1 << waker::INDEX_BITS, "more tasks on a shard than a waker can name");
        state.ready[class as usize].push_back(id);
        id
    }

    /// Makes a task ready. Does nothing for one that has ended.
    pub(crate) fn wake(&self, id: TaskId) {
        let state = &mut *self.state.borrow_mut();
        if let Some(slot) = state.tasks.get_mut(id)
            && !slot.queued
        {
            slot.queued = true;
            state.ready[slot.class as usize].push_back(id);
        }
    }

    pub(crate) fn abort(&self, id: TaskId) {
        if let Some(slot) = self.state.borrow_mut().tasks.get_mut(id) {
            slot.aborted = true;
        }
        self.wake(id);
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.state.borrow().ready.iter().any(|queue| !queue.is_empty())
    }

    /// Polls ready tasks within each class's budget, at most `limit` in all. Gives the number of polls.
    pub(crate) fn poll_ready(&self, limit: usize) -> usize {
        let mut polls = 0;
        for (class, budget) in BUDGETS.into_iter().enumerate() {
            for _ in 0..budget.min(limit - polls) {
                let Some(id) = self.state.borrow_mut().ready[class].pop_front() else { break };
                self.poll_task(id);
                polls += 1;
            }
        }
        polls
    }

    fn poll_task(&self, id: TaskId) {
        let (mut future, aborted) = {
            let mut state = self.state.borrow_mut();
            let Some(slot) = state.tasks.get_mut(id) else { return };
            slot.queued = false;
            let Some(future) = slot.future.take() else { return };
            (future, slot.aborted)
        };
        if !aborted {
            let waker = waker::new(self.id, id);
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                let mut state = self.state.borrow_mut();
                if let Some(slot) = state.tasks.get_mut(id) {
                    slot.future = Some(future);
                    return;
                }
                // The executor was cleared from inside the poll: the future goes with it.
                drop(state);
                return drop(future);
            }
        }
        let slot = self.state.borrow_mut().tasks.remove(id);
        // Dropping runs the user's code: nothing is borrowed here.
        drop(slot);
        drop(future);
    }

    /// Drops all tasks, also those that others' destructors spawn meanwhile.
    pub(crate) fn clear(&self) {
        loop {
            let keys = self.state.borrow().tasks.keys();
            if keys.is_empty() {
                break;
            }
            for id in keys {
                let slot = self.state.borrow_mut().tasks.remove(id);
                drop(slot);
            }
        }
        self.state.borrow_mut().ready = Default::default();
    }
}
