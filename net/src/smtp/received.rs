//! The Received field (RFC 5321 4.4).

use std::fmt::Write as _;
use std::net::IpAddr;

use super::address::{Address, Hostname};

/// What a Received field tells.
///
/// ```
/// use net::smtp::address::Hostname;
/// use net::smtp::received::{Received, With};
///
/// let received = Received {
///     helo: Some(b"client.example.net"),
///     peer_name: None,
///     peer_ip: "192.0.2.1".parse().expect("an address"),
///     by: &Hostname::parse(b"mx.example.com").expect("a name"),
///     with: With::Esmtp,
///     id: "18c5a1b0",
///     recipient: None,
///     unix_seconds: 1_700_000_000,
/// };
/// let mut field = Vec::new();
/// received.encode(&mut field);
/// assert_eq!(
///     String::from_utf8(field).expect("ASCII"),
///     "Received: from client.example.net ([192.0.2.1])\r\n\
///      \tby mx.example.com with ESMTP id 18c5a1b0;\r\n\
///      \tTue, 14 Nov 2023 22:13:20 +0000\r\n"
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The name the peer gave in HELO or EHLO; `None` when it gave none.
    pub helo: Option<&'a [u8]>,
    /// The confirmed reverse name of the peer.
    pub peer_name: Option<&'a [u8]>,
    /// The peer's address.
    pub peer_ip: IpAddr,
    /// This host.
    pub by: &'a Hostname,
    /// How the message came in.
    pub with: With,
    /// The transaction, as in `queued as`.
    pub id: &'a str,
    /// The recipient, where there is just one (so that blind copies stay blind).
    pub recipient: Option<&'a Address>,
    /// When the message came in, in seconds since 1970.
    pub unix_seconds: u64,
}

/// The protocol keyword (RFC 3848; those of HTTP are registered nowhere).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum With {
    /// EHLO.
    Esmtp,
    /// EHLO, authenticated.
    Esmtpa,
    /// EHLO, under TLS.
    Esmtps,
    /// EHLO, authenticated under TLS.
    Esmtpsa,
    /// HELO, or nothing.
    Smtp,
    /// Not by SMTP: a client has handed it in by HTTP.
    Http,
    /// The same under TLS.
    Https,
}

impl Received<'_> {
    /// Appends the field, folded, with its final CRLF. What could end a word, a comment or the line becomes `?`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Received: from ");
        push_word(self.helo.unwrap_or(b"unknown"), out);
        out.extend_from_slice(b" (");
        if let Some(name) = self.peer_name {
            push_word(name, out);
            out.push(b' ');
        }
        let mut text = String::new();
        // RFC 5321 4.1.3: an IPv6 literal carries its tag.
        let tag = if self.peer_ip.is_ipv6() { "IPv6:" } else { "" };
        write!(text, "[{tag}{}])\r\n\tby ", self.peer_ip).expect("a string takes all");
        out.extend_from_slice(text.as_bytes());
        push_word(self.by.as_bytes(), out);
        out.extend_from_slice(match self.with {
            With::Esmtp => b" with ESMTP id ",
            With::Esmtpa => b" with ESMTPA id ",
            With::Esmtps => b" with ESMTPS id ",
            With::Esmtpsa => b" with ESMTPSA id ",
            With::Smtp => b" with SMTP id ",
            With::Http => b" with HTTP id ",
            With::Https => b" with HTTPS id ",
        });
        push_word(self.id.as_bytes(), out);
        if let Some(recipient) = self.recipient {
            out.extend_from_slice(b"\r\n\tfor <");
            // A value of this type cannot end the line, and quotes what could end the path.
            out.extend_from_slice(recipient.as_bytes());
            out.push(b'>');
        }
        out.extend_from_slice(b";\r\n\t");
        push_date(self.unix_seconds, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends what a peer calls itself.
fn push_word(word: &[u8], out: &mut Vec<u8>) {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"()<>;,\\\"".contains(&byte);
    out.extend(word.iter().map(|&byte| if allowed(byte) { byte } else { b'?' }));
}

/// Appends a date as in RFC 5322 3.3, in UTC.
fn push_date(unix_seconds: u64, out: &mut Vec<u8>) {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = unix_seconds / 86_400;
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (unix_seconds / 3600 % 24, unix_seconds / 60 % 60, unix_seconds % 60);
    let (weekday, month) = (WEEKDAYS[(days % 7) as usize], MONTHS[month as usize]);
    let date = format!("{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000");
    out.extend_from_slice(date.as_bytes());
}

/// Year, month from 0, day from 1, of a day counted from 1970. Counts in eras of 400 years that begin in March, so
/// that the leap day is the last of its year.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(received: &Received<'_>) -> String {
        let mut out = Vec::new();
        received.encode(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn nothing_a_peer_says_gets_out_of_its_place() {
        let by = Hostname::parse(b"mx.example.com").expect("valid");
        let recipient = Address::parse(b"\"a>;b\"@example.com").expect("valid");
        let received = Received {
            helo: Some(b"evil) (\r\nX: y;\xff\0"),
            peer_name: Some(b"a b.example"),
            peer_ip: "2001:db8::1".parse().expect("valid"),
            by: &by,
            with: With::Smtp,
            id: "x y",
            recipient: Some(&recipient),
            unix_seconds: 0,
        };
        assert_eq!(
            encode(&received),
            "Received: from evil?????X:?y??? (a?b.example [IPv6:2001:db8::1])\r\n\
             \tby mx.example.com with SMTP id x?y\r\n\
             \tfor <\"a>;b\"@example.com>;\r\n\
             \tThu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        let cases = [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_800, "Wed, 1 Mar 2000 00:00:00 +0000"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 +0000"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 +0000"),
            (1_735_689_600, "Wed, 1 Jan 2025 00:00:00 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
        ];
        for (unix_seconds, expected) in cases {
            let mut out = Vec::new();
            push_date(unix_seconds, &mut out);
            assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
        }
    }
}
