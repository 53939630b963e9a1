//! Numbers in six bytes.

/// A number below 2^48 (256 TiB, or milliseconds until the year 10889) in six bytes; what is above counts as the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct U48([u16; 3]);

impl U48 {
    /// Keeps a number.
    pub fn new(number: u64) -> U48 {
        let number = number.min((1 << 48) - 1);
        U48([number as u16, (number >> 16) as u16, (number >> 32) as u16])
    }

    /// Gives it back.
    pub fn get(self) -> u64 {
        let [low, middle, high] = self.0.map(u64::from);
        low | middle << 16 | high << 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_six_bytes_come_back_and_higher_ones_are_the_highest() {
        for number in [0, 1, 0xffff, 0x1_0000, 0xffff_ffff, 1_700_000_000_123, (1 << 48) - 1] {
            assert_eq!(U48::new(number).get(), number);
        }
        assert_eq!(U48::new(u64::MAX).get(), (1 << 48) - 1);
    }
}
