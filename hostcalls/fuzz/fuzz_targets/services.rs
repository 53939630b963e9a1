//! See `services` in `hostcalls::check`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostcalls::check::services(data));
