//! A segment of any bytes: what a start or `hqfcat` reads. `cargo +nightly fuzz run segment` in `spool/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| spool::check::segment(bytes));
