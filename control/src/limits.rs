//! Every bound of this crate, with the memory it implies.

/// Bytes of a request's body that a server reads: room for an imported message of any usual size. The buffer grows as
/// bytes come, so a client that only announces much costs nothing.
pub const REQUEST_BYTES: u64 = 256 << 20;

/// Bytes of a response that a client reads. Servers answer in pages far below this.
pub const RESPONSE_BYTES: u64 = 1 << 30;

/// Bytes that a decoder sets aside before any have come.
pub const INITIAL_BYTES: usize = 64 << 10;

/// Bytes of a request that is written down as a command line, about; what does not fit is counted.
pub const COMMAND_LINE_BYTES: usize = 1000;

/// Bytes of one value in it, about; longer ones are cut.
pub const COMMAND_LINE_VALUE_BYTES: usize = 256;
