//! Every bound of this crate, with the memory or time it implies.

use std::time::Duration;

/// A server that takes no connection for this long is not there.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Silence of the server after a request. Updates of a large queue and imports answer late; anything else within a second.
pub const ANSWER: Duration = Duration::from_secs(600);

/// The same for commands that a healthy server answers within a second.
pub const QUICK_ANSWER: Duration = Duration::from_secs(30);

/// Bytes read at once.
pub const READ_BYTES: usize = 64 << 10;

/// Width of a cell of a table, columns; longer text is cut and says so. JSON has it whole. A table keeps the shown text of
/// all rows, about 100 bytes each, as its columns are as wide as their widest cell; JSON is written page by page.
pub const CELL_WIDTH: usize = 100;

/// Bytes of a configuration file or of a file sent to the server.
pub const FILE_BYTES: u64 = 64 << 20;

/// Time between the two samples that rates come from.
pub const SAMPLE: Duration = Duration::from_millis(250);

/// A first sample that took longer than this is not followed by a second: some shard is stalled, and an operator wants to
/// know now.
pub const SLOW_SAMPLE: Duration = Duration::from_millis(300);

/// Recipients that an unload asks for at once, so that it can show how far it is.
pub const UNLOAD_PART: u64 = 1_000;
