//! Every bound of the engine.
//!
//! Memory per shard that they imply, at most: receive ring 4 MiB + received bytes on the heap 16 MiB + pool of
//! aligned buffers 8 MiB + kernel rings 0.4 MiB. Per pair of threads: 24 KiB of mesh rings (with 16 shards: 7 MiB in all).

/// Polls of tasks of class `Commit` per loop turn.
pub const COMMIT_POLLS: usize = 256;
/// Polls of tasks of class `Interactive` per loop turn: some hundred microseconds of work.
pub const INTERACTIVE_POLLS: usize = 256;
/// Polls of tasks of class `Background` per loop turn.
pub const BACKGROUND_POLLS: usize = 16;

/// Entries of the submission queue (64 B each: 64 KiB); more operations in one turn cost another system call.
pub const SUBMISSION_ENTRIES: u32 = 1024;
/// Entries of the completion queue (16 B each: 128 KiB).
pub const COMPLETION_ENTRIES: u32 = 8192;

/// Events that the epoll driver takes from the kernel at once.
pub const POLL_EVENTS: usize = 256;

/// Writes that the epoll driver has under way without a thread (64 B each in the kernel); more go to the pool's threads.
pub const AIO_WRITES: usize = 16;
/// Writes that go to a thread at once after one that could not be begun without waiting: a file that still gets its blocks
/// makes them all wait, one that is written again none.
pub const AIO_PAUSE: u32 = 63;

/// What a thread's rings take of the memory that Linux 6.14 and newer count as locked (RLIMIT_MEMLOCK, over all processes of
/// a user, unless it has CAP_IPC_LOCK): submissions of 64 B with an index of 4 B, completions of 16 B, receive buffers'
/// entries of 16 B, and a page for the head.
pub const RINGS_LOCKED_BYTES: u64 =
    SUBMISSION_ENTRIES as u64 * 68 + COMPLETION_ENTRIES as u64 * 16 + RECV_BUFFERS as u64 * 16 + 4096;

/// Buffers of a shard's receive ring; a power of two.
pub const RECV_BUFFERS: u16 = 512;
/// Bytes of each: 4 MiB of ring per shard.
pub const RECV_BUFFER_BYTES: usize = 8 * 1024;
/// Below this many free ring buffers, what arrives is copied to the heap, so that slow takers starve nobody.
pub const RECV_BUFFERS_LOW: usize = 128;
/// Received bytes on the heap per shard; beyond it, receives wait for ring buffers to come back.
pub const RECV_HEAP_BYTES: usize = 16 << 20;
/// Received bytes of one connection that nobody took: above it, the connection's receive is stopped.
/// (What comes within the turn in which it is passed still arrives; the ring and the kernel's socket buffer bound it.)
pub const RECV_WINDOW_BYTES: usize = 64 * 1024;
/// The same in pieces, against a peer that sends one byte at a time.
pub const RECV_WINDOW_ITEMS: usize = 16;
/// Accepted connections of one listener that nobody took: above it, accepting stops.
pub const ACCEPT_WINDOW: usize = 64;
/// Wait before accepting again after the process or system ran out of descriptors or memory.
pub const ACCEPT_RETRY_MS: u64 = 100;

/// Buffers of one gather list, the kernel's IOV_MAX: a longer list is sent in several calls.
pub const GATHER_BUFFERS: usize = 1024;

/// Bytes of aligned buffers that a shard keeps for reuse.
pub const POOL_BYTES: usize = 8 << 20;

/// Calls of one thread to another that wait for their reply: credits.
pub const MESH_CALLS: usize = 256;
/// Entries of a ring: room for all calls that have a credit, and as many sends without reply.
pub const MESH_RING: usize = 2 * MESH_CALLS;

/// Threads of the offload pool.
pub const OFFLOAD_THREADS: usize = 4;
/// Calls that wait for a thread of the offload pool; more are refused.
pub const OFFLOAD_QUEUE: usize = 1024;
/// Threads for operations on paths, which callers bound themselves.
pub const PATH_THREADS: usize = 2;
/// Threads for reads and writes of files, where there is no ring for them; callers bound those themselves.
pub const FILE_THREADS: usize = 8;

/// Wait for operations to end when a shard stops; what has not ended then keeps its memory for ever.
pub const STOP_WAIT_MS: u64 = 5_000;
