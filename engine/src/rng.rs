//! Randomness of this shard: from the kernel's seed, or from the simulator's.

use crate::shard;

/// 64 random bits; not for keys.
pub fn u64() -> u64 {
    shard::with(|shard| shard.rng.borrow_mut().next_u64())
}

/// A number below `bound` (above 0).
pub fn below(bound: u64) -> u64 {
    assert!(bound > 0, "there is no number below 0");
    shard::with(|shard| shard.rng.borrow_mut().below(bound))
}

/// Fills `out` with bytes fit for identifiers and nonces.
pub fn fill(out: &mut [u8]) {
    shard::with(|shard| shard.rng.borrow_mut().fill(out));
}

/// ChaCha with 8 rounds: fast enough for all, and what it gives away says nothing of what comes.
pub(crate) struct Rng {
    state: [u32; 16],
    block: [u8; 64],
    /// Bytes of `block` that were given away.
    used: usize,
}

impl Rng {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut state = [0; 16];
        state[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        for (word, bytes) in state[4..12].iter_mut().zip(seed.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Rng { state, block: [0; 64], used: 64 }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Lemire's method: a multiplication, and rarely another draw.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    pub(crate) fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used == self.block.len() {
                self.refill();
            }
            let count = out.len().min(self.block.len() - self.used);
            let given = &mut self.block[self.used..self.used + count];
            out[..count].copy_from_slice(given);
            given.fill(0);
            self.used += count;
            out = &mut out[count..];
        }
    }

    fn refill(&mut self) {
        let mut x = self.state;
        for _ in 0..4 {
            for column in 0..4 {
                quarter(&mut x, [column, 4 + column, 8 + column, 12 + column]);
            }
            for diagonal in 0..4 {
                let of = |row: usize| 4 * row + (diagonal + row) % 4;
                quarter(&mut x, [of(0), of(1), of(2), of(3)]);
            }
        }
        for (place, (mixed, start)) in x.iter().zip(self.state).enumerate() {
            self.block[4 * place..4 * place + 4].copy_from_slice(&mixed.wrapping_add(start).to_le_bytes());
        }
        let counter = (u64::from(self.state[13]) << 32 | u64::from(self.state[12])).wrapping_add(1);
        (self.state[12], self.state[13]) = (counter as u32, (counter >> 32) as u32);
        self.used = 0;
    }
}

/// RFC 8439, section 2.1.
fn quarter(x: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (by_d, by_b) in [(16, 12), (8, 7)] {
        x[a] = x[a].wrapping_add(x[b]);
        x[d] = (x[d] ^ x[a]).rotate_left(by_d);
        x[c] = x[c].wrapping_add(x[d]);
        x[b] = (x[b] ^ x[c]).rotate_left(by_b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_published_chacha8_key_stream() {
        // draft-strombergson-chacha-test-vectors, TC1: 256 bit key and nonce of zeros, 8 rounds.
        let mut out = [0; 16];
        Rng::new([0; 32]).fill(&mut out);
        let expected =
            [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6, 0x7f, 0x5b, 0xb8, 0xe8, 0x1f, 0x09, 0xa5, 0xa1];
        assert_eq!(out, expected);
    }

    #[test]
    fn numbers_below_a_bound_are_even_and_below_it() {
        let mut rng = Rng::new([7; 32]);
        let mut counts = [0; 6];
        let each = if cfg!(miri) { 100 } else { 10_000 };
        (0..6 * each).for_each(|_| counts[rng.below(6) as usize] += 1);
        assert!(counts.iter().all(|count| (each / 2..each * 3 / 2).contains(count)), "{counts:?}");
        assert_eq!(rng.below(1), 0);
        assert!(rng.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn no_byte_is_given_twice() {
        let (mut whole, mut parts) = ([0; 300], [0; 300]);
        Rng::new([1; 32]).fill(&mut whole);
        let mut rng = Rng::new([1; 32]);
        parts.chunks_mut(7).for_each(|part| rng.fill(part));
        assert_eq!(whole, parts);
    }
}
