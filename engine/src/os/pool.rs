//! Threads that are pinned nowhere, for what may block. They start when first needed and stay.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{file, path};
use crate::limits;
use crate::op::{OffloadCall, Op, OpId, PathOp};
use crate::shard::{Done, Letter, Mailbox};
use crate::stats::Threads;

type Job = Box<dyn FnOnce() + Send>;

/// The pools of one process: operations on paths do not queue behind what users offload.
pub(crate) struct Pools {
    paths: Pool,
    files: Pool,
    offload: Pool,
}

impl Pools {
    pub(crate) fn new() -> Self {
        Pools {
            paths: Pool::new("engine-path", limits::PATH_THREADS, usize::MAX),
            files: Pool::new("engine-file", limits::FILE_THREADS, usize::MAX),
            offload: Pool::new("engine-offload", limits::OFFLOAD_THREADS, limits::OFFLOAD_QUEUE),
        }
    }

    /// How busy they are.
    pub(crate) fn threads(&self) -> Vec<Threads> {
        [&self.paths, &self.files, &self.offload].into_iter().map(Pool::threads).collect()
    }

    /// Runs an operation on paths, whose descriptors stay open until it is done: the table owns it.
    pub(crate) fn path(&self, mailbox: Arc<Mailbox>, id: OpId, op: &PathOp) {
        let job = path::job(op);
        self.paths.run(Box::new(move || mailbox.post(Letter::Done(id, Done::Path(job())))));
    }

    /// Runs an operation on a file, whose descriptor and buffer stay: the table owns it.
    pub(crate) fn file(&self, mailbox: Arc<Mailbox>, id: OpId, op: &mut Op) {
        let job = file::job(op);
        self.files.run(Box::new(move || mailbox.post(Letter::Done(id, Done::Count(job())))));
    }

    /// Has a thread begin a write with `begin`, or carry it out where that gives false.
    pub(crate) fn begin_write(
        &self,
        mailbox: Arc<Mailbox>,
        id: OpId,
        op: &mut Op,
        begin: impl FnOnce() -> bool + Send + 'static,
    ) {
        let job = file::job(op);
        self.files.run(Box::new(move || {
            if !begin() {
                mailbox.post(Letter::Done(id, Done::Count(job())));
            }
        }));
    }

    /// Runs a call; false when the queue is full.
    pub(crate) fn offload(&self, mailbox: Arc<Mailbox>, id: OpId, call: OffloadCall) -> bool {
        self.offload.run(Box::new(move || mailbox.post(Letter::Done(id, Done::Value(call())))))
    }
}

struct Pool {
    name: &'static str,
    most_threads: usize,
    most_waiting: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    fn new(name: &'static str, most_threads: usize, most_waiting: usize) -> Self {
        Pool { name, most_threads, most_waiting, shared: Arc::default() }
    }

    fn threads(&self) -> Threads {
        let state = self.shared.lock();
        Threads {
            pool: self.name.trim_start_matches("engine-"),
            size: state.threads,
            running: state.threads.saturating_sub(state.idle),
            pending: state.jobs.len(),
        }
    }

    fn run(&self, job: Job) -> bool {
        let mut state = self.shared.lock();
        if state.jobs.len() >= self.most_waiting {
            return false;
        }
        state.jobs.push_back(job);
        if state.idle < state.jobs.len() && state.threads < self.most_threads {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new().name(self.name.into());
            match thread.spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                // Those that run do it in the end; with none, it is this thread that has to.
                Err(_) if state.threads > 0 => {}
                Err(_) => {
                    let job = state.jobs.pop_back().expect("pushed above");
                    drop(state);
                    job();
                    return true;
                }
            }
        }
        drop(state);
        self.shared.changed.notify_one();
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                crate::boot::abort_on_panic(job);
                state = self.lock();
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}
