//! See `http_request` in `../peer_checks.rs`.
#![no_main]

#[path = "../peer_checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::http_request(data));
