//! See `records` in `../dns_checks.rs`.
#![no_main]

#[path = "../dns_checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::records(data));
