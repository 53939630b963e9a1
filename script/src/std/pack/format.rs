//! The format language of `pack` and `unpack`.

/// How often a code applies, or how long its text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// No count given.
    One,
    /// A number.
    Exactly(usize),
    /// `*`: everything that is left.
    All,
}

impl Count {
    /// The number of repetitions, where `*` means `all`.
    pub(super) fn or_all(self, all: usize) -> usize {
        match self {
            Count::One => 1,
            Count::Exactly(count) => count,
            Count::All => all,
        }
    }
}

/// Steps through the codes of a format; an error is a count that is too large to be meant.
pub(super) struct Codes<'a>(pub(super) &'a [u8]);

/// A count that no data could fill.
#[derive(Debug)]
pub(super) struct BadCount;

impl Iterator for Codes<'_> {
    type Item = Result<(u8, Count), BadCount>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&code, rest) = self.0.trim_ascii_start().split_first()?;
        self.0 = rest;
        if let [b'*', rest @ ..] = rest {
            self.0 = rest;
            return Some(Ok((code, Count::All)));
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.0 = &rest[digits..];
        match digits {
            0 => Some(Ok((code, Count::One))),
            1..=9 => {
                let count =
                    rest[..digits].iter().fold(0, |count, byte| count * 10 + usize::from(byte - b'0'));
                Some(Ok((code, Count::Exactly(count))))
            }
            _ => Some(Err(BadCount)),
        }
    }
}
