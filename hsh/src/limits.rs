//! Every bound of this crate.

use std::time::Duration;

/// Longest standard input, and longest configuration file: 64 MiB, in memory while it is read.
pub const MAX_INPUT_BYTES: usize = 64 << 20;

/// Output that is kept back at most before it is written.
pub const OUTPUT_BUFFER_BYTES: usize = 64 * 1024;

/// How long output is kept back at most.
pub const OUTPUT_DELAY_MS: u64 = 20;

/// Lines of history that an interactive session keeps.
pub const HISTORY_LINES: usize = 1000;

/// How long the debugger's socket may take to answer a connect.
pub const DEBUGGER_CONNECT: Duration = Duration::from_secs(10);

/// How long the debugger may take to be told that the script has ended.
pub const DEBUGGER_FAREWELL: Duration = Duration::from_secs(10);

/// How long the control socket of the server may take to be connected to.
pub const SERVER_CONNECT: Duration = Duration::from_secs(10);

/// How long the server may take to queue a message.
pub const SERVER_ANSWER: Duration = Duration::from_secs(120);

/// Requests of a debugger that wait for their answer.
pub const DEBUGGER_AHEAD: usize = 16;
