//! IP addresses and networks from text, fast enough for every RCPT command.

use std::net::Ipv6Addr;

/// An address as a number, so that ranges and prefixes are comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// IPv4, in host order.
    V4(u32),
    /// IPv6, in host order.
    V6(u128),
}

impl Ip {
    /// Reads a dotted quad or RFC 4291 text; no zone, no brackets, no leading zeros in a quad.
    pub fn parse(text: &[u8]) -> Option<Ip> {
        if let Some(v4) = parse_v4(text) {
            return Some(Ip::V4(v4));
        }
        // The longest form is 45 bytes; what has no colon is no IPv6 address.
        if text.len() > 45 || !text.contains(&b':') {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        Some(Ip::V6(u128::from(text.parse::<Ipv6Addr>().ok()?)))
    }
}

/// A set of addresses: one address, a prefix or an inclusive range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// First and last IPv4 address.
    V4(u32, u32),
    /// First and last IPv6 address.
    V6(u128, u128),
}

impl Network {
    /// Reads `address`, `address/bits` or `first-last`. Host bits beyond the prefix are ignored.
    pub fn parse(text: &[u8]) -> Option<Network> {
        let (first, rest) = match scan_v4(text) {
            Some((first, rest)) => (Ip::V4(first), rest),
            None => {
                let end = text.iter().position(|&byte| byte == b'/' || byte == b'-').unwrap_or(text.len());
                (Ip::parse(&text[..end])?, &text[end..])
            }
        };
        match rest {
            [] => Network::range(first, first),
            [b'/', bits @ ..] => Network::prefix(first, bits),
            [b'-', last @ ..] => Network::range(first, Ip::parse(last)?),
            _ => None,
        }
    }

    /// Whether the address is in it; an address of the other family is not.
    pub fn includes(&self, ip: Ip) -> bool {
        match (*self, ip) {
            (Network::V4(first, last), Ip::V4(ip)) => first <= ip && ip <= last,
            (Network::V6(first, last), Ip::V6(ip)) => first <= ip && ip <= last,
            _ => false,
        }
    }

    fn prefix(base: Ip, bits: &[u8]) -> Option<Network> {
        let bits = parse_small(bits)?;
        match base {
            Ip::V4(base) if bits <= 32 => {
                let host = u32::MAX.checked_shr(bits).unwrap_or(0);
                Some(Network::V4(base & !host, base | host))
            }
            Ip::V6(base) if bits <= 128 => {
                let host = u128::MAX.checked_shr(bits).unwrap_or(0);
                Some(Network::V6(base & !host, base | host))
            }
            _ => None,
        }
    }

    fn range(first: Ip, last: Ip) -> Option<Network> {
        match (first, last) {
            (Ip::V4(first), Ip::V4(last)) if first <= last => Some(Network::V4(first, last)),
            (Ip::V6(first), Ip::V6(last)) if first <= last => Some(Network::V6(first, last)),
            _ => None,
        }
    }
}

/// A dotted quad and nothing else.
fn parse_v4(text: &[u8]) -> Option<u32> {
    scan_v4(text).filter(|(_, rest)| rest.is_empty()).map(|(address, _)| address)
}

/// A dotted quad and what follows it; the standard library's parser is several times slower.
#[inline]
fn scan_v4(text: &[u8]) -> Option<(u32, &[u8])> {
    let mut rest = text;
    let mut address = 0;
    for dots in 0..4 {
        if dots > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let (octet, digits) = match *rest {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                (u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0'), 3)
            }
            [a @ b'0'..=b'9', b @ b'0'..=b'9', ..] => (u32::from(a - b'0') * 10 + u32::from(b - b'0'), 2),
            [a @ b'0'..=b'9', ..] => (u32::from(a - b'0'), 1),
            _ => return None,
        };
        if octet > 255 || (digits > 1 && rest[0] == b'0') {
            return None;
        }
        address = address << 8 | octet;
        rest = &rest[digits..];
    }
    Some((address, rest))
}

/// One to three digits.
fn parse_small(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 3 {
        return None;
    }
    text.iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefixes_and_ranges_have_their_edges() {
        let cases = [
            ("0.0.0.0/0", "255.255.255.255", true),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.200/25", "192.0.2.128", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.2", false),
            ("10.0.0.1-10.0.0.3", "10.0.0.3", true),
            ("10.0.0.1-10.0.0.3", "10.0.0.4", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("2001:db8::1-2001:db8::ff", "2001:db8::80", true),
            ("::/0", "192.0.2.1", false),
        ];
        for (network, ip, expected) in cases {
            let network = Network::parse(network.as_bytes()).unwrap();
            assert_eq!(network.includes(Ip::parse(ip.as_bytes()).unwrap()), expected, "{network:?} {ip}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "/",
            "-",
            "1.2.3.4/",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.4/-1",
            "1.2.3.4/+1",
            "1.2.3.4/0000",
            "1.2.3.5-1.2.3.4",
            "1.2.3.4-::1",
            "1.2.3.4-",
            "1.2.3.4/8/8",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.256",
            "1..2.3",
            "fe80::1%eth0",
            "[::1]",
            "1.2.3.4 ",
            "\u{e9}::1",
        ] {
            assert_eq!(Network::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn quads_are_read_as_the_standard_library_reads_them(text in "[0-9.]{0,16}") {
            let expected = text.parse::<std::net::Ipv4Addr>().ok().map(u32::from);
            prop_assert_eq!(parse_v4(text.as_bytes()), expected);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Network::parse(&bytes);
        }
    }
}
