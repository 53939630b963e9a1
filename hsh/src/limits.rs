//! Every bound of this crate.

/// Longest standard input, and longest configuration file: 64 MiB, in memory while it is read.
pub const MAX_INPUT_BYTES: usize = 64 << 20;

/// Output that is kept back at most before it is written.
pub const OUTPUT_BUFFER_BYTES: usize = 64 * 1024;

/// How long output is kept back at most.
pub const OUTPUT_DELAY_MS: u64 = 20;

/// Lines of history that an interactive session keeps.
pub const HISTORY_LINES: usize = 1000;
