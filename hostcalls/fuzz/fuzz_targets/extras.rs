//! See `extras` in `../extras_checks.rs`.
#![no_main]

#[path = "../extras_checks.rs"]
mod extras_checks;
#[path = "../../../script/fuzz/still.rs"]
mod still;

libfuzzer_sys::fuzz_target!(|data: &[u8]| extras_checks::extras(data));
