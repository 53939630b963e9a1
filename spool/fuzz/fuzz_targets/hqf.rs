//! An unloaded file of any bytes: what `queue load` reads. `cargo +nightly fuzz run hqf` in `spool/`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| spool::check::hqf(bytes));
