//! What a peer offers.

use crate::smtp::reply::Reply;

/// What the peer announced in its EHLO reply.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// It answered EHLO.
    pub esmtp: bool,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtp_utf8: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// SIZE (RFC 1870): `Some(0)` when announced without a limit.
    pub size_bytes_max: Option<u64>,
}

impl Capabilities {
    /// Reads a positive reply to EHLO: every line but the first is a keyword and its parameters, in any case.
    pub(super) fn from_ehlo(reply: &Reply) -> Capabilities {
        let mut capabilities = Capabilities { esmtp: true, ..Capabilities::default() };
        for line in reply.lines().skip(1) {
            let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match &keyword[..] {
                b"PIPELINING" => capabilities.pipelining = true,
                b"8BITMIME" => capabilities.eight_bit_mime = true,
                b"ENHANCEDSTATUSCODES" => capabilities.enhanced_status_codes = true,
                b"SMTPUTF8" => capabilities.smtp_utf8 = true,
                b"STARTTLS" => capabilities.starttls = true,
                b"CHUNKING" => capabilities.chunking = true,
                b"DSN" => capabilities.dsn = true,
                b"REQUIRETLS" => capabilities.require_tls = true,
                b"SIZE" => capabilities.size_bytes_max = Some(words.next().map_or(0, parse_size)),
                _ => {}
            }
        }
        capabilities
    }
}

/// A size that is no number limits nothing.
fn parse_size(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_any_case_and_order() {
        let text = b"PIPELINING is my name\nsize 1000\nPipelining\n\n8BITMIME \nSMTPUTF8\nX-UNKNOWN a b";
        let expected = Capabilities {
            esmtp: true,
            pipelining: true,
            eight_bit_mime: true,
            smtp_utf8: true,
            size_bytes_max: Some(1000),
            ..Capabilities::default()
        };
        assert_eq!(Capabilities::from_ehlo(&Reply::from_peer(250, text)), expected);
    }

    #[test]
    fn the_first_line_announces_nothing_and_a_strange_size_limits_nothing() {
        let capabilities = |text: &[u8]| Capabilities::from_ehlo(&Reply::from_peer(250, text));
        assert!(!capabilities(b"PIPELINING").pipelining);
        for text in [&b"x\nSIZE"[..], b"x\nSIZE 0", b"x\nSIZE many", b"x\nSIZE 99999999999999999999999"] {
            assert_eq!(capabilities(text).size_bytes_max, Some(0));
        }
        assert_eq!(capabilities(b"x").size_bytes_max, None);
    }
}
