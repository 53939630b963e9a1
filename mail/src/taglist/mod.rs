//! The tag=value lists of DKIM (RFC 6376, section 3.2), which ARC, DMARC and BIMI use as well.
//!
//! ```
//! let list = mail::taglist::TagList::parse(b"v=DMARC1; p = reject;")?;
//! assert_eq!(list.get("p"), Some(&b"reject"[..]));
//! # Ok::<(), mail::taglist::TagListError>(())
//! ```

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use crate::limits::{MAX_TAG_LIST_BYTES, MAX_TAGS};

/// Why a tag list was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagListError {
    /// Something else than a tag name at this byte.
    Name(usize),
    /// No `=` after the tag name that ends at this byte.
    Equals(usize),
    /// The tag whose name starts at this byte occurred before.
    Duplicate(usize),
    /// A `v` tag that is not the first one.
    Version,
    /// A control character in a value, at this byte.
    Value(usize),
    /// More bytes or tags than [`crate::limits`] allows.
    TooLarge,
}

impl fmt::Display for TagListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(at) => write!(f, "expected a tag name at byte {at}"),
            Self::Equals(at) => write!(f, "expected = at byte {at}"),
            Self::Duplicate(at) => write!(f, "the tag at byte {at} occurred before"),
            Self::Version => f.write_str("the v tag is not the first one"),
            Self::Value(at) => write!(f, "a control character in a value, at byte {at}"),
            Self::TooLarge => f.write_str("too many bytes or tags"),
        }
    }
}

impl std::error::Error for TagListError {}

/// One tag of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The name; case matters.
    pub name: String,
    /// The value, unfolded, without the white space around it.
    pub value: Vec<u8>,
    /// Where the value stands in the text that was parsed, with the white space around it: from behind the `=` to
    /// the `;` or the end.
    pub span: Range<usize>,
}

/// A parsed list, in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagList {
    tags: Vec<Tag>,
}

impl TagList {
    /// Parses the text of a list. An empty text is an empty list. Bytes above 127 may stand in values, for the
    /// day when the standard allows UTF-8 there.
    pub fn parse(text: &[u8]) -> Result<Self, TagListError> {
        if text.len() > MAX_TAG_LIST_BYTES {
            return Err(TagListError::TooLarge);
        }
        let mut list = Self::default();
        let mut at = skip_space(text, 0);
        while at < text.len() {
            let tag = parse_tag(text, at)?;
            at = skip_space(text, (tag.span.end + 1).min(text.len()));
            list.push(tag)?;
        }
        Ok(list)
    }

    /// The value of the tag with this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.tag(name).map(|tag| tag.value.as_slice())
    }

    /// The tag with this name.
    pub fn tag(&self, name: &str) -> Option<&Tag> {
        self.tags.iter().find(|tag| tag.name == name)
    }

    /// All tags in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.tags.iter()
    }

    fn push(&mut self, parsed: Parsed<'_>) -> Result<(), TagListError> {
        if self.tags.len() == MAX_TAGS {
            return Err(TagListError::TooLarge);
        }
        if self.tag(parsed.name).is_some() {
            return Err(TagListError::Duplicate(parsed.start));
        }
        if parsed.name == "v" && !self.tags.is_empty() {
            return Err(TagListError::Version);
        }
        self.tags.push(Tag { name: parsed.name.to_owned(), value: parsed.value, span: parsed.span });
        Ok(())
    }
}

impl<'a> IntoIterator for &'a TagList {
    type Item = &'a Tag;
    type IntoIter = std::slice::Iter<'a, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

struct Parsed<'a> {
    name: &'a str,
    start: usize,
    value: Vec<u8>,
    span: Range<usize>,
}

fn parse_tag(text: &[u8], start: usize) -> Result<Parsed<'_>, TagListError> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let name_end = start + text[start..].iter().take_while(is_name).count();
    if name_end == start || text[start] == b'_' {
        return Err(TagListError::Name(start));
    }
    let name = std::str::from_utf8(&text[start..name_end]).expect("a tag name is ASCII");
    let equals = skip_space(text, name_end);
    if text.get(equals) != Some(&b'=') {
        return Err(TagListError::Equals(equals));
    }
    let end = memchr::memchr(b';', &text[equals..]).map_or(text.len(), |length| equals + length);
    let span = equals + 1..end;
    if let Some(bad) = text[span.clone()].iter().position(|&byte| is_control(byte)) {
        return Err(TagListError::Value(span.start + bad));
    }
    let raw = text[span.clone()].trim_ascii();
    let value = raw.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    Ok(Parsed { name, start, value, span })
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !is_space(byte)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn skip_space(text: &[u8], from: usize) -> usize {
    from + text[from..].iter().take_while(|&&byte| is_space(byte)).count()
}
