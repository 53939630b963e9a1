//! Little-endian numbers, variable-length numbers, byte strings.

use std::fmt;

use bytes::Bytes;

/// Bytes that do not follow the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Ends too early.
    Short,
    /// Not what stands at the beginning of this kind of thing.
    Magic,
    /// A checksum does not match.
    Checksum,
    /// A checksum of body bytes does not match; the record itself is good.
    Body,
    /// A value outside its range; names the field.
    Value(&'static str),
    /// Valid, but of another segment, place or use.
    Foreign,
    /// A later format.
    TooNew,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bad::Short => write!(f, "ends too early"),
            Bad::Magic => write!(f, "not a record"),
            Bad::Checksum => write!(f, "checksum does not match"),
            Bad::Body => write!(f, "checksum of the body does not match"),
            Bad::Value(field) => write!(f, "bad value of {field}"),
            Bad::Foreign => write!(f, "belongs to another place"),
            Bad::TooNew => write!(f, "written by a later release"),
        }
    }
}

impl std::error::Error for Bad {}

/// Appends numbers and strings to a `Vec`.
pub trait Put {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// Two bytes.
    fn put_u16(&mut self, value: u16);
    /// Four bytes.
    fn put_u32(&mut self, value: u32);
    /// Eight bytes.
    fn put_u64(&mut self, value: u64);
    /// Seven bits a byte, low first, the top bit set on all but the last.
    fn put_varint(&mut self, value: u64);
    /// A length as varint, and the bytes.
    fn put_string(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value as u8 & 0x7f) | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }
    fn put_string(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Reads what [`Put`] wrote, from untrusted bytes.
#[derive(Clone, Copy, Debug)]
pub struct Get<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Holds `bytes`.
    whole: Option<&'a Bytes>,
}

impl<'a> From<&'a [u8]> for Get<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Get::new(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Get<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Get::new(bytes)
    }
}

impl<'a> From<&'a Bytes> for Get<'a> {
    fn from(whole: &'a Bytes) -> Self {
        Get { whole: Some(whole), ..Get::new(whole) }
    }
}

impl<'a> Get<'a> {
    /// From the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Get { bytes, at: 0, whole: None }
    }
    /// Where the next read begins.
    pub fn position(&self) -> usize {
        self.at
    }
    /// Bytes left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }
    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Bad> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..len).ok_or(Bad::Short)?;
        self.at += len;
        Ok(taken)
    }
    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        Ok(self.take(N)?.try_into().expect("of that length"))
    }
    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Bad> {
        Ok(self.take(1)?[0])
    }
    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Bad> {
        Ok(u16::from_le_bytes(self.array()?))
    }
    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Bad> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Bad> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    /// A variable-length number.
    pub fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(Bad::Value("varint"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Bad::Value("varint"))
    }
    /// A variable-length number that fits 32 bits.
    pub fn varint32(&mut self) -> Result<u32, Bad> {
        u32::try_from(self.varint()?).map_err(|_| Bad::Value("varint"))
    }
    /// A count of things that take at least `each` bytes: bounds what a caller allocates for them.
    pub fn count(&mut self, each: usize) -> Result<usize, Bad> {
        let count = usize::try_from(self.varint()?).map_err(|_| Bad::Value("count"))?;
        if count > self.remaining() / each.max(1) {
            return Err(Bad::Short);
        }
        Ok(count)
    }
    /// A byte string.
    pub fn string(&mut self) -> Result<&'a [u8], Bad> {
        let len = usize::try_from(self.varint()?).map_err(|_| Bad::Short)?;
        self.take(len)
    }
    /// The same, to be kept: it shares the [`Bytes`] that are read from, or is a copy where they are none.
    pub fn shared(&mut self) -> Result<Bytes, Bad> {
        let string = self.string()?;
        Ok(self.keep(string))
    }
    /// All that is left, to be kept likewise.
    pub fn rest(&mut self) -> Bytes {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        self.keep(rest)
    }
    fn keep(&self, part: &[u8]) -> Bytes {
        self.whole.map_or_else(|| Bytes::copy_from_slice(part), |whole| whole.slice_ref(part))
    }
    /// Nothing may be left.
    pub fn end(&self) -> Result<(), Bad> {
        if self.remaining() == 0 { Ok(()) } else { Err(Bad::Value("trailing bytes")) }
    }
}
