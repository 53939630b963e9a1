//! Hashing of keys. Strangers choose keys, so the seed of the process must be random.

use std::hash::BuildHasher;
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

static SEED: OnceLock<(SharedSeed, u64)> = OnceLock::new();
const DEFAULT_SEED: u64 = 0x243f_6a88_85a3_08d3;

/// Sets the seed of all hashes, once, before any script is compiled. Returns whether this was in time.
pub fn set_hash_seed(seed: u64) -> bool {
    SEED.set((SharedSeed::from_u64(seed), seed.rotate_left(32))).is_ok()
}

#[inline]
fn state() -> SeedableRandomState {
    let (shared, own) = SEED.get_or_init(|| (SharedSeed::from_u64(DEFAULT_SEED), DEFAULT_SEED));
    SeedableRandomState::with_seed(*own, shared)
}

/// The hash of bytes: never 0, which means "not yet computed".
#[inline]
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    state().hash_one(bytes).max(1)
}

/// The hash of an integer.
#[inline]
pub(crate) fn hash_integer(value: i64) -> u64 {
    state().hash_one(value).max(1)
}
