//! Domains with labels in other scripts (U-labels, RFC 5890), as the DNS has them (A-labels).

use std::borrow::Cow;

use idna::AsciiDenyList;

use crate::limits::MAX_DOMAIN_BYTES;

/// The domain with A-labels, in lower case; one in ASCII as it is. `None`: it cannot be written so.
pub(crate) fn to_ascii(domain: &str) -> Option<Cow<'_, str>> {
    match domain.is_ascii() {
        true => Some(Cow::Borrowed(domain)),
        false if domain.len() > MAX_DOMAIN_BYTES => None,
        false => idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::URL).ok(),
    }
}

/// The same; a domain that cannot be written so stays as it is.
pub(crate) fn a_labels(domain: &str) -> Cow<'_, str> {
    to_ascii(domain).unwrap_or(Cow::Borrowed(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u_labels_become_a_labels_and_nothing_else_changes() {
        assert_eq!(to_ascii("_x.Bücher.example").as_deref(), Some("_x.xn--bcher-kva.example"));
        assert_eq!(to_ascii("Mail.Example.").as_deref(), Some("Mail.Example."));
        assert_eq!(to_ascii("bü cher.example"), None);
        assert_eq!(to_ascii(&"ü.".repeat(MAX_DOMAIN_BYTES)), None);
    }
}
