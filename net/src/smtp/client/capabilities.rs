//! What a peer offers.

use super::xclient::XclientAttribute;
use crate::smtp::reply::Reply;
use crate::smtp::sasl::Mechanism;

/// What the peer announced in its EHLO reply.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities {
    /// It answered EHLO or LHLO.
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
    /// AUTH (RFC 4954): which mechanisms.
    pub auth: Mechanisms,
    /// XCLIENT: which attributes; `None` when it is not offered.
    pub xclient: Option<Attributes>,
    /// SIZE (RFC 1870): `Some(0)` when announced without a limit.
    pub size_bytes_max: Option<u64>,
    /// LIMITS (RFC 9422).
    pub limits: Limits,
}

/// Mechanisms that both sides know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mechanisms(u8);

/// Attributes that both sides know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Attributes(u8);

/// What the peer says of its limits. `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// MAILMAX: transactions on a connection.
    pub mail_max: Option<u32>,
    /// RCPTMAX: recipients of a transaction.
    pub rcpt_max: Option<u32>,
    /// RCPTDOMAINMAX: different recipient domains of a transaction.
    pub rcpt_domain_max: Option<u32>,
}

impl Capabilities {
    /// Reads a positive reply to EHLO: every line but the first is a keyword and its parameters, in any case.
    pub(super) fn from_ehlo(reply: &Reply) -> Capabilities {
        let mut capabilities = Capabilities { esmtp: true, ..Capabilities::default() };
        for line in reply.lines().skip(1) {
            // Old servers announce AUTH with an equals sign too.
            let mut words = line.split(|&byte| byte == b' ' || byte == b'=').filter(|word| !word.is_empty());
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
                b"AUTH" => words.for_each(|name| capabilities.auth.add(name)),
                b"XCLIENT" => {
                    let attributes = capabilities.xclient.get_or_insert_default();
                    words.for_each(|name| attributes.add(name));
                }
                b"SIZE" => capabilities.size_bytes_max = Some(words.next().map_or(0, parse_size)),
                b"LIMITS" => capabilities.limits = Limits::parse(line),
                _ => {}
            }
        }
        capabilities
    }
}

impl Mechanisms {
    /// Whether the peer offers `mechanism`.
    pub fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & 1 << mechanism as u8 != 0
    }

    fn add(&mut self, name: &[u8]) {
        self.0 |= Mechanism::parse(name).map_or(0, |mechanism| 1 << mechanism as u8);
    }
}

impl Attributes {
    /// Whether the peer takes `attribute`.
    pub fn contains(self, attribute: XclientAttribute) -> bool {
        self.0 & 1 << attribute as u8 != 0
    }

    fn add(&mut self, name: &[u8]) {
        self.0 |= XclientAttribute::parse(name).map_or(0, |attribute| 1 << attribute as u8);
    }
}

impl Limits {
    /// Reads `LIMITS NAME=VALUE ...`. What is no number, and 0, limits nothing.
    fn parse(line: &[u8]) -> Limits {
        let mut limits = Limits::default();
        for word in line.split(|&byte| byte == b' ').skip(1) {
            let Some(equals) = word.iter().position(|&byte| byte == b'=') else { continue };
            let limit = match &word[..equals].to_ascii_uppercase()[..] {
                b"MAILMAX" => &mut limits.mail_max,
                b"RCPTMAX" => &mut limits.rcpt_max,
                b"RCPTDOMAINMAX" => &mut limits.rcpt_domain_max,
                _ => continue,
            };
            let value = parse_size(&word[equals + 1..]);
            *limit = (value > 0).then(|| u32::try_from(value).unwrap_or(u32::MAX));
        }
        limits
    }
}

/// A size that is no number limits nothing.
fn parse_size(digits: &[u8]) -> u64 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Capabilities {
        Capabilities::from_ehlo(&Reply::from_peer(250, text))
    }

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
        assert_eq!(read(text), expected);
    }

    #[test]
    fn the_first_line_announces_nothing_and_a_strange_size_limits_nothing() {
        assert!(!read(b"PIPELINING").pipelining);
        for text in [&b"x\nSIZE"[..], b"x\nSIZE 0", b"x\nSIZE many", b"x\nSIZE 99999999999999999999999"] {
            assert_eq!(read(text).size_bytes_max, Some(0));
        }
        assert_eq!(read(b"x").size_bytes_max, None);
    }

    #[test]
    fn mechanisms_attributes_and_limits_are_read_from_their_lines() {
        let text = b"x\nAUTH GSSAPI plain\nAUTH=LOGIN\nXCLIENT NAME addr X\nLIMITS RCPTMAX=20 mailmax=0 RCPTDOMAINMAX=x A=1 B";
        let read = read(text);
        let offered: Vec<&str> =
            Mechanism::ALL.into_iter().filter(|&one| read.auth.contains(one)).map(Mechanism::name).collect();
        assert_eq!(offered, ["LOGIN", "PLAIN"]);
        let taken = |attributes: Attributes| -> Vec<&str> {
            XclientAttribute::ALL
                .into_iter()
                .filter(|&one| attributes.contains(one))
                .map(XclientAttribute::name)
                .collect()
        };
        assert_eq!(read.xclient.map(taken), Some(vec!["ADDR", "NAME"]));
        assert_eq!(read.limits, Limits { rcpt_max: Some(20), ..Limits::default() });
    }
}
