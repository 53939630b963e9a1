//! Probe the kernel, pin, start, stop.

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};

use crate::driver::Driver;
use crate::epoll::Epoll;
use crate::os::pool::Pools;
use crate::shard::{self, Process, Shard};
use crate::stats;
use crate::uring::{Uring, setup};

pub(crate) mod cpus;

/// A thread of the engine: a numbered shard, or the one control thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// How to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of shards, not counting the control thread.
    pub shards: u16,
    /// Pin each shard to a CPU of the affinity mask.
    pub pin: bool,
    /// What the shards stand on.
    pub driver: DriverChoice,
    /// Signals (libc numbers) that are blocked in all threads and read with [`crate::signal`]: in the thread that calls
    /// [`run`] and those of the engine. Threads that were started before do not block them.
    pub signals: Vec<i32>,
}

/// Which driver to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where [`probe`] says that it will do, else epoll.
    #[default]
    Auto,
    /// io_uring, or an error.
    Uring,
    /// epoll: works everywhere, with more system calls and copies.
    Epoll,
}

/// Why io_uring cannot run here: the cause and what the operator can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// What the kernel said, by name (EPERM of io_uring_setup, kernel 5.10, ...).
    pub cause: String,
    /// What to change, by name (kernel.io_uring_disabled, seccomp profile, memlock limit).
    pub remedy: String,
}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

impl std::error::Error for Unsupported {}

/// Whether this machine can run the io_uring driver, for so many shards.
pub fn probe(shards: u16) -> Result<(), Unsupported> {
    setup::probe(usize::from(shards) + 1)
}

/// What the rings of so many shards take of the memory that a process may lock, where the kernel counts them, in bytes.
pub fn rings_locked_bytes(shards: u16) -> u64 {
    setup::rings_locked_bytes(usize::from(shards) + 1)
}

/// Shards when nobody says otherwise: the affinity mask's CPUs, at most the cgroup CPU quota rounded up.
pub fn default_shards() -> u16 {
    cpus::default_shards()
}

/// The shard (or control thread) that runs this code. Panics outside the engine.
pub fn current() -> ShardId {
    shard::with(|shard| shard.id)
}

/// True on the control thread.
pub fn is_control() -> bool {
    shard::try_with(|shard| shard.id.0 == shard.process.shards).unwrap_or(false)
}

/// The control thread's id, for [`crate::mesh`].
pub fn control() -> ShardId {
    ShardId(shards())
}

/// What the shards of this process stand on: `io_uring`, `epoll` or `simulated`.
pub fn driver() -> &'static str {
    shard::with(|shard| shard.driver.name())
}

/// Number of shards of this process, without the control thread.
pub fn shards() -> u16 {
    shard::with(|shard| shard.process.shards)
}

/// Starts the shards and the control thread, runs `root(id)` on each until it ends, and returns when all have
/// ended. A panic on any of them aborts the process.
///
/// A thread whose root has ended drops its other tasks when all roots have ended; until then it runs them on, and
/// answers calls of others with [`crate::mesh::MeshError::Gone`].
pub fn run<F, Fut>(options: Options, root: F) -> io::Result<()>
where
    F: Fn(ShardId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let uring = match options.driver {
        DriverChoice::Auto => probe(options.shards).is_ok(),
        DriverChoice::Uring => {
            probe(options.shards)
                .map_err(|unsupported| io::Error::new(io::ErrorKind::Unsupported, unsupported))?;
            true
        }
        DriverChoice::Epoll => false,
    };
    let process = Process::new(options.shards);
    stats::set_latest(&process);
    // Threads inherit the mask: no signal reaches any of them but through the control thread's descriptor.
    let restore = crate::os::signal::block_signals(&options.signals)?;
    let start = Arc::new(Start {
        process,
        pools: stats::show_pools(Pools::new()),
        epoch_ns: crate::os::clock_ns(libc::CLOCK_MONOTONIC),
        cpus: if options.pin { cpus::allowed() } else { Vec::new() },
        uring,
        signals: options.signals,
        ready: Barrier::new(usize::from(options.shards) + 1),
        failed: AtomicBool::new(false),
        error: Mutex::new(None),
    });
    let root = Arc::new(root);
    let mut threads = Vec::new();
    for number in 0..options.shards {
        let (start, root) = (start.clone(), root.clone());
        let thread = std::thread::Builder::new().name(format!("shard-{number}"));
        let spawned = thread.spawn(move || abort_on_panic(|| start.run(ShardId(number), &*root)));
        // Those that wait at the barrier would wait for ever.
        threads.push(spawned.unwrap_or_else(|error| abort(&format!("cannot start shard {number}: {error}"))));
    }
    // The control thread is one more, so that the caller's thread keeps its name, mask and stack.
    let control = {
        let start = start.clone();
        let thread = std::thread::Builder::new().name("control".into());
        let id = ShardId(options.shards);
        thread.spawn(move || abort_on_panic(|| start.run(id, &*root)))
    };
    threads.push(control.unwrap_or_else(|error| abort(&format!("cannot start the control thread: {error}"))));
    for thread in threads {
        thread.join().expect("a panic aborts");
    }
    drop(restore);
    let error = start.error.lock().unwrap_or_else(PoisonError::into_inner).take();
    error.map_or(Ok(()), Err)
}

/// What all threads start with.
struct Start {
    process: Arc<Process>,
    pools: Arc<Pools>,
    epoch_ns: u64,
    /// CPUs to pin to; empty for none.
    cpus: Vec<usize>,
    /// io_uring, or epoll.
    uring: bool,
    signals: Vec<i32>,
    ready: Barrier,
    failed: AtomicBool,
    error: Mutex<Option<io::Error>>,
}

impl Start {
    /// One thread, from start to end.
    fn run<F, Fut>(&self, id: ShardId, root: &F)
    where
        F: Fn(ShardId) -> Fut,
        Fut: Future<Output = ()> + 'static,
    {
        let _keeping = crate::memory::keep();
        let shard = self.open(id);
        if let Err(error) = &shard {
            let error = io::Error::new(error.kind(), format!("thread {}: {error}", id.0));
            self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.failed.store(true, Ordering::SeqCst);
        }
        // Rings are known to each other, or none runs.
        self.ready.wait();
        let Ok(shard) = shard else { return };
        if self.failed.load(Ordering::SeqCst) {
            return;
        }
        shard.counters().thread_starts();
        shard.enter(|| {
            shard.start(root(id));
            self.turn_until_all_ended(&shard);
            self.stop(shard.clone());
        });
        self.process.counters[usize::from(id.0)].thread_ends();
    }

    fn open(&self, id: ShardId) -> io::Result<Rc<Shard>> {
        if id.0 < self.process.shards && !self.cpus.is_empty() {
            cpus::pin(self.cpus[usize::from(id.0) % self.cpus.len()])?;
        }
        let signals = if id.0 == self.process.shards { self.signals.as_slice() } else { &[] };
        let (process, pools, me) = (self.process.clone(), self.pools.clone(), usize::from(id.0));
        let driver = if self.uring {
            Driver::Uring(Box::new(Uring::open(process, me, pools, self.epoch_ns, signals)?))
        } else {
            Driver::Epoll(Box::new(Epoll::open(process, me, pools, self.epoch_ns, signals)?))
        };
        Ok(Shard::new(self.process.clone(), id, driver, crate::os::seed()?))
    }

    fn turn_until_all_ended(&self, shard: &Shard) {
        let running = &self.process.running;
        let mut counted = false;
        loop {
            shard.begin_turn();
            shard.poll_ready(usize::MAX);
            if !counted && shard.root_ended() {
                counted = true;
                if running.fetch_sub(1, Ordering::SeqCst) == 1 {
                    // The last one: the others may sleep.
                    (0..self.process.threads()).for_each(|peer| self.process.mailboxes[peer].ring_bell());
                }
            }
            if running.load(Ordering::SeqCst) == 0 {
                return;
            }
            shard.driver.end_turn(shard);
        }
    }

    /// Drops the tasks, ends the operations, closes the ring.
    fn stop(&self, shard: Rc<Shard>) {
        shard.clear();
        let drained = shard.driver.drain(&shard);
        // Nobody sends to a ring that is about to go.
        self.process.set_ring_fd(usize::from(shard.id.0), -1);
        if !drained {
            // What the kernel may still write to must stay.
            std::mem::forget(shard);
        }
    }
}

/// Runs `f`; a panic in it ends the process, as the state of a shard cannot be trusted after one.
pub(crate) fn abort_on_panic<R>(f: impl FnOnce() -> R) -> R {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(result) => result,
        // The panic's message was written when it happened.
        Err(_) => std::process::abort(),
    }
}

#[allow(clippy::print_stderr, reason = "the process is about to abort, and nobody else will say why")]
fn abort(why: &str) -> ! {
    eprintln!("engine: {why}");
    std::process::abort()
}

#[cfg(test)]
mod tests;
