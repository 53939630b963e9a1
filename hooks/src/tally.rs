//! How often scripts run and fail, by hook.

use std::cell::Cell;
use std::rc::Rc;

use hostcalls::hooks::{HOOKS, Hook};

/// What the scripts of one hook have done on this shard.
#[derive(Debug, Default)]
pub struct Tally {
    running: Cell<u64>,
    finished: Cell<u64>,
    errors: Cell<u64>,
}

/// Those of every hook, for one server or for the queue.
#[derive(Debug, Default)]
pub struct Tallies([Tally; HOOKS.len()]);

/// A script under way; it is finished when this is dropped, however it ended.
pub(crate) struct Counted {
    tallies: Rc<Tallies>,
    hook: usize,
}

impl Tally {
    /// Scripts under way, those that wait for something too.
    pub fn running(&self) -> u64 {
        self.running.get()
    }

    /// Scripts that have ended.
    pub fn finished(&self) -> u64 {
        self.finished.get()
    }

    /// Those of them that failed, or whose decision made no sense.
    pub fn errors(&self) -> u64 {
        self.errors.get()
    }
}

impl Tallies {
    /// That of the hook of this name.
    pub fn of(&self, hook: &str) -> Option<&Tally> {
        HOOKS.iter().position(|other| other.name == hook).map(|number| &self.0[number])
    }

    /// Scripts of all hooks that have ended.
    pub fn finished(&self) -> u64 {
        self.0.iter().map(Tally::finished).sum()
    }

    /// Scripts of all hooks under way.
    pub fn running(&self) -> u64 {
        self.0.iter().map(Tally::running).sum()
    }

    /// A script of `hook` begins.
    pub(crate) fn begin(self: &Rc<Self>, hook: &'static Hook) -> Counted {
        let hook = HOOKS.iter().position(|other| std::ptr::eq(other, hook)).unwrap_or(0);
        let running = &self.0[hook].running;
        running.set(running.get() + 1);
        Counted { tallies: Rc::clone(self), hook }
    }
}

impl Counted {
    /// It failed.
    pub(crate) fn failed(&self) {
        let errors = &self.tallies.0[self.hook].errors;
        errors.set(errors.get() + 1);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let tally = &self.tallies.0[self.hook];
        tally.running.set(tally.running.get() - 1);
        tally.finished.set(tally.finished.get() + 1);
    }
}
