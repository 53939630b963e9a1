//! Filters of a search: from text (RFC 4515) to what is sent (RFC 4511, section 4.5.1.7).

use super::ber::{OCTETS, SEQUENCE, constructed, element};
use crate::limits::LDAP_FILTER_DEPTH_MAX;

/// The text is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadFilter;

/// The filter of a text. Around a single comparison there need be no parentheses.
pub(super) fn parse(text: &[u8]) -> Result<Vec<u8>, BadFilter> {
    let text = text.trim_ascii();
    if !text.starts_with(b"(") {
        return comparison(text);
    }
    let mut parser = Parser { rest: text };
    let filter = parser.filter(0)?;
    if parser.rest.is_empty() { Ok(filter) } else { Err(BadFilter) }
}

/// A text such that it stands for itself in a filter.
pub(super) fn escape(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'*' | b'(' | b')' | b'\\' | 0 => escaped.extend(format!("\\{byte:02x}").as_bytes()),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn filter(&mut self, depth: usize) -> Result<Vec<u8>, BadFilter> {
        if depth > LDAP_FILTER_DEPTH_MAX {
            return Err(BadFilter);
        }
        self.take(b'(')?;
        let filter = match self.rest.first() {
            Some(b'&') => self.list(0xa0, depth)?,
            Some(b'|') => self.list(0xa1, depth)?,
            Some(b'!') => {
                self.take(b'!')?;
                element(0xa2, &self.filter(depth + 1)?)
            }
            _ => {
                let end = self.rest.iter().position(|byte| matches!(byte, b'(' | b')')).ok_or(BadFilter)?;
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                comparison(text)?
            }
        };
        self.take(b')')?;
        Ok(filter)
    }

    /// Any number of filters; none at all is true or false (RFC 4526).
    fn list(&mut self, tag: u8, depth: usize) -> Result<Vec<u8>, BadFilter> {
        self.rest = &self.rest[1..];
        let mut filters = Vec::new();
        while self.rest.first() == Some(&b'(') {
            filters.push(self.filter(depth + 1)?);
        }
        Ok(constructed(tag, &filters))
    }

    fn take(&mut self, byte: u8) -> Result<(), BadFilter> {
        self.rest = self.rest.strip_prefix(&[byte]).ok_or(BadFilter)?;
        // Blanks between filters are often seen.
        if matches!(byte, b'(' | b')' | b'!') {
            self.rest = self.rest.trim_ascii_start();
        }
        Ok(())
    }
}

/// `attribute=value` and its kin.
fn comparison(text: &[u8]) -> Result<Vec<u8>, BadFilter> {
    let at = text.iter().position(|byte| *byte == b'=').ok_or(BadFilter)?;
    let (before, value) = (&text[..at], &text[at + 1..]);
    let (attribute, tag) = match before.split_last() {
        Some((b'>', attribute)) => (attribute, 0xa5),
        Some((b'<', attribute)) => (attribute, 0xa6),
        Some((b'~', attribute)) => (attribute, 0xa8),
        Some((b':', attribute)) => return extensible(attribute, value),
        _ => (before, 0xa3),
    };
    let attribute = description(attribute)?;
    if tag == 0xa3 && value == b"*" {
        return Ok(element(0x87, attribute));
    }
    if tag == 0xa3 && value.contains(&b'*') {
        return substrings(attribute, value);
    }
    let value = unescape(value)?;
    Ok(constructed(tag, &[element(OCTETS, attribute), element(OCTETS, &value)]))
}

/// `initial*any*final`, each of which may be missing.
fn substrings(attribute: &[u8], value: &[u8]) -> Result<Vec<u8>, BadFilter> {
    let pieces: Vec<&[u8]> = value.split(|byte| *byte == b'*').collect();
    let mut parts = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let tag = match index {
            0 => 0x80,
            last if last + 1 == pieces.len() => 0x82,
            _ => 0x81,
        };
        if !piece.is_empty() {
            parts.push(element(tag, &unescape(piece)?));
        }
    }
    if parts.is_empty() {
        return Err(BadFilter);
    }
    Ok(constructed(0xa4, &[element(OCTETS, attribute), constructed(SEQUENCE, &parts)]))
}

/// `attribute:dn:rule:=value`, of which all but one of attribute and rule may be missing.
fn extensible(text: &[u8], value: &[u8]) -> Result<Vec<u8>, BadFilter> {
    let mut words = text.split(|byte| *byte == b':');
    let attribute = words.next().filter(|word| !word.is_empty());
    let mut rest: Vec<&[u8]> = words.collect();
    let dn = rest.first().is_some_and(|word| word.eq_ignore_ascii_case(b"dn"));
    if dn {
        rest.remove(0);
    }
    let rule = match rest[..] {
        [] => None,
        [rule] => Some(description(rule)?),
        _ => return Err(BadFilter),
    };
    let mut parts = Vec::new();
    if let Some(rule) = rule {
        parts.push(element(0x81, rule));
    }
    if let Some(attribute) = attribute {
        parts.push(element(0x82, description(attribute)?));
    }
    if parts.is_empty() {
        return Err(BadFilter);
    }
    parts.push(element(0x83, &unescape(value)?));
    if dn {
        parts.push(element(0x84, &[0xff]));
    }
    Ok(constructed(0xa9, &parts))
}

/// The name of an attribute or a rule, with options.
fn description(text: &[u8]) -> Result<&[u8], BadFilter> {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b';' | b'_');
    if !text.is_empty() && text.iter().all(good) { Ok(text) } else { Err(BadFilter) }
}

fn unescape(text: &[u8]) -> Result<Vec<u8>, BadFilter> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\\' => {
                let (digits, behind) = rest.split_at_checked(2).ok_or(BadFilter)?;
                let digits = std::str::from_utf8(digits).map_err(|_| BadFilter)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(BadFilter);
                }
                bytes.push(u8::from_str_radix(digits, 16).map_err(|_| BadFilter)?);
                rest = behind;
            }
            b'*' | b'(' | b')' | 0 => return Err(BadFilter),
            byte => bytes.push(*byte),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4515, section 4, and what else there is; in hexadecimal, by hand.
    const GOOD: &[(&str, &str)] = &[
        ("(cn=Babs)", "a30a0402636e040442616273"),
        ("cn=Babs", "a30a0402636e040442616273"),
        ("(!(cn=A))", "a209a3070402636e040141"),
        ("(&(a=1)(b=2))", "a010a306040161040131a306040162040132"),
        ("(|( a=1 )(b=2))", "a111a30704016104023120a306040162040132"),
        ("(&)", "a000"),
        ("(o=un*of*mich*)", "a41304016f300e8002756e81026f6681046d696368"),
        ("(o=*a*)", "a40804016f30038101 61"),
        ("(o=*a)", "a40804016f30038201 61"),
        ("(seeAlso=)", "a30b0407736565416c736f0400"),
        ("(cn=*)", "8702636e"),
        ("(a>=1)", "a506040161040131"),
        ("(a<=1)", "a606040161040131"),
        ("(a~=1)", "a806040161040131"),
        ("(a:dn:=1)", "a9098201618301318401ff"),
        ("(:1.2:=x)", "a9088103312e32830178"),
        ("(o=\\28\\2A\\00)", "a30804016f0403282a00"),
        ("(a;lang-de=1)", "a30e0409613b6c616e672d6465040131"),
    ];

    #[test]
    fn filters_are_encoded() {
        for (text, expected) in GOOD {
            let found: String =
                parse(text.as_bytes()).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, expected.replace(' ', ""), "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = format!("{}(a=1){}", "(!".repeat(5000), ")".repeat(5000));
        let bad = [
            "",
            "(",
            "()",
            "(a)",
            "(a=1",
            "(a=1))",
            "a=1)",
            "(=1)",
            "(a=\\2)",
            "(a=\\zz)",
            "(a=**)",
            "(a=(b))",
            "(&(a=1)",
            "(!)",
            "(:=1)",
            "(a b=1)",
            "(a:x:y:=1)",
            "((a=1))",
            "(a=\\+1)",
            &deep,
        ];
        for text in bad {
            assert_eq!(parse(text.as_bytes()), Err(BadFilter), "{}", &text[..text.len().min(20)]);
        }
    }

    #[test]
    fn what_is_escaped_stands_for_itself() {
        let hostile: Vec<u8> = (0..=255).collect();
        let text = [b"(cn=", &escape(&hostile)[..], b")"].concat();
        assert!(parse(&text).unwrap().ends_with(&hostile));
        assert_eq!(escape(b"a*(b)\\\0"), b"a\\2a\\28b\\29\\5c\\00");
    }
}
