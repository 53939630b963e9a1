//! Counters of one store.

/// Whether mail is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    #[default]
    Open,
    /// No: free space below the limit (`452`).
    DiskFull,
    /// No, and nothing should be picked up: the disk does not take writes.
    Unhealthy,
    /// No: read-only or closing.
    ReadOnly,
}

/// Counters of one store since its start, and its present state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Batches written.
    pub batches: u64,
    /// Commits in them.
    pub commits: u64,
    /// Settled items in them.
    pub settles: u64,
    /// Bytes of them.
    pub batch_bytes: u64,
    /// Most commits in one batch.
    pub batch_commits_max: u64,
    /// Durable writes and syncs, background included.
    pub durable_writes: u64,
    /// Bytes of live messages.
    pub live_bytes: u64,
    /// Bytes of all segments and extents.
    pub allocated_bytes: u64,
    /// Live messages known so far.
    pub live_messages: u64,
    /// Zeroed segments ready for use.
    pub segments_free: usize,
    /// Segments being written.
    pub segments_active: usize,
    /// Segments that take no more.
    pub segments_sealed: usize,
    /// Segments compacted.
    pub compactions: u64,
    /// Segments retired.
    pub retired: u64,
    /// Damaged places found.
    pub corruptions: u64,
    /// Messages in the body cache.
    pub cached_messages: usize,
    /// Memory of buffers and cache in use.
    pub memory_used_bytes: usize,
    /// Bodies verified by the scrub.
    pub scrubbed: u64,
    /// Commits and body parts that wait for the next batch.
    pub requests: usize,
    /// Found messages that wait to be taken by [`crate::Recovery`].
    pub found: usize,
    /// Whether mail is accepted.
    pub admission: Admission,
    /// False while found messages are still being loaded (listings are partial).
    pub loaded: bool,
}
