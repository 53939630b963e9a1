//! Tests of this crate as a whole.

mod framing;
mod generated;
