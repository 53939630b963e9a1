//! The rest of the HSL standard library.

pub mod source;
