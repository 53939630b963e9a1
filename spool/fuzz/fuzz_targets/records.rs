//! Contents of records, the first byte choosing which: what checksums let through cannot be trusted either.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| spool::check::record(bytes));
