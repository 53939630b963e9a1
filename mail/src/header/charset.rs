//! Bytes of some charset, or of none that was named, as UTF-8.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

use crate::limits::DETECT_BYTES_MAX;

/// Decodes `bytes` from the named charset. `None` when the charset is unknown or the bytes are not of it.
pub fn decode_charset(charset: &[u8], bytes: &[u8]) -> Option<String> {
    let encoding = Encoding::for_label_no_replacement(charset)?;
    encoding.decode_without_bom_handling_and_without_replacement(bytes).map(Cow::into_owned)
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
