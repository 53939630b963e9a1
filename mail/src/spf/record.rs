//! The syntax of records (RFC 7208, sections 4.6, 5, 6 and 12).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Result;
use super::macros::MacroString;

/// A record that was parsed: all of it is well-formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<MacroString>,
    pub(super) explanation: Option<MacroString>,
}

/// What to say about those that a mechanism matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) result: Result,
    pub(super) mechanism: Mechanism,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Prefixes),
    Mx(Option<MacroString>, Prefixes),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(MacroString),
}

/// How many bits of an address count, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefixes {
    pub(super) ip4: u8,
    pub(super) ip6: u8,
}

/// Whether a TXT record is an SPF record: `v=spf1`, then a space or the end.
pub(super) fn is_spf(text: &str) -> bool {
    let Some(version) = text.get(..6) else { return false };
    version.eq_ignore_ascii_case("v=spf1") && matches!(text.as_bytes().get(6), None | Some(b' '))
}

impl Record {
    /// Parses a text for which [`is_spf`] holds. The error is the term that is wrong.
    pub(super) fn parse(text: &str) -> std::result::Result<Self, &str> {
        let mut record = Self { directives: Vec::new(), redirect: None, explanation: None };
        for term in text[6..].split(' ').filter(|term| !term.is_empty()) {
            record.term(term).ok_or(term)?;
        }
        Ok(record)
    }

    fn term(&mut self, term: &str) -> Option<()> {
        match term.find([':', '/', '=']) {
            Some(at) if term.as_bytes()[at] == b'=' => self.modifier(&term[..at], &term[at + 1..]),
            _ => {
                self.directives.push(Directive::parse(term)?);
                Some(())
            }
        }
    }

    fn modifier(&mut self, name: &str, value: &str) -> Option<()> {
        let slot = match name.to_ascii_lowercase().as_str() {
            "redirect" => &mut self.redirect,
            "exp" => &mut self.explanation,
            _ => {
                let is_first = name.starts_with(|first: char| first.is_ascii_alphabetic());
                let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
                MacroString::parse(value)?;
                return (is_first && is_name).then_some(());
            }
        };
        let target = MacroString::parse_domain(value)?;
        slot.replace(target).is_none().then_some(())
    }
}

impl Directive {
    fn parse(term: &str) -> Option<Self> {
        let (result, term) = match term.as_bytes().first()? {
            b'+' => (Result::Pass, &term[1..]),
            b'-' => (Result::Fail, &term[1..]),
            b'~' => (Result::SoftFail, &term[1..]),
            b'?' => (Result::Neutral, &term[1..]),
            _ => (Result::Pass, term),
        };
        let end = term.find([':', '/']).unwrap_or(term.len());
        let (name, rest) = term.split_at(end);
        let argument = rest.strip_prefix(':');
        let mechanism = match name.to_ascii_lowercase().as_str() {
            "all" => rest.is_empty().then_some(Mechanism::All)?,
            "include" => Mechanism::Include(MacroString::parse_domain(argument?)?),
            "exists" => Mechanism::Exists(MacroString::parse_domain(argument?)?),
            "a" => {
                let (domain, prefixes) = domain_and_prefixes(rest)?;
                Mechanism::A(domain, prefixes)
            }
            "mx" => {
                let (domain, prefixes) = domain_and_prefixes(rest)?;
                Mechanism::Mx(domain, prefixes)
            }
            "ptr" if rest.is_empty() => Mechanism::Ptr(None),
            "ptr" => Mechanism::Ptr(Some(MacroString::parse_domain(argument?)?)),
            "ip4" => {
                let (address, bits) = network(argument?, 32)?;
                Mechanism::Ip4(address.parse().ok()?, bits)
            }
            "ip6" => {
                let (address, bits) = network(argument?, 128)?;
                Mechanism::Ip6(address.parse().ok()?, bits)
            }
            _ => return None,
        };
        Some(Self { result, mechanism })
    }
}

/// `[":" domain-spec] [dual-cidr-length]`
fn domain_and_prefixes(rest: &str) -> Option<(Option<MacroString>, Prefixes)> {
    let (rest, ip6) = strip_prefix_length(rest, "//", 128)?;
    let (rest, ip4) = strip_prefix_length(rest, "/", 32)?;
    let domain = match rest.strip_prefix(':') {
        Some(domain) => Some(MacroString::parse_domain(domain)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some((domain, Prefixes { ip4, ip6 }))
}

fn network(text: &str, max_bits: u8) -> Option<(&str, u8)> {
    strip_prefix_length(text, "/", max_bits)
}

/// Takes a prefix length from the end, if one stands there: digits behind the last `separator`.
fn strip_prefix_length<'a>(text: &'a str, separator: &str, max_bits: u8) -> Option<(&'a str, u8)> {
    let Some((before, digits)) = text.rsplit_once(separator) else { return Some((text, max_bits)) };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // No prefix length; whether it may stand in a domain is not decided here.
        return Some((text, max_bits));
    }
    let is_canonical = digits.len() == 1 || !digits.starts_with('0');
    let bits = digits.parse().ok().filter(|&bits| bits <= max_bits)?;
    is_canonical.then_some((before, bits))
}
