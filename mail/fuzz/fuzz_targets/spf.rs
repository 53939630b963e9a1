//! See `spf` in `../signature_checks.rs`.
#![no_main]

#[path = "../signature_checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::spf(data));
