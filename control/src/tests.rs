//! Tests of this crate as a whole.

#[path = "../fuzz/checks.rs"]
mod checks;
mod corpus;
mod framing;
mod generated;
mod reference;
