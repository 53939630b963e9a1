//! What a shard's loop has done, readable from any thread.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::histogram::{Histogram, Shared};
use crate::os::pool::Pools;
use crate::shard::{self, Process};

/// Counters of one shard since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Loop turns.
    pub turns: u64,
    /// io_uring_enter calls.
    pub enters: u64,
    /// Operations submitted.
    pub ops: u64,
    /// Task polls.
    pub polls: u64,
    /// CPU time of the thread, in microseconds.
    pub cpu_us: u64,
    /// Durable writes (a write with [`crate::disk::Durability::Durable`], or a sync).
    pub durable_writes: u64,
    /// Times receives had to wait for ring buffers to come back.
    pub recv_starved: u64,
}

/// The counters of `shard`: of this process's engine, or (outside of it) of the one started last. Zeros when there is
/// none, or no such shard.
pub fn of(shard: crate::boot::ShardId) -> Stats {
    with_process(|process| process.counters.get(usize::from(shard.0)).map(Counters::read)).unwrap_or_default()
}

/// How long the turns of its loop took, from the end of a wait to the next one.
pub fn loop_us(shard: crate::boot::ShardId) -> Histogram {
    let read = |counters: &Counters| counters.loop_us.read();
    with_process(|process| process.counters.get(usize::from(shard.0)).map(read)).unwrap_or_default()
}

/// Whether a shard's loop turns. Two of these with the same number of turns, neither asleep, say that it is stuck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Loop turns so far.
    pub turns: u64,
    /// It has nothing to do, and waits.
    pub asleep: bool,
    /// Calls and replies of other threads that it has not taken yet.
    pub mesh_waiting: usize,
}

/// That of `shard`, read from any thread without its help.
pub fn pulse(shard: crate::boot::ShardId) -> Pulse {
    let number = usize::from(shard.0);
    let read = |process: &Process| {
        let mailbox = process.mailboxes.get(number)?;
        Some(Pulse {
            turns: process.counters[number].turns.load(Ordering::Relaxed),
            asleep: mailbox.attention.is_asleep(),
            mesh_waiting: process.grid.waiting_for(number),
        })
    };
    with_process(read).unwrap_or_default()
}

/// Threads beside the shards, for what may block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Name of their pool.
    pub pool: &'static str,
    /// How many have been started.
    pub size: usize,
    /// How many of them work.
    pub running: usize,
    /// Jobs that wait for one.
    pub pending: usize,
}

/// Those of the engine started last; none when there is none.
pub fn threads() -> Vec<Threads> {
    let pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    pools.map(|pools| pools.threads()).unwrap_or_default()
}

static POOLS: Mutex<Weak<Pools>> = Mutex::new(Weak::new());

/// Makes these the pools of which [`threads`] tells.
pub(crate) fn show_pools(pools: Pools) -> Arc<Pools> {
    let pools = Arc::new(pools);
    *POOLS.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&pools);
    pools
}

fn with_process<T>(read: impl FnOnce(&Process) -> Option<T>) -> Option<T> {
    let process = shard::try_with(|shard| shard.process.clone()).or_else(|| latest().upgrade());
    read(&*process?)
}

static LATEST: Mutex<Weak<Process>> = Mutex::new(Weak::new());

fn latest() -> Weak<Process> {
    LATEST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Makes this process the one that is asked outside of the engine.
pub(crate) fn set_latest(process: &Arc<Process>) {
    *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(process);
}

/// Written by the shard alone, so that an addition needs no locked instruction.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    pub(crate) turns: AtomicU64,
    pub(crate) enters: AtomicU64,
    pub(crate) ops: AtomicU64,
    pub(crate) polls: AtomicU64,
    pub(crate) durable_writes: AtomicU64,
    pub(crate) recv_starved: AtomicU64,
    pub(crate) loop_us: Shared,
    /// The thread that runs the shard; 0 when there is none.
    thread: AtomicI32,
    /// CPU time at the end of the thread.
    cpu_us: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    /// The calling thread runs the shard from now on.
    pub(crate) fn thread_starts(&self) {
        // SAFETY: no arguments.
        self.thread.store(unsafe { libc::gettid() }, Ordering::Relaxed);
    }

    /// The calling thread ends.
    pub(crate) fn thread_ends(&self) {
        let cpu_us = crate::os::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) / 1000;
        self.cpu_us.store(cpu_us, Ordering::Relaxed);
        self.thread.store(0, Ordering::Relaxed);
    }

    fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let cpu_us = match self.thread.load(Ordering::Relaxed) {
            0 => read(&self.cpu_us),
            // The kernel's encoding of "CPU time of this thread" as a clock.
            thread => crate::os::clock_ns(!thread << 3 | 6) / 1000,
        };
        Stats {
            turns: read(&self.turns),
            enters: read(&self.enters),
            ops: read(&self.ops),
            polls: read(&self.polls),
            cpu_us,
            durable_writes: read(&self.durable_writes),
            recv_starved: read(&self.recv_starved),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;
    use crate::boot::ShardId;
    use crate::testing::on_shards;
    use crate::time::{now_precise, sleep};

    #[test]
    fn a_stuck_loop_is_seen_from_outside_and_told_from_one_that_has_nothing_to_do() {
        static STUCK: AtomicBool = AtomicBool::new(false);
        on_shards(3, |id| async move {
            match id {
                ShardId(0) => {
                    STUCK.store(true, Ordering::SeqCst);
                    let start = now_precise();
                    while now_precise() - start < Duration::from_millis(80) {
                        std::hint::spin_loop();
                    }
                    STUCK.store(false, Ordering::SeqCst);
                    sleep(Duration::from_millis(10)).await;
                    assert!(loop_us(ShardId(0)).quantile_us(1.0) >= 80_000, "{:?}", loop_us(ShardId(0)));
                }
                ShardId(1) => sleep(Duration::from_millis(300)).await,
                ShardId(2) => {
                    while !STUCK.load(Ordering::SeqCst) || !pulse(ShardId(1)).asleep {
                        sleep(Duration::from_millis(1)).await;
                    }
                    let (stuck, idle) = (pulse(ShardId(0)), pulse(ShardId(1)));
                    sleep(Duration::from_millis(20)).await;
                    let still_stuck = STUCK.load(Ordering::SeqCst);
                    let later = pulse(ShardId(0));
                    assert!(idle.asleep && idle.turns > 0, "{idle:?}");
                    if still_stuck {
                        assert_eq!((stuck.turns, stuck.asleep, later.asleep), (later.turns, false, false));
                    }
                }
                _ => {}
            }
        });
    }
}
