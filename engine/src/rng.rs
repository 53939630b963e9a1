//! Randomness of this shard: from the kernel's seed, or from the simulator's.

/// 64 random bits; not for keys.
pub fn u64() -> u64 {
    todo!()
}
/// A number below `bound` (above 0).
pub fn below(bound: u64) -> u64 {
    todo!()
}
/// Fills `out` with bytes fit for identifiers and nonces.
pub fn fill(out: &mut [u8]) {
    todo!()
}
