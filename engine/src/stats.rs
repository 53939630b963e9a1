//! What a shard's loop has done, readable from any thread.

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

/// The counters of `shard`.
pub fn of(shard: crate::boot::ShardId) -> Stats {
    todo!()
}
