//! The Basic Encoding Rules (X.690), as far as LDAP uses them (RFC 4511, section 5.1): definite lengths, tags of one byte.

use crate::limits::LDAP_MESSAGE_BYTES_MAX;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// It is not BER, or not what stands there in LDAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadBer;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: its tag and its content.
    pub(super) fn element(&mut self) -> Result<(u8, &'a [u8]), BadBer> {
        let (tag, length, header) = header(self.0)?.ok_or(BadBer)?;
        let content = self.0.get(header..header + length).ok_or(BadBer)?;
        self.0 = &self.0[header + length..];
        Ok((tag, content))
    }

    /// The content of the next element, which has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], BadBer> {
        match self.element()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(BadBer),
        }
    }

    /// What is in the next element, which has this tag.
    pub(super) fn within(&mut self, tag: u8) -> Result<Reader<'a>, BadBer> {
        self.expect(tag).map(Reader)
    }

    /// A number that fits.
    pub(super) fn number(&mut self, tag: u8) -> Result<i32, BadBer> {
        let content = self.expect(tag)?;
        let (Some(first), true) = (content.first(), content.len() <= 4) else { return Err(BadBer) };
        let sign = if first & 0x80 == 0 { 0 } else { -1 };
        Ok(content.iter().fold(sign, |number, byte| (number << 8) | i32::from(*byte)))
    }
}

/// The length of the message that `input` begins with, if that can be told.
pub(super) fn frame(input: &[u8]) -> Result<Option<usize>, BadBer> {
    match header(input)? {
        Some((SEQUENCE, length, header)) if header + length <= LDAP_MESSAGE_BYTES_MAX => {
            Ok(Some(header + length))
        }
        Some(_) => Err(BadBer),
        None => Ok(None),
    }
}

/// Tag, length of the content, length of the header; none: it is not all there.
fn header(input: &[u8]) -> Result<Option<(u8, usize, usize)>, BadBer> {
    let [tag, first, rest @ ..] = input else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(BadBer);
    }
    if first & 0x80 == 0 {
        return Ok(Some((*tag, usize::from(*first), 2)));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Err(BadBer);
    }
    let Some(bytes) = rest.get(..count) else { return Ok(None) };
    let length = bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    Ok(Some((*tag, length, 2 + count)))
}

/// An element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        short @ ..0x80 => bytes.push(short as u8),
        long => {
            let length = long.to_be_bytes();
            let skip = length.iter().take_while(|byte| **byte == 0).count();
            bytes.push(0x80 | (length.len() - skip) as u8);
            bytes.extend(&length[skip..]);
        }
    }
    bytes.extend(content);
    bytes
}

/// An element of others.
pub(super) fn constructed(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// A number, in as few bytes as it takes.
pub(super) fn number(tag: u8, number: i32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let mut skip = 0;
    while skip < 3
        && (bytes[skip] == 0 && bytes[skip + 1] & 0x80 == 0
            || bytes[skip] == 0xff && bytes[skip + 1] & 0x80 != 0)
    {
        skip += 1;
    }
    element(tag, &bytes[skip..])
}

/// True or false.
pub(super) fn boolean(value: bool) -> Vec<u8> {
    element(BOOLEAN, &[if value { 0xff } else { 0 }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for value in [0, 1, 127, 128, 255, 256, 65_535, i32::MAX, -1, -128, -129, i32::MIN] {
            let bytes = number(INTEGER, value);
            assert_eq!(Reader::new(&bytes).number(INTEGER), Ok(value));
        }
        assert_eq!(number(INTEGER, 128), [2, 2, 0, 128]);
        for length in [0, 127, 128, 255, 256, 70_000] {
            let bytes = element(SEQUENCE, &vec![7; length]);
            assert_eq!(frame(&bytes), Ok(Some(bytes.len())));
            assert_eq!(Reader::new(&bytes).expect(SEQUENCE).unwrap().len(), length);
            assert!(Reader::new(&bytes[..bytes.len() - 1]).element().is_err());
        }
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in [
            &[0x30, 0x80][..],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x31, 0],
            &[0x1f, 0x85],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(frame(bytes), Err(BadBer), "{bytes:x?}");
        }
        for bytes in [&[][..], &[0x30], &[0x30, 0x82, 1]] {
            assert_eq!(frame(bytes), Ok(None), "{bytes:x?}");
        }
        assert!(Reader::new(&[2, 5, 1, 1, 1, 1, 1]).number(INTEGER).is_err());
        assert!(Reader::new(&[2, 0]).number(INTEGER).is_err());
    }
}
