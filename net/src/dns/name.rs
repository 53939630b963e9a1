//! Domain names as this crate keeps them.

use std::fmt;
use std::sync::Arc;

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
