//! Every bound of this crate.

/// Bytes of `$context` that a connection keeps between hooks: more is a script error.
pub const MAX_CONTEXT_BYTES: usize = 256 << 10;

/// What runs of one script hand on to the next ones of a shard, at most: some KiB each, for as many as wait at once.
pub const MAX_SPARE_SEATS: usize = 64;

/// Lines of a reply that a script gives; the rest is not sent. Each is at most as long as `net` allows.
pub const MAX_REPLY_LINES: usize = 100;

/// Keywords that a script may announce in reply to EHLO.
pub const MAX_EXTENSIONS: usize = 64;

/// Entries of a list or array among the options of `Try`.
pub const MAX_NAMES: usize = 100;

/// Longest delay that a script may ask for, in seconds: a year.
pub use hostcalls::limits::MAX_DELAY_S;

/// Longest time-out that a script may ask for, in seconds: a day.
pub const MAX_TIMEOUT_S: f64 = 86_400.0;

/// How long an item waits whose predelivery script has failed, in seconds (reference: hooks 1.1).
pub const DELAY_AFTER_FAILURE_S: f64 = 300.0;

/// Header fields that a script may add to a report.
pub const MAX_DSN_HEADERS: usize = 50;

/// Bytes of the text for people that a script may give a report.
pub const MAX_READABLE_PART_BYTES: usize = 256 << 10;
