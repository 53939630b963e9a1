//! The rest of the HSL standard library.
