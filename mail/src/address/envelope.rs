//! Addresses of MAIL and RCPT, as scripts take them apart.

use std::borrow::Cow;

use crate::compat::UNQUOTE_LOCAL_PART;

/// A parsed address; both empty for the null sender.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnvelopeAddress {
    /// Without quotes.
    pub local_part: Vec<u8>,
    /// A domain, or an address literal with its brackets.
    pub domain: Vec<u8>,
}

/// Parses `local@domain` as RFC 5321 4.1.2 has it, with UTF-8 as RFC 6531 does. Angle brackets around it are
/// dropped; the empty address is the null sender. `None` for what is no address.
pub fn parse_envelope(text: &[u8]) -> Option<EnvelopeAddress> {
    let text = text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")).unwrap_or(text);
    if text.is_empty() {
        return Some(EnvelopeAddress::default());
    }
    let (local_part, rest) = match text.strip_prefix(b"\"") {
        Some(quoted) => quoted_local_part(text, quoted)?,
        None => {
            let end = text.iter().position(|byte| *byte == b'@')?;
            (text[..end].to_vec(), &text[end..])
        }
    };
    let is_quoted = text.starts_with(b"\"");
    let domain = rest.strip_prefix(b"@")?;
    if !(is_quoted || is_dot_string(&local_part)) || !is_domain(domain) {
        return None;
    }
    Some(EnvelopeAddress { local_part, domain: domain.to_vec() })
}

/// The content of a quoted string (or, if so chosen, the quoted string), and what follows it.
fn quoted_local_part<'a>(text: &'a [u8], quoted: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
    let mut content = Vec::new();
    let mut position = 0;
    loop {
        let byte = *quoted.get(position)?;
        position += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                content.push(*quoted.get(position).filter(|byte| (b' '..=b'~').contains(*byte))?);
                position += 1;
            }
            b' '..=b'~' | 0x80.. => content.push(byte),
            _ => return None,
        }
    }
    let local_part = if UNQUOTE_LOCAL_PART { content } else { text[..=position].to_vec() };
    Some((local_part, &quoted[position..]))
}

/// RFC 5321 4.1.2 Dot-string: atoms with single dots between them.
fn is_dot_string(text: &[u8]) -> bool {
    let is_atext =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(byte);
    !text.is_empty()
        && text.split(|byte| *byte == b'.').all(|atom| !atom.is_empty() && atom.iter().all(is_atext))
}

/// Labels of letters, digits, hyphens and underscores, or an address literal.
fn is_domain(text: &[u8]) -> bool {
    if let Some(literal) = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")) {
        return !literal.is_empty()
            && literal.iter().all(|byte| byte.is_ascii_graphic() && !b"[]\\".contains(byte));
    }
    let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"-_".contains(byte);
    text.len() <= 255
        && text.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(is_label))
}

/// The local part as it is written in an address: quoted, with escapes, unless it is a dot-string. Control characters
/// cannot be written and are left out.
pub fn escape_local_part(text: &[u8]) -> Cow<'_, [u8]> {
    if is_dot_string(text) {
        return Cow::Borrowed(text);
    }
    let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_control()).collect();
    if is_dot_string(&text) {
        return Cow::Owned(text);
    }
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    for byte in &text {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'"');
    Cow::Owned(quoted)
}
