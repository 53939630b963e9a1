//! Distinguished names as text (RFC 4514).

/// One attribute and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The first attribute of each relative name, in their order; none: it is no name.
pub(super) fn parse(text: &[u8]) -> Option<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut rest = without_blanks(text);
    if rest.is_empty() {
        return Some(pairs);
    }
    loop {
        let (pair, mut behind) = attribute(rest)?;
        pairs.push(pair);
        while let Some(others) = behind.strip_prefix(b"+") {
            behind = attribute(others)?.1;
        }
        match behind.split_first() {
            None => return Some(pairs),
            Some((b',' | b';', behind)) => rest = behind,
            Some(_) => return None,
        }
    }
}

/// Without the blanks around it; a blank at the end that is escaped belongs to the name.
fn without_blanks(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    let end = text.trim_ascii_end().len();
    let backslashes = text[..end].iter().rev().take_while(|byte| **byte == b'\\').count();
    &text[..text.len().min(end + backslashes % 2)]
}

/// The text of a name; none: an attribute has no name.
pub(super) fn print(pairs: &[Pair]) -> Option<Vec<u8>> {
    let texts: Option<Vec<Vec<u8>>> = pairs
        .iter()
        .map(|(attribute, value)| {
            let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
            let named = !attribute.is_empty() && attribute.iter().all(good);
            named.then(|| [attribute, &b"="[..], &escape(value)].concat())
        })
        .collect();
    Some(texts?.join(&b","[..]))
}

/// `attribute=value`, and what stands behind it.
fn attribute(text: &[u8]) -> Option<(Pair, &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let name = text[..at].trim_ascii();
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if name.is_empty() || !name.iter().all(good) {
        return None;
    }
    let (value, rest) = value(text[at + 1..].trim_ascii_start())?;
    Some(((name.to_vec(), value), rest))
}

fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        return quoted_value(quoted);
    }
    let end = end_of(text);
    if let Some(digits) = text[..end].strip_prefix(b"#") {
        let digits = digits.trim_ascii_end();
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?;
        return Some((bytes, &text[end..]));
    }
    let mut value = Vec::new();
    // Blanks at the end count only when they are escaped.
    let mut kept = 0;
    let mut rest = &text[..end];
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\\' => {
                let (escaped, behind) = escaped(rest)?;
                value.push(escaped);
                kept = value.len();
                rest = behind;
            }
            b'"' => return None,
            b' ' => value.push(b' '),
            byte => {
                value.push(*byte);
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    Some((value, &text[end..]))
}

/// As RFC 2253 still allows.
fn quoted_value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        match byte {
            b'"' => return Some((value, rest.trim_ascii_start())),
            b'\\' => {
                let (escaped, behind) = escaped(rest)?;
                value.push(escaped);
                rest = behind;
            }
            byte => value.push(*byte),
        }
    }
}

/// What a backslash stands before: two hexadecimal digits, or a character.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (byte, rest) = text.split_first()?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    match (digit(byte), rest.split_first()) {
        (Some(high), Some((second, rest))) if digit(second).is_some() => {
            Some(((high * 16 + digit(second)?) as u8, rest))
        }
        (Some(_), _) => None,
        (None, _) => Some((*byte, rest)),
    }
}

/// Where a separator stands that is not escaped.
fn end_of(text: &[u8]) -> usize {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b',' | b';' | b'+' => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn escape(value: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for (index, byte) in value.iter().enumerate() {
        let at_end = index == 0 || index + 1 == value.len();
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b'=' => escaped.extend([b'\\', *byte]),
            b' ' if at_end => escaped.extend(b"\\ "),
            b'#' if index == 0 => escaped.extend(b"\\#"),
            0..0x20 | 0x7f => escaped.extend(format!("\\{byte:02X}").as_bytes()),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pairs: Vec<Pair>) -> Vec<String> {
        let text = |(name, value): Pair| {
            format!("{}={}", String::from_utf8_lossy(&name), String::from_utf8_lossy(&value))
        };
        pairs.into_iter().map(text).collect()
    }

    #[test]
    fn names_are_read_and_written() {
        let cases: &[(&str, &[&str], &str)] = &[
            (
                "cn=admin,dc=example,dc=org",
                &["cn=admin", "dc=example", "dc=org"],
                "cn=admin,dc=example,dc=org",
            ),
            ("CN = a b , o=x", &["CN=a b", "o=x"], "CN=a b,o=x"),
            (
                "CN=James \\\"Jim\\\" Smith\\, III",
                &["CN=James \"Jim\" Smith, III"],
                "CN=James \\\"Jim\\\" Smith\\, III",
            ),
            ("cn=\\20a\\20", &["cn= a "], "cn=\\ a\\ "),
            ("ou=Sales+CN=x,o=y", &["ou=Sales", "o=y"], "ou=Sales,o=y"),
            ("cn=\"a,b\",o=y", &["cn=a,b", "o=y"], "cn=a\\,b,o=y"),
            ("1.3.6=#0403414243", &["1.3.6=\u{4}\u{3}ABC"], "1.3.6=\\04\\03ABC"),
            ("cn=Lu\\C4\\8Di\\C4\\87", &["cn=Lučić"], "cn=Lučić"),
            ("cn=", &["cn="], "cn="),
            ("", &[], ""),
        ];
        for (text, expected, printed) in cases {
            let pairs = parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(String::from_utf8(print(&pairs).unwrap()).unwrap(), *printed);
            assert_eq!(texts(pairs), *expected, "{text}");
        }
    }

    /// It was taken for a backslash before nothing, so that a name that was written was no name.
    #[test]
    fn a_blank_at_the_end_that_is_escaped_is_kept() {
        for (text, value) in [("cn=a\\ ", "a "), ("cn=a\\  \n", "a "), ("cn=\\\\ ", "\\"), (" cn=\\  ", " ")]
        {
            let pairs = parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(pairs, [(b"cn".to_vec(), value.as_bytes().to_vec())], "{text}");
            assert_eq!(parse(&print(&pairs).unwrap()), Some(pairs), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["cn", "=x", "cn=a,", "cn=a\\", "cn=a\\2", "cn=\"a", "cn=#1", "c n=x", "cn=\"a\"b", "cn=a,,o=b"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(print(&[(b"a=b".to_vec(), Vec::new())]), None);
    }
}
