//! Names that tell one generated message, and one recipient's copy of it, from all others.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

/// A generated message: 16 hexadecimal digits, the run and the sequence number within the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Drawn at random by each run of the generator.
    pub run: u32,
    /// Counts from 0 within the run.
    pub sequence: u32,
}

/// One recipient's copy of a message: what a relay must deliver exactly once.
///
/// ```
/// use bench::ident::{Id, Parcel};
/// let parcel = Parcel { id: Id { run: 0xabc, sequence: 7 }, recipient: 1 };
/// assert_eq!(parcel.to_string(), "00000abc00000007-0001");
/// assert_eq!(Parcel::parse(b"00000abc00000007-0001"), Some(parcel));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Parcel {
    /// The message.
    pub id: Id,
    /// Which of its recipients, from 0.
    pub recipient: u16,
}

/// Digits of an [`Id`].
pub const ID_LEN: usize = 16;
/// Length of a [`Parcel`] in text.
pub const PARCEL_LEN: usize = ID_LEN + 5;

impl Id {
    /// Reads exactly [`ID_LEN`] lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Id> {
        if text.len() != ID_LEN {
            return None;
        }
        let value = hex(text)?;
        Some(Id { run: (value >> 32) as u32, sequence: value as u32 })
    }

    /// The digits, without an allocation.
    pub fn digits(self) -> [u8; ID_LEN] {
        let mut out = [0; ID_LEN];
        write_hex(&mut out, u64::from(self.run) << 32 | u64::from(self.sequence));
        out
    }
}

impl Parcel {
    /// Reads what `Display` writes.
    pub fn parse(text: &[u8]) -> Option<Parcel> {
        if text.len() != PARCEL_LEN || text[ID_LEN] != b'-' {
            return None;
        }
        let id = Id::parse(&text[..ID_LEN])?;
        Some(Parcel { id, recipient: hex(&text[ID_LEN + 1..])? as u16 })
    }

    /// Reads the recipient address of a generated message: `m-PARCEL@domain`, with or without brackets.
    pub fn from_address(address: &[u8]) -> Option<Parcel> {
        let start = memchr::memmem::find(address, b"m-")? + 2;
        let text = address.get(start..start + PARCEL_LEN)?;
        (address.get(start + PARCEL_LEN) == Some(&b'@')).then(|| Parcel::parse(text))?
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:08x}", self.run, self.sequence)
    }
}

impl fmt::Display for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:04x}", self.id, self.recipient)
    }
}

/// A run number that no other run of the generator is likely to draw.
pub fn random_run() -> u32 {
    // The standard library seeds this from the kernel; it spares a dependency for 32 bits.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish() as u32
}

/// Up to 16 lower-case hexadecimal digits.
pub fn hex(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// Fills `out` with the last digits of `value`.
pub fn write_hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_survives_text_and_address() {
        let parcel = Parcel { id: Id { run: 0xdead_beef, sequence: 0x0102_0304 }, recipient: 0xfe };
        assert_eq!(parcel.id.digits().as_slice(), parcel.id.to_string().as_bytes());
        assert_eq!(Parcel::parse(parcel.to_string().as_bytes()), Some(parcel));
        let address = format!("<m-{parcel}@d0000.bench.invalid>");
        assert_eq!(Parcel::from_address(address.as_bytes()), Some(parcel));
    }

    #[test]
    fn what_is_not_ours_is_not_read() {
        for text in ["", "m-", "<b@dst.invalid>", "<m-deadbeef01020304@x>", "<m-deadbeef01020304-00FE@x>"] {
            assert_eq!(Parcel::from_address(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Id::parse(b"deadbeef0102030"), None);
        assert_eq!(Id::parse(b"deadbeef0102030g"), None);
    }
}
