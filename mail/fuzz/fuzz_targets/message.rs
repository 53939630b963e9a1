//! See `message` in `../message_checks.rs`.
#![no_main]

#[path = "../message_checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::message(data));
