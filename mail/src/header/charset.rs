//! Bytes of some charset, or of none that was named, as UTF-8.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::limits::DETECT_BYTES_MAX;

/// Decodes `bytes` from the named charset. `None` when the charset is unknown or the bytes are not of it.
pub fn decode_charset(charset: &[u8], bytes: &[u8]) -> Option<String> {
    let encoding = Encoding::for_label_no_replacement(charset)?;
    let (encoding, bytes) = match bytes {
        // Big-endian, unless a mark says so or otherwise (RFC 2781 4.3).
        _ if !charset.trim_ascii().eq_ignore_ascii_case(b"utf-16") => (encoding, bytes),
        [0xff, 0xfe, rest @ ..] => (UTF_16LE, rest),
        [0xfe, 0xff, rest @ ..] => (UTF_16BE, rest),
        bytes => (UTF_16BE, bytes),
    };
    encoding.decode_without_bom_handling_and_without_replacement(bytes).map(Cow::into_owned)
}

/// Whether the label is that of a charset which nothing here can decode, so that a guess would be wrong: cp437, UTF-7. One
/// that says that the charset is not known (RFC 1428) is none.
pub(super) fn is_foreign(charset: &[u8]) -> bool {
    let says_nothing = |name: &[u8]| {
        let start = charset.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    Encoding::for_label_no_replacement(charset).is_none()
        && ![&b"unknown"[..], b"x-unknown", b"default"].into_iter().any(says_nothing)
}

/// Valid UTF-8 whatever the bytes are: UTF-8 as it is, else the charset of the part, else what the detector
/// says, with replacement characters for what fits nowhere.
pub fn to_utf8<'a>(bytes: &'a [u8], part_charset: Option<&[u8]>) -> Cow<'a, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    if let Some(text) = part_charset.and_then(|charset| decode_charset(charset, bytes)) {
        return Cow::Owned(text);
    }
    detect(bytes).decode_without_bom_handling(bytes).0
}

fn detect(bytes: &[u8]) -> &'static Encoding {
    let sample = &bytes[..bytes.len().min(DETECT_BYTES_MAX)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    if guess == UTF_8 { encoding_rs::WINDOWS_1252 } else { guess }
}
