//! Macros (RFC 7208, section 7).

use std::net::IpAddr;

/// Text with macros in it, well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MacroString {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Macro(Macro),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    /// Lower case.
    letter: u8,
    /// The letter was upper case: the value is URL-escaped.
    escape: bool,
    /// How many parts from the right count.
    parts: Option<usize>,
    reverse: bool,
    delimiters: Vec<u8>,
}

/// What the letters stand for.
pub(super) trait Values {
    /// What asking for a value can end with.
    type Error;

    /// The value of a letter; none for one that has no value here.
    fn value(&mut self, letter: u8) -> Result<Option<String>, Self::Error>;
}

impl MacroString {
    /// Parses a `macro-string`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::parse_with(text, |byte| matches!(byte, 0x21..=0x24 | 0x26..=0x7e))
    }

    /// Parses an `explain-string`, in which spaces may stand.
    pub(super) fn parse_explanation(text: &str) -> Option<Self> {
        Self::parse_with(text, |byte| matches!(byte, 0x20..=0x24 | 0x26..=0x7e))
    }

    /// Parses a `domain-spec`: a macro-string that ends in a macro, or in a top-level label.
    pub(super) fn parse_domain(text: &str) -> Option<Self> {
        let parsed = Self::parse(text)?;
        let letters = parsed.pieces.iter().filter_map(|piece| match piece {
            Piece::Macro(found) => Some(found.letter),
            Piece::Literal(_) => None,
        });
        if letters.into_iter().any(|letter| b"crt".contains(&letter)) {
            return None;
        }
        let ends_well = text.ends_with("%%")
            || text.ends_with("%_")
            || text.ends_with("%-")
            || match parsed.pieces.last()? {
                Piece::Macro(_) => true,
                Piece::Literal(literal) => ends_in_top_label(literal),
            };
        ends_well.then_some(parsed)
    }

    fn parse_with(text: &str, is_literal: fn(u8) -> bool) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            if first != b'%' {
                if !is_literal(first) {
                    return None;
                }
                literal.push(char::from(first));
                rest = &rest[1..];
                continue;
            }
            match rest.as_bytes().get(1)? {
                b'%' => literal.push('%'),
                b'_' => literal.push(' '),
                b'-' => literal.push_str("%20"),
                b'{' => {
                    let end = rest.find('}')?;
                    if !literal.is_empty() {
                        pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Macro(Macro::parse(&rest[2..end])?));
                    rest = &rest[end + 1..];
                    continue;
                }
                _ => return None,
            }
            rest = &rest[2..];
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Some(Self { pieces })
    }

    /// The text with the values in it.
    pub(super) fn expand<V: Values>(&self, values: &mut V) -> Result<String, V::Error> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Macro(found) => {
                    let value = values.value(found.letter)?.unwrap_or_default();
                    out.push_str(&found.transform(&value));
                }
            }
        }
        Ok(out)
    }
}

impl Macro {
    /// Parses what stands between the braces.
    fn parse(text: &str) -> Option<Self> {
        let letter = text.bytes().next()?;
        if !b"slodiphcrtv".contains(&letter.to_ascii_lowercase()) {
            return None;
        }
        let rest = &text[1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let parts = match &rest[..digits] {
            "" => None,
            // Zero is an error, and so is what no machine could count.
            number => Some(number.parse::<usize>().ok().filter(|&number| number > 0)?),
        };
        let rest = &rest[digits..];
        let reverse = rest.starts_with(['r', 'R']);
        let delimiters = &rest.as_bytes()[usize::from(reverse)..];
        if !delimiters.iter().all(|byte| b".-+,/_=".contains(byte)) {
            return None;
        }
        let delimiters = if delimiters.is_empty() { b"." } else { delimiters };
        let escape = letter.is_ascii_uppercase();
        Some(Self {
            letter: letter.to_ascii_lowercase(),
            escape,
            parts,
            reverse,
            delimiters: delimiters.to_vec(),
        })
    }

    fn transform(&self, value: &str) -> String {
        let is_delimiter =
            |character: char| u8::try_from(character).is_ok_and(|byte| self.delimiters.contains(&byte));
        let mut parts: Vec<&str> = value.split(is_delimiter).collect();
        if self.reverse {
            parts.reverse();
        }
        let first = parts.len().saturating_sub(self.parts.unwrap_or(usize::MAX));
        let joined = parts[first..].join(".");
        if self.escape { url_escape(&joined) } else { joined }
    }
}

fn url_escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `"." toplabel ["."]` at the end: a label that is not only digits and has no hyphen at its ends.
fn ends_in_top_label(literal: &str) -> bool {
    let literal = literal.strip_suffix('.').unwrap_or(literal);
    let Some((_, label)) = literal.rsplit_once('.') else { return false };
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|byte| byte.is_ascii_digit())
}

/// The address as the letter `i` has it: dotted, IPv6 in upper-case hexadecimal digits.
pub(super) fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let digits = ip.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
            digits.map(|digit| format!("{digit:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// The name whose PTR records are the names of the address.
pub(super) fn reverse_name(ip: IpAddr) -> String {
    let dotted = dotted(ip);
    let reversed: Vec<&str> = dotted.rsplit('.').collect();
    let zone = if ip.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
    format!("{}.{zone}", reversed.join("."))
}
