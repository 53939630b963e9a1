//! See `body` in `../body_checks.rs`.
#![no_main]

#[path = "../body_checks.rs"]
mod body_checks;
#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body_checks::body(data));
