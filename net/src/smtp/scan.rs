//! One pass over message bytes that finds out whether anything needs a closer look.
//!
//! Written so that the compiler turns the inner loop into vector instructions: no branch, no early exit, blocks
//! of a fixed size.

/// Bytes looked at in one go. Small enough that the closer look at a block with something in it stays cheap.
pub(crate) const BLOCK_BYTES: usize = 256;

/// What a block holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Block {
    /// A CR without LF behind it, or an LF without CR before it. A CR at the very end is judged with the next
    /// block.
    pub(crate) bare_eol: bool,
    /// A dot behind an LF.
    pub(crate) dot: bool,
    /// An LF.
    pub(crate) lf: bool,
    /// A byte above 127.
    pub(crate) eight_bit: bool,
}

impl Block {
    /// Looks at a block and the byte before it. Before the first byte of a line stands an LF.
    pub(crate) fn look(before: u8, block: &[u8; BLOCK_BYTES]) -> Block {
        // Flags as bytes, one lane each.
        let (mut bare, mut dot, mut lf, mut or) = (0u8, 0u8, 0u8, 0u8);
        for (previous, byte) in block.iter().zip(&block[1..]) {
            let is_lf = u8::from(*byte == b'\n');
            bare |= u8::from(*previous == b'\r') ^ is_lf;
            dot |= u8::from(*previous == b'\n') & u8::from(*byte == b'.');
            lf |= is_lf;
            or |= *byte;
        }
        let first = block[0];
        Block {
            bare_eol: bare != 0 || (before == b'\r') != (first == b'\n'),
            dot: dot != 0 || (before == b'\n' && first == b'.'),
            lf: lf != 0 || first == b'\n',
            eight_bit: (or | first) >= 0x80,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look_slowly(before: u8, block: &[u8]) -> Block {
        let mut seen = Block::default();
        let mut previous = before;
        for &byte in block {
            seen.bare_eol |= (previous == b'\r') != (byte == b'\n');
            seen.dot |= previous == b'\n' && byte == b'.';
            seen.lf |= byte == b'\n';
            seen.eight_bit |= byte >= 0x80;
            previous = byte;
        }
        seen
    }

    #[test]
    fn one_special_pair_anywhere_in_a_block_is_seen() {
        for pair in [*b"\r\n", *b"\n.", *b"\rx", *b"x\n", *b"\x80x", *b"xx"] {
            for at in 0..BLOCK_BYTES - 1 {
                let mut block = [b'a'; BLOCK_BYTES];
                block[at..at + 2].copy_from_slice(&pair);
                for before in *b"\r\na" {
                    assert_eq!(Block::look(before, &block), look_slowly(before, &block), "{pair:?} at {at}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_vector_pass_agrees_with_the_plain_one(
            before in prop::sample::select(b"\r\n.a".to_vec()),
            bytes in prop::collection::vec(prop::sample::select(b"\r\n.aaaaaaaa\x80".to_vec()), BLOCK_BYTES),
        ) {
            let block: &[u8; BLOCK_BYTES] = bytes.as_slice().try_into().expect("a block");
            prop_assert_eq!(Block::look(before, block), look_slowly(before, block));
        }
    }
}
