//! Every bound of this crate.

/// Longest file. Scripts are packed into the running file, so it may be large; all of it is in memory while loading,
/// at most about four times (text, nodes, checked tree, typed value).
pub(crate) const MAX_FILE_BYTES: usize = 32 << 20;

/// Most memory for the nodes of one file after aliases are expanded, in bytes: an alias costs what it stands for, so
/// that a few lines cannot grow into gigabytes.
pub(crate) const MAX_EXPANDED: usize = 2 * MAX_FILE_BYTES;

/// Deepest nesting of mappings and lists. The deepest documented key is nine levels down.
pub(crate) const MAX_DEPTH: usize = 32;

/// Most errors (and most warnings) reported for one file; what follows is counted, not kept.
pub(crate) const MAX_REPORTED: usize = 100;

/// Longest value of another file's author repeated in an error, in characters.
pub(crate) const MAX_QUOTED_CHARS: usize = 80;

/// Compiled size of one regular expression in bytes; the queue, which keeps them, has the same bound.
pub(crate) const MAX_REGEX_BYTES: usize = 256 << 10;

/// Retry intervals of one transport or delivery condition: 24 bytes each, in every shard.
pub(crate) const RETRY_INTERVALS: usize = 1000;

/// Metrics that scripts may have.
pub(crate) const METRICS: usize = 200;

/// Longest name of one in bytes.
pub(crate) const METRIC_NAME_BYTES: usize = 100;

/// Bounds of a histogram.
pub(crate) const METRIC_BUCKETS: usize = 64;

/// Addresses of `warmup`: each is a condition that an attempt is held against.
pub(crate) const WARM_UP_ADDRESSES: usize = 1000;

/// Longest `tag` in characters.
pub(crate) const MAX_TAG_CHARS: usize = 32;

/// Differences between two texts of a file that are looked for, about 100 bytes each.
pub(crate) const MAX_CHANGES: usize = 200;
