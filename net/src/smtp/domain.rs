//! The domain of an address as queue and resolver want it.

use std::borrow::Cow;

use idna::AsciiDenyList;

/// The domain of `address` as [`normalise`] gives it; an address literal keeps its brackets. `None` for
/// an address without one (the null sender, `postmaster`) or one that is not UTF-8.
pub fn domain_of(address: &[u8]) -> Option<String> {
    let at = memchr::memrchr(b'@', address)?;
    normalise(&address[at + 1..])
}

/// A domain in lower case without a trailing dot, its labels in ASCII: in one form whatever it was written in.
pub fn normalise(domain: &[u8]) -> Option<String> {
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    if domain.is_empty() {
        return None;
    }
    let domain = std::str::from_utf8(domain).ok()?;
    Some(to_ascii(domain).as_deref().unwrap_or(domain).to_ascii_lowercase())
}

/// A domain as SMTP carries it: labels in other scripts as A-labels (RFC 5891); one in ASCII as it is. `None`: it cannot be
/// written so.
pub fn to_ascii(domain: &str) -> Option<Cow<'_, str>> {
    match domain.is_ascii() {
        true => Some(Cow::Borrowed(domain)),
        false => idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::URL).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_at_sign_divides_and_case_and_dot_go() {
        assert_eq!(domain_of(b"\"a@b\"@Example.COM.").as_deref(), Some("example.com"));
        assert_eq!(domain_of(b"x@[127.0.0.1]").as_deref(), Some("[127.0.0.1]"));
        assert_eq!(domain_of(b"postmaster"), None);
        assert_eq!(domain_of(b""), None);
        assert_eq!(domain_of(b"a@"), None);
    }

    /// Regression: rules and scripts for a domain missed it in its other form.
    #[test]
    fn a_domain_in_unicode_is_the_same_as_its_a_labels() {
        for written in ["b\u{fc}cher.example", "B\u{dc}CHER.Example.", "XN--bcher-kva.example"] {
            assert_eq!(normalise(written.as_bytes()).as_deref(), Some("xn--bcher-kva.example"), "{written}");
        }
        assert_eq!(normalise("x\u{fffd}.Example".as_bytes()).as_deref(), Some("x\u{fffd}.example"));
    }

    #[test]
    fn other_scripts_become_a_labels_and_ascii_stays_as_it_is() {
        assert_eq!(to_ascii("Example.COM").as_deref(), Some("Example.COM"));
        assert_eq!(to_ascii("b\u{fc}cher.example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(to_ascii("\u{fc}\u{0}.example"), None);
        assert_eq!(to_ascii("x\u{fffd}.example"), None);
    }
}
