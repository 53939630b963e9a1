//! Probe the kernel, pin, start, stop.

use std::future::Future;

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
    /// Signals (libc numbers) that are blocked in all threads and read with [`crate::signal`].
    pub signals: Vec<i32>,
}

/// Why the engine cannot run here: the cause and what the operator can do about it.
#[derive(Debug)]
pub struct Unsupported {
    /// What the kernel said, by name (EPERM of io_uring_setup, kernel 5.10, ...).
    pub cause: String,
    /// What to change, by name (kernel.io_uring_disabled, seccomp profile, memlock limit).
    pub remedy: String,
}

/// Whether this machine can run the io_uring driver.
pub fn probe() -> Result<(), Unsupported> {
    todo!()
}

/// Shards when nobody says otherwise: the affinity mask's CPUs, at most the cgroup CPU quota rounded up.
pub fn default_shards() -> u16 {
    todo!()
}

/// The shard (or control thread) that runs this code. Panics outside the engine.
pub fn current() -> ShardId {
    todo!()
}

/// True on the control thread.
pub fn is_control() -> bool {
    todo!()
}

/// The control thread's id, for [`crate::mesh`].
pub fn control() -> ShardId {
    todo!()
}

/// Number of shards of this process, without the control thread.
pub fn shards() -> u16 {
    todo!()
}

/// Starts the shards and the control thread, runs `root(id)` on each until it ends, and returns when all have
/// ended. A panic on any of them aborts the process.
pub fn run<F, Fut>(options: Options, root: F) -> std::io::Result<()>
where
    F: Fn(ShardId) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    todo!()
}
