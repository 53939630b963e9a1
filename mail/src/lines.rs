//! Line ends: in a message on its way each line ends in CRLF, and there is no other CR or LF (RFC 5321 2.3.8, RFC 2046
//! 4.1.1). What a script writes may have them otherwise; what becomes lines of a message is made so.

use bytes::Bytes;

/// `text` with CRLF at the end of each of its lines: a CR or LF that is no part of a CRLF ends a line, too. Shares the
/// memory of what has nothing else.
pub fn with_crlf(text: impl Into<Bytes>) -> Bytes {
    let text = text.into();
    if are_clean(&text) { text } else { converted(&text).into() }
}

/// Whether each CR and each LF is part of a CRLF.
pub fn are_clean(text: &[u8]) -> bool {
    joint_is_clean(b'\n', text.first().copied().unwrap_or(b' '))
        && text.last() != Some(&b'\r')
        && between_are_clean(text)
}

/// Whether two neighbours are either both of a CRLF or neither.
pub(crate) fn joint_is_clean(before: u8, after: u8) -> bool {
    (before == b'\r') == (after == b'\n')
}

/// The same for all neighbours in `text`. Without a branch, so that many bytes are looked at at once.
pub(crate) fn between_are_clean(text: &[u8]) -> bool {
    let pairs = text.iter().zip(text.iter().skip(1));
    pairs.fold(true, |clean, (before, after)| clean & joint_is_clean(*before, *after))
}

fn converted(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len() + text.len() / 32 + 16);
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        let end = if rest[at..].starts_with(b"\r\n") { at + 2 } else { at + 1 };
        lines.extend_from_slice(&rest[..at]);
        lines.extend_from_slice(b"\r\n");
        rest = &rest[end..];
    }
    lines.extend_from_slice(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_ends_in_crlf() {
        for (given, lines) in [
            ("", ""),
            ("a", "a"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\nb", "a\r\nb"),
            ("\na\n\n", "\r\na\r\n\r\n"),
            ("a\rb\r", "a\r\nb\r\n"),
            ("a\r\r\nb\n\r", "a\r\n\r\nb\r\n\r\n"),
            ("\r\n\n", "\r\n\r\n"),
        ] {
            assert_eq!(with_crlf(given), lines, "{given:?}");
            assert_eq!(are_clean(given.as_bytes()), given == lines, "{given:?}");
            assert!(are_clean(lines.as_bytes()), "{lines:?}");
        }
        let clean = Bytes::from_static(b"a\r\n");
        assert_eq!(with_crlf(clean.clone()).as_ptr(), clean.as_ptr(), "it is not copied");
    }
}
