//! See `parse` in `../syntax_checks.rs`.
#![no_main]

#[path = "../syntax_checks.rs"]
mod syntax_checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| syntax_checks::parse(data));
