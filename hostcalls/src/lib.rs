//! The rest of the HSL standard library.

pub mod hooks;
pub mod source;
