//! Mail addresses and host names as values that cannot hold CR, LF, NUL or any other control character.
//!
//! The parser accepts what RFC 5321 4.1.2 does, and bytes above 127 where RFC 6531 does (whoever may not send or
//! take them asks [`Address::is_ascii`]). It is milder in two places, both common in live mail: labels may hold
//! and begin with underscores and hyphens, and local parts may be longer than 64 bytes.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::limits::{DOMAIN_BYTES_MAX, LOCAL_PART_BYTES_MAX};

/// A mailbox, `local@domain`, as bytes just as the peer wrote them: quoting and case are kept, the angle
/// brackets and a source route are not. The domain may be absent only for `postmaster`.
///
/// A null reverse-path `<>` is no address: it is `None` of an `Option<Address>`.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Address {
    text: Box<[u8]>,
    /// Index of the `@`; the length of `text` when there is none.
    at: u32,
}

impl Address {
    /// Parses a mailbox without angle brackets, all of `text`.
    pub fn parse(text: &[u8]) -> Result<Address, AddressError> {
        let (address, rest) = Address::parse_prefix(text)?;
        if rest.is_empty() { Ok(address) } else { Err(AddressError::Character) }
    }

    /// The same for a text that is given away, and is kept as it is.
    pub fn from_text(text: Vec<u8>) -> Result<Address, AddressError> {
        let (at, end) = ends(&text)?;
        if end != text.len() {
            return Err(AddressError::Character);
        }
        Ok(Address { text: text.into_boxed_slice(), at: at as u32 })
    }

    /// Parses a path, `<local@domain>` or `<>`, at the start of `text`, and returns what follows it. A source
    /// route (`<@relay,@relay:local@domain>`) is checked and dropped, as RFC 5321 appendix C asks.
    pub fn parse_path(text: &[u8]) -> Result<(Option<Address>, &[u8]), AddressError> {
        let text = text.strip_prefix(b"<").ok_or(AddressError::Brackets)?;
        if let Some(rest) = text.strip_prefix(b">") {
            return Ok((None, rest));
        }
        let text = skip_source_route(text)?;
        let (address, rest) = Address::parse_prefix(text)?;
        let rest = rest.strip_prefix(b">").ok_or(AddressError::Brackets)?;
        Ok((Some(address), rest))
    }

    /// The whole address as written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The same, where the address is of no more use.
    pub fn into_bytes(self) -> Box<[u8]> {
        self.text
    }

    /// The local part as written, with its quotes.
    pub fn local_part(&self) -> &[u8] {
        &self.text[..self.at as usize]
    }

    /// The domain or address literal (with its brackets) as written; empty for `postmaster` alone.
    pub fn domain(&self) -> &[u8] {
        self.text.get(self.at as usize + 1..).unwrap_or_default()
    }

    /// Whether all bytes are ASCII. If not, a peer without SMTPUTF8 cannot take it (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The address at the start of `text`, and what follows it.
    fn parse_prefix(text: &[u8]) -> Result<(Address, &[u8]), AddressError> {
        let (at, end) = ends(text)?;
        let (address, rest) = text.split_at(end);
        Ok((Address { text: address.into(), at: at as u32 }, rest))
    }
}

/// For logs: as written, bytes above ASCII escaped.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text.escape_ascii())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

/// Why something is not an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddressError {
    /// No angle brackets where they must be.
    Brackets,
    /// A control character, or a byte that its place does not allow.
    Character,
    /// An empty label, a label with a wrong character, an address literal that holds no address.
    Domain,
    /// Nothing in front of the `@`, two dots in a row, an unfinished quoted string.
    LocalPart,
    /// No `@` with a domain behind it, and not `postmaster`.
    NoDomain,
    /// Longer than the limits say.
    TooLong,
}

/// A host name or address literal, as said in a greeting.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Hostname(Box<[u8]>);

impl Hostname {
    /// Parses a domain (letters, digits, hyphens, underscores, dots) or an address literal in brackets.
    pub fn parse(text: &[u8]) -> Result<Hostname, AddressError> {
        match domain_bytes(text)? {
            bytes if bytes == text.len() => Ok(Hostname(text.into())),
            _ => Err(AddressError::Character),
        }
    }

    /// The name as written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Drops `@relay,@relay:` from the front of a path.
fn skip_source_route(text: &[u8]) -> Result<&[u8], AddressError> {
    let mut rest = text;
    while let Some(relay) = rest.strip_prefix(b"@") {
        rest = &relay[domain_bytes(relay)?..];
        match rest.first() {
            Some(b':') => return Ok(&rest[1..]),
            Some(b',') if rest.get(1) == Some(&b'@') => rest = &rest[1..],
            _ => return Err(AddressError::Domain),
        }
    }
    Ok(rest)
}

/// Where the local part and the whole of the address at the start of `text` end.
fn ends(text: &[u8]) -> Result<(usize, usize), AddressError> {
    let at = local_part_bytes(text)?;
    if text.get(at) == Some(&b'@') {
        return Ok((at, at + 1 + domain_bytes(&text[at + 1..])?));
    }
    if text[..at].eq_ignore_ascii_case(b"postmaster") { Ok((at, at)) } else { Err(AddressError::NoDomain) }
}

/// Length of the local part at the start of `text`.
fn local_part_bytes(text: &[u8]) -> Result<usize, AddressError> {
    let bytes = match text.first() {
        Some(b'"') => quoted_string_bytes(text)?,
        _ => dot_string_bytes(text)?,
    };
    if bytes > LOCAL_PART_BYTES_MAX { Err(AddressError::TooLong) } else { Ok(bytes) }
}

fn quoted_string_bytes(text: &[u8]) -> Result<usize, AddressError> {
    let mut at = 1;
    loop {
        match text.get(at) {
            None => return Err(AddressError::LocalPart),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match text.get(at + 1) {
                None => return Err(AddressError::LocalPart),
                Some(byte) if byte.is_ascii_control() => return Err(AddressError::Character),
                Some(_) => at += 2,
            },
            Some(byte) if byte.is_ascii_control() => return Err(AddressError::Character),
            Some(_) => at += 1,
        }
    }
}

fn dot_string_bytes(text: &[u8]) -> Result<usize, AddressError> {
    let (bytes, longest) = dotted_bytes(text, ATEXT);
    longest.map(|_| bytes).ok_or(AddressError::LocalPart)
}

/// Length of the bytes of this class, with dots between them, at the start of `text`, and how many of them there are at most
/// between two dots; `None`: somewhere there is nothing.
fn dotted_bytes(text: &[u8], class: u8) -> (usize, Option<usize>) {
    let (mut begins, mut longest, mut has_gap) = (0, 0, false);
    let mut end_part = |at: usize, begins: usize| {
        has_gap |= at == begins;
        longest = longest.max(at - begins);
    };
    let mut bytes = text.len();
    for (at, &byte) in text.iter().enumerate() {
        if CLASSES[usize::from(byte)] & class != 0 {
            continue;
        }
        if byte != b'.' {
            bytes = at;
            break;
        }
        end_part(at, begins);
        begins = at + 1;
    }
    end_part(bytes, begins);
    (bytes, (!has_gap).then_some(longest))
}

/// Length of the domain or address literal at the start of `text`.
fn domain_bytes(text: &[u8]) -> Result<usize, AddressError> {
    if text.first() == Some(&b'[') {
        return address_literal_bytes(text);
    }
    let (bytes, longest) = dotted_bytes(text, LABEL);
    if bytes > DOMAIN_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    longest.filter(|bytes| *bytes <= 63).map(|_| bytes).ok_or(AddressError::Domain)
}

/// Length of `[192.0.2.1]` or `[IPv6:2001:db8::1]` at the start of `text`.
fn address_literal_bytes(text: &[u8]) -> Result<usize, AddressError> {
    let end =
        text.iter().take(DOMAIN_BYTES_MAX).position(|&byte| byte == b']').ok_or(AddressError::Domain)?;
    let inner = std::str::from_utf8(&text[1..end]).map_err(|_| AddressError::Domain)?;
    let valid = match inner.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => address.parse::<Ipv6Addr>().is_ok(),
        _ => inner.parse::<Ipv4Addr>().is_ok(),
    };
    if valid { Ok(end + 1) } else { Err(AddressError::Domain) }
}

/// Class: atext of RFC 5322, and what RFC 6531 adds.
const ATEXT: u8 = 1;
/// Class: what labels of a domain are of.
const LABEL: u8 = 2;

/// The classes of each byte.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'-' || byte == b'_' {
            classes[at] = ATEXT | LABEL;
        }
        at += 1;
    }
    let others = b"!#$%&'*+/=?^`{|}~";
    let mut at = 0;
    while at < others.len() {
        classes[others[at] as usize] = ATEXT;
        at += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_the_right_at() {
        let cases: &[(&[u8], &[u8], &[u8])] = &[
            (b"Smith@bar.com", b"Smith", b"bar.com"),
            (b"a+tag=x/y!z@example.com", b"a+tag=x/y!z", b"example.com"),
            (b"\"a@b\"@example.com", b"\"a@b\"", b"example.com"),
            (b"\"a\\\"b >\"@example.com", b"\"a\\\"b >\"", b"example.com"),
            (b"\"\"@example.com", b"\"\"", b"example.com"),
            (b"x@[192.0.2.1]", b"x", b"[192.0.2.1]"),
            (b"x@[IPv6:2001:db8::1]", b"x", b"[IPv6:2001:db8::1]"),
            (b"x@_dmarc.under_score.example", b"x", b"_dmarc.under_score.example"),
            (b"PostMaster", b"PostMaster", b""),
            (b"postmaster@example.com", b"postmaster", b"example.com"),
            ("dømi@exämple.com".as_bytes(), "dømi".as_bytes(), "exämple.com".as_bytes()),
            (b"caf\xe9@example.com", b"caf\xe9", b"example.com"),
        ];
        for (text, local, domain) in cases {
            let address = Address::parse(text).unwrap_or_else(|e| panic!("{}: {e:?}", text.escape_ascii()));
            assert_eq!(
                (address.as_bytes(), address.local_part(), address.domain()),
                (*text, *local, *domain)
            );
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        let long_local = [&[b'a'; LOCAL_PART_BYTES_MAX + 1][..], b"@example.com"].concat();
        let long_domain = [b"a@", [&[b'b'; 60][..], b"."].concat().repeat(5).as_slice(), b"example"].concat();
        let long_label = [b"a@", &[b'b'; 64][..], b".example"].concat();
        let cases: &[(&[u8], AddressError)] = &[
            (b"", AddressError::LocalPart),
            (b"@example.com", AddressError::LocalPart),
            (b"a..b@example.com", AddressError::LocalPart),
            (b".a@example.com", AddressError::LocalPart),
            (b"a.@example.com", AddressError::LocalPart),
            (b"\"a@example.com", AddressError::LocalPart),
            (b"\"a\\", AddressError::LocalPart),
            (b"a", AddressError::NoDomain),
            (b"a b@example.com", AddressError::NoDomain),
            (b"\"postmaster\"", AddressError::NoDomain),
            (b"a@", AddressError::Domain),
            (b"a@example..com", AddressError::Domain),
            (b"a@example.com.", AddressError::Domain),
            (b"a@[192.0.2]", AddressError::Domain),
            (b"a@[IPv6:192.0.2.1]", AddressError::Domain),
            (b"a@[192.0.2.1", AddressError::Domain),
            (b"a@b@c", AddressError::Character),
            (b"\"a\r\nRCPT TO:<x@y>\"@example.com", AddressError::Character),
            (b"\"a\\\n\"@example.com", AddressError::Character),
            (b"\"a\0\"@example.com", AddressError::Character),
            (b"\"a\x7f\"@example.com", AddressError::Character),
            (b"a@example.com\r", AddressError::Character),
            (&long_local, AddressError::TooLong),
            (&long_domain, AddressError::TooLong),
            (&long_label, AddressError::Domain),
        ];
        for (text, error) in cases {
            assert_eq!(Address::parse(text), Err(*error), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn each_byte_is_allowed_where_the_rfcs_say() {
        for byte in 0..=255u8 {
            let anywhere = byte.is_ascii_alphanumeric() || byte >= 0x80 || b"-_.".contains(&byte);
            let in_local_part = anywhere || b"!#$%&'*+/=?^`{|}~".contains(&byte);
            let is_one = |text: &[u8]| {
                let parsed = Address::parse(text);
                assert_eq!(parsed, Address::from_text(text.to_vec()));
                parsed.is_ok()
            };
            assert_eq!(is_one(&[b'a', byte, b'b', b'@', b'x']), in_local_part, "{byte}");
            assert_eq!(is_one(&[b'a', b'@', b'x', byte, b'y']), anywhere, "{byte}");
        }
    }

    #[test]
    fn paths_lose_their_brackets_and_source_route() {
        type Case<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);
        let cases: &[Case<'_>] = &[
            (b"<>", None, b""),
            (b"<a@b.example> SIZE=1", Some(b"a@b.example"), b" SIZE=1"),
            (b"<@hosta.int,@jkl.org:userc@d.bar.org>", Some(b"userc@d.bar.org"), b""),
            (b"<@[IPv6:::1]:a@b.example>", Some(b"a@b.example"), b""),
            (b"<\">\"@b.example>x", Some(b"\">\"@b.example"), b"x"),
            (b"<Postmaster>", Some(b"Postmaster"), b""),
        ];
        for (text, expected, expected_rest) in cases {
            let (address, rest) = Address::parse_path(text).unwrap_or_else(|e| panic!("{e:?}"));
            assert_eq!((address.as_ref().map(Address::as_bytes), rest), (*expected, *expected_rest));
        }
        for text in
            [&b"a@b.example"[..], b"<a@b.example", b"< a@b.example>", b"<a@b.example >", b"<<>>", b"<@a>"]
        {
            assert!(Address::parse_path(text).is_err(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn hostnames_are_domains_or_literals() {
        for name in [&b"mx.example.com"[..], b"localhost", b"[127.0.0.1]", b"[IPv6:::1]", b"a_b"] {
            assert_eq!(Hostname::parse(name).expect("valid").as_bytes(), name);
        }
        for name in [&b""[..], b"a b", b"a\r\n", b".", b"a.", b"[a]", b"a@b"] {
            assert!(Hostname::parse(name).is_err(), "{}", name.escape_ascii());
        }
    }
}
