//! Domain names as this crate keeps them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::limits;

/// A host or domain name: lower case, no trailing dot, 1 to 253 bytes of letters, digits, `-`, `_` and dots
/// between labels of at most 63 bytes. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Arc<str>);

/// The text is not a domain name that can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameError;

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a domain name")
    }
}

impl std::error::Error for NameError {}

impl DomainName {
    /// From text, in any case, with or without the trailing dot.
    pub fn parse(text: &str) -> Result<DomainName, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let good_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let good_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(good_byte);
        if text.len() > 253 || !text.split('.').all(good_label) {
            return Err(NameError);
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Ok(DomainName(text.to_ascii_lowercase().into()));
        }
        Ok(DomainName(text.into()))
    }

    /// From text that may have labels in Unicode, which become A-labels (RFC 5891, with the mapping of UTS 46).
    pub fn from_unicode(text: &str) -> Result<DomainName, NameError> {
        if text.is_ascii() {
            return DomainName::parse(text);
        }
        if text.len() > limits::DNS_UNICODE_NAME_BYTES_MAX {
            return Err(NameError);
        }
        DomainName::parse(&idna::domain_to_ascii(text).map_err(|_| NameError)?)
    }

    /// Where the names of an address are (RFC 1035 section 3.5, RFC 3596 section 2.5). An IPv4 address in the clothes of
    /// an IPv6 one is an IPv4 address.
    pub fn reverse(address: IpAddr) -> DomainName {
        let text = match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(address) => {
                let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
                let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
                format!("{}.ip6.arpa", labels.join("."))
            }
        };
        DomainName(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for DomainName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<DomainName, NameError> {
        DomainName::parse(text)
    }
}
