//! Every bound of the programs in this crate, and the memory it implies.

use std::time::Duration;

/// Shortest message the generator makes: its headers, the line with a dot and the last line.
pub const MIN_MESSAGE_BYTES: usize = 512;
/// Longest message the generator makes. The text pool of a shard is this long at most, and no longer than the
/// largest size asked for plus [`POOL_SPARE_BYTES`].
pub const MAX_MESSAGE_BYTES: usize = 256 << 20;
/// By how much the text pool exceeds the largest message, so that bodies start at different places: 1 MiB a shard.
pub const POOL_SPARE_BYTES: usize = 1 << 20;
/// Up to this size a message is sent as one buffer; above it, as a gather list over the shared pool.
pub const COPY_MESSAGE_BYTES: usize = 16 << 10;
/// Most recipients of one message; a recipient number is 16 bits in a ledger.
pub const MAX_RECIPIENTS: u16 = 10_000;
/// Most connections of one process: each costs about 2 KiB of task and reply buffer.
pub const MAX_CONNECTIONS: u32 = 100_000;
/// Most entries in a list of sizes.
pub const MAX_SIZES: usize = 64;
/// Connections opened at once, so that a listen queue is not what is measured.
pub const CONNECT_WINDOW: usize = 128;
/// First and longest wait before connecting again after a refusal.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(50);
/// See [`RECONNECT_FIRST`].
pub const RECONNECT_LONGEST: Duration = Duration::from_secs(1);
/// Longest reply, all its lines together; a longer one is an error of the server.
pub const MAX_REPLY_BYTES: usize = 64 << 10;
/// Most kinds of failure kept apart in a report; the rest is counted as "other".
pub const MAX_FAILURE_KINDS: usize = 64;
/// Longest latency that a histogram holds (two minutes); with three digits a histogram takes about 150 KiB.
pub const MAX_LATENCY_US: u64 = 120_000_000;

/// Longest command line the sink takes.
pub const MAX_COMMAND_BYTES: usize = 4096;
/// How much of a message the sink searches for the `X-Bench` line; kept per connection while it searches.
pub const MAX_HEADER_BYTES: usize = 64 << 10;
/// Most runs times recipient numbers whose duplicates are told apart; each has a bitmap of its own.
pub const MAX_SEEN_MAPS: usize = 16_384;
/// Highest sequence number in a bitmap: 32 MiB for one that is full.
pub const MAX_SEEN_SEQUENCE: u32 = 1 << 28;
/// How long the sink goes on answering after it has counted all that it expected.
pub const SINK_LINGER: Duration = Duration::from_millis(200);

/// Size of the file that each shard of the floor overwrites in turn.
pub const FLOOR_FILE_BYTES: u64 = 64 << 20;
/// Most bytes in one durable write of the floor. Three buffers of this size exist per shard.
pub const FLOOR_BATCH_BYTES: usize = 1 << 20;
/// Messages accepted and not yet sent on, per shard of the floor; beyond it clients wait.
pub const FLOOR_BACKLOG_BYTES: usize = 256 << 20;
/// Longest line of the next hop's greeting or replies that the floor skips over.
pub const FLOOR_MAX_REPLY_BYTES: usize = 64 << 10;
