//! How many seeds a test tries.

/// Seeds to try: `few` of them as part of `cargo test`; with `SIM_SEEDS=N` that many times N; with `SIM_SEED=S`
/// only seed S, to repeat a failure.
pub fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..few * number("SIM_SEEDS").unwrap_or(1),
    }
}
