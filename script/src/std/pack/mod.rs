//! `pack` and `unpack`: hsl-stdlib 8.5.

mod format;
#[cfg(test)]
mod tests;

use self::format::{Codes, Count};
use crate::fault::Fault;
use crate::limits::{MAX_ARRAY_ITEMS, MAX_PACK_COUNT};
use crate::native::{Call, Native};
use crate::value::{Array, Value};

/// On one core of a busy machine single bytes, the worst case, took 266 µs for twice as many.
const INLINE_BYTES: usize = 8 << 10;

/// The natives of this folder.
pub static NATIVES: &[Native] = &[
    Native::sized(
        "pack",
        "string format [, ...args]",
        (1, None),
        "Bytes of the arguments by format codes, each with an optional count or *: a (bytes, filled with NUL), Z (with a \
         NUL at the end), H (hex), C (8 bits), n N (16, 32 bits big endian), v V (little endian), E e (double big, little \
         endian), x (NUL bytes). None if the arguments do not fit the format.",
        INLINE_BYTES,
        pack,
    ),
    Native::sized(
        "unpack",
        "string format, string data [, number offset = 0]",
        (2, Some(3)),
        "The list of values in the data by the codes of pack, and c (8 bits signed); none if there is too little data.",
        INLINE_BYTES,
        unpack,
    ),
];

fn pack(call: &mut Call<'_>) -> Result<Value, Fault> {
    let mut packer = Packer { out: Vec::new(), args: &call.args()[1..], counted: 0 };
    for code in Codes(call.bytes(0)?) {
        let (code, count) = code.map_err(|_| call.error("a count in the format is too large"))?;
        if packer.code(code, count)?.is_none() {
            return Ok(Value::None);
        }
    }
    Ok(if packer.args.is_empty() { Value::from(packer.out) } else { Value::None })
}

struct Packer<'a> {
    out: Vec<u8>,
    args: &'a [Value],
    /// The counts so far.
    counted: usize,
}

impl Packer<'_> {
    /// Adds what one code means; none if the arguments do not fit.
    fn code(&mut self, code: u8, count: Count) -> Result<Option<()>, Fault> {
        if let Count::Exactly(count) = count {
            self.counted += count;
            if self.counted > MAX_PACK_COUNT {
                return Err(Fault::error(format!(
                    "pack(): the counts in the format exceed {MAX_PACK_COUNT} together"
                )));
            }
        }
        match code {
            b'a' | b'Z' => Ok(self.text(code, count)),
            b'H' => Ok(self.hex(count)),
            b'x' => {
                self.out.resize(self.out.len() + count.or_all(0), 0);
                Ok(Some(()))
            }
            b'C' | b'n' | b'N' | b'v' | b'V' | b'E' | b'e' => Ok(self.numbers(code, count)),
            _ => Err(Fault::error(format!("pack(): unknown code {:?} in the format", char::from(code)))),
        }
    }

    fn take(&mut self) -> Option<&Value> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    fn text(&mut self, code: u8, count: Count) -> Option<()> {
        let text = self.take()?.to_text().ok()?;
        let (length, kept) = match count {
            Count::All => (text.len() + usize::from(code == b'Z'), text.len()),
            // The NUL of Z belongs to the count.
            _ => {
                let length = count.or_all(0);
                (length, text.len().min(length.saturating_sub(usize::from(code == b'Z'))))
            }
        };
        self.out.extend_from_slice(&text[..kept]);
        self.out.resize(self.out.len() + length - kept, 0);
        Some(())
    }

    fn hex(&mut self, count: Count) -> Option<()> {
        let text = self.take()?.to_text().ok()?;
        let digits = count.or_all(text.len());
        let text = text.get(..digits)?;
        for pair in text.chunks(2) {
            let digit = |at: usize| pair.get(at).map_or(Some(0), |&byte| (byte as char).to_digit(16));
            self.out.push((digit(0)? << 4 | digit(1)?) as u8);
        }
        Some(())
    }

    fn numbers(&mut self, code: u8, count: Count) -> Option<()> {
        for _ in 0..count.or_all(self.args.len()) {
            let number = match self.take()? {
                Value::Number(number) => *number,
                Value::Bool(flag) => f64::from(u8::from(*flag)),
                _ => return None,
            };
            // Larger numbers lose their upper bits, negative ones are two's complement.
            let integer = number as i64;
            match code {
                b'C' => self.out.push(integer as u8),
                b'n' => self.out.extend_from_slice(&(integer as u16).to_be_bytes()),
                b'N' => self.out.extend_from_slice(&(integer as u32).to_be_bytes()),
                b'v' => self.out.extend_from_slice(&(integer as u16).to_le_bytes()),
                b'V' => self.out.extend_from_slice(&(integer as u32).to_le_bytes()),
                b'E' => self.out.extend_from_slice(&number.to_be_bytes()),
                _ => self.out.extend_from_slice(&number.to_le_bytes()),
            }
        }
        Some(())
    }
}

fn unpack(call: &mut Call<'_>) -> Result<Value, Fault> {
    let offset = call.opt_integer(2)?.unwrap_or(0);
    let data = call.bytes(1)?;
    let Some(data) = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)) else {
        return Ok(Value::None);
    };
    let mut unpacker = Unpacker { data, values: Vec::new() };
    for code in Codes(call.bytes(0)?) {
        let (code, count) = code.map_err(|_| call.error("a count in the format is too large"))?;
        if unpacker.code(code, count)?.is_none() {
            return Ok(Value::None);
        }
        if unpacker.values.len() > MAX_ARRAY_ITEMS {
            return Err(call.error(format!("more than {MAX_ARRAY_ITEMS} values")));
        }
    }
    Ok(Value::from(Array::from_list(unpacker.values)))
}

struct Unpacker<'a> {
    data: &'a [u8],
    values: Vec<Value>,
}

impl<'a> Unpacker<'a> {
    /// Reads what one code means; none if there is too little data.
    fn code(&mut self, code: u8, count: Count) -> Result<Option<()>, Fault> {
        match code {
            b'a' => {
                Ok(self.take(count.or_all(self.data.len())).map(|bytes| self.values.push(Value::from(bytes))))
            }
            b'Z' => Ok(self.terminated(count)),
            b'H' => Ok(self.hex(count)),
            b'x' => Ok(self.take(count.or_all(self.data.len())).map(drop)),
            b'c' | b'C' => {
                self.numbers(
                    count,
                    |[byte]: [u8; 1]| {
                        if code == b'c' { f64::from(byte as i8) } else { f64::from(byte) }
                    },
                )
            }
            b'n' => self.numbers(count, |bytes| f64::from(u16::from_be_bytes(bytes))),
            b'N' => self.numbers(count, |bytes| f64::from(u32::from_be_bytes(bytes))),
            b'v' => self.numbers(count, |bytes| f64::from(u16::from_le_bytes(bytes))),
            b'V' => self.numbers(count, |bytes| f64::from(u32::from_le_bytes(bytes))),
            b'E' => self.numbers(count, f64::from_be_bytes),
            b'e' => self.numbers(count, f64::from_le_bytes),
            _ => Err(Fault::error(format!("unpack(): unknown code {:?} in the format", char::from(code)))),
        }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.data.split_at_checked(length)?;
        self.data = rest;
        Some(taken)
    }

    /// A text up to its NUL: `Z*` ends behind the NUL, a count takes that many bytes whatever is in them.
    fn terminated(&mut self, count: Count) -> Option<()> {
        let length = match count {
            Count::All => memchr::memchr(0, self.data).map_or(self.data.len(), |end| end + 1),
            _ => count.or_all(0),
        };
        let taken = self.take(length)?;
        let text = &taken[..memchr::memchr(0, taken).unwrap_or(taken.len())];
        self.values.push(Value::from(text));
        Some(())
    }

    fn hex(&mut self, count: Count) -> Option<()> {
        let digits = count.or_all(self.data.len() * 2);
        let mut text = data_encoding::HEXLOWER.encode(self.take(digits.div_ceil(2))?);
        text.truncate(digits);
        self.values.push(Value::from(text));
        Some(())
    }

    fn numbers<const N: usize>(
        &mut self,
        count: Count,
        read: impl Fn([u8; N]) -> f64,
    ) -> Result<Option<()>, Fault> {
        let count = count.or_all(self.data.len() / N);
        if count > MAX_ARRAY_ITEMS {
            return Err(Fault::error(format!("unpack(): more than {MAX_ARRAY_ITEMS} values")));
        }
        for _ in 0..count {
            let Some(bytes) = self.take(N).and_then(|bytes| bytes.try_into().ok()) else { return Ok(None) };
            self.values.push(Value::from(read(bytes)));
        }
        Ok(Some(()))
    }
}
