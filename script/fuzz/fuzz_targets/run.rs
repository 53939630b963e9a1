//! See `run` in `../run_checks.rs`.
#![no_main]

#[path = "../run_checks.rs"]
mod run_checks;
#[path = "../still.rs"]
mod still;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run_checks::run(data));
