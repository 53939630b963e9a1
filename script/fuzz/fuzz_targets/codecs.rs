//! See `decode` in `../codecs_checks.rs`.
#![no_main]

#[path = "../codecs_checks.rs"]
mod codecs_checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| codecs_checks::decode(data));
