//! Every bound of this crate.

/// Bytes of `$context` that a connection keeps between hooks: more is a script error.
pub const MAX_CONTEXT_BYTES: usize = 256 << 10;

/// Lines of a reply that a script gives; the rest is not sent. Each is at most as long as `net` allows.
pub const MAX_REPLY_LINES: usize = 100;

/// Keywords that a script may announce in reply to EHLO.
pub const MAX_EXTENSIONS: usize = 64;
