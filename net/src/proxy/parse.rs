//! Reads the header that a proxy puts before a connection's first byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// What a proxy says of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// For whom the proxy connected; `None`: for itself (LOCAL: a health check), or it does not know (UNKNOWN).
    pub proxied: Option<Proxied>,
    /// The extra fields of version 2, as they came: see [`tlvs`](Header::tlvs).
    tlvs: Box<[u8]>,
}

/// The two ends of the connection that a proxy passes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proxied {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub destination: SocketAddr,
}

/// What came of some input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// The header, and how many bytes it took.
    Complete(Header, usize),
    /// More bytes are needed.
    Partial,
}

/// The input is no header, or one longer than [`PROXY_HEADER_BYTES_MAX`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoHeader;

pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header of version 1, with its CRLF.
const V1_BYTES_MAX: usize = 107;

impl Header {
    /// The extra fields of version 2, as they came; empty where there are none.
    pub fn tlv_bytes(&self) -> &[u8] {
        &self.tlvs
    }

    /// Type and value of each extra field. What is cut off at the end is left out.
    pub fn tlvs(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &*self.tlvs;
        std::iter::from_fn(move || {
            let (&[kind, high, low], tail) = rest.split_first_chunk::<3>()?;
            let (value, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
            rest = tail;
            Some((kind, value))
        })
    }
}

/// Reads the header at the start of `input`, of either version.
///
/// # Errors
/// As soon as the bytes cannot become one.
pub fn parse(input: &[u8]) -> Result<Parsed, NoHeader> {
    let begins = |start: &[u8]| start.iter().zip(input).all(|(one, other)| one == other);
    match () {
        () if begins(SIGNATURE) => parse_v2(input),
        () if begins(b"PROXY ") => parse_v1(input),
        () => Err(NoHeader),
    }
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 25` CRLF.
fn parse_v1(input: &[u8]) -> Result<Parsed, NoHeader> {
    let Some(lf) = input.iter().take(V1_BYTES_MAX).position(|&byte| byte == b'\n') else {
        return if input.len() < V1_BYTES_MAX { Ok(Parsed::Partial) } else { Err(NoHeader) };
    };
    let line = input[..lf].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.ok_or(NoHeader)?.split(' ').skip(1);
    let proxied = match words.next() {
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(proxied_v1::<Ipv4Addr>(&mut words)?),
        Some("TCP6") => Some(proxied_v1::<Ipv6Addr>(&mut words)?),
        _ => return Err(NoHeader),
    };
    if proxied.is_some() && words.next().is_some() {
        return Err(NoHeader);
    }
    Ok(Parsed::Complete(Header { proxied, tlvs: Box::default() }, lf + 1))
}

fn proxied_v1<'l, A>(words: &mut impl Iterator<Item = &'l str>) -> Result<Proxied, NoHeader>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (source, destination) = (address().ok_or(NoHeader)?, address().ok_or(NoHeader)?);
    let mut port = || {
        let digits = words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok()
    };
    let (source_port, destination_port) = (port().ok_or(NoHeader)?, port().ok_or(NoHeader)?);
    Ok(Proxied {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// Signature, version and command, family and protocol, length, addresses, extra fields.
fn parse_v2(input: &[u8]) -> Result<Parsed, NoHeader> {
    let Some((&[version_command, family, high, low], rest)) =
        input.get(SIGNATURE.len()..).and_then(|rest| rest.split_first_chunk::<4>())
    else {
        return Ok(Parsed::Partial);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let total = SIGNATURE.len() + 4 + length;
    if total > PROXY_HEADER_BYTES_MAX {
        return Err(NoHeader);
    }
    let Some(content) = rest.get(..length) else { return Ok(Parsed::Partial) };
    let (proxied, tlvs) = match (version_command, family) {
        // LOCAL: the addresses are to be ignored.
        (0x20, _) => (None, &[][..]),
        // TCP over IPv4 and IPv6.
        (0x21, 0x11) => proxied_v2::<4>(content)?,
        (0x21, 0x21) => proxied_v2::<16>(content)?,
        // Unspecified, and sockets in a file system: no addresses to use.
        (0x21, 0x00 | 0x31) => (None, &[][..]),
        _ => return Err(NoHeader),
    };
    Ok(Parsed::Complete(Header { proxied, tlvs: tlvs.into() }, total))
}

fn proxied_v2<const BYTES: usize>(content: &[u8]) -> Result<(Option<Proxied>, &[u8]), NoHeader>
where
    IpAddr: From<[u8; BYTES]>,
{
    let (source, rest) = content.split_first_chunk::<BYTES>().ok_or(NoHeader)?;
    let (destination, rest) = rest.split_first_chunk::<BYTES>().ok_or(NoHeader)?;
    let (&[a, b, c, d], tlvs) = rest.split_first_chunk::<4>().ok_or(NoHeader)?;
    let proxied = Proxied {
        source: SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(IpAddr::from(*destination), u16::from_be_bytes([c, d])),
    };
    Ok((Some(proxied), tlvs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(version_command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &length, content].concat()
    }

    /// Parses `input` cut anywhere, with bytes of the connection behind it.
    fn parse_cut(input: &[u8]) -> Result<Header, NoHeader> {
        let followed = [input, b"EHLO x\r\n"].concat();
        let whole = parse(&followed);
        for cut in 0..input.len() {
            match parse(&input[..cut]) {
                Ok(Parsed::Partial) => {}
                other => assert_eq!(other.map(drop), whole.clone().map(drop), "cut at {cut}"),
            }
        }
        match whole? {
            Parsed::Complete(header, bytes) => {
                assert_eq!(bytes, input.len());
                Ok(header)
            }
            Parsed::Partial => panic!("all of it is there"),
        }
    }

    fn ends(header: &Header) -> Option<(String, String)> {
        header.proxied.map(|proxied| (proxied.source.to_string(), proxied.destination.to_string()))
    }

    #[test]
    fn headers_of_version_1_are_read() {
        let cases = [
            ("PROXY TCP4 192.0.2.1 192.0.2.2 56324 25\r\n", Some(("192.0.2.1:56324", "192.0.2.2:25"))),
            ("PROXY TCP6 2001:db8::1 2001:db8::2 1 465\r\n", Some(("[2001:db8::1]:1", "[2001:db8::2]:465"))),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", None),
        ];
        for (text, expected) in cases {
            let header = parse_cut(text.as_bytes()).expect(text);
            assert_eq!(ends(&header), expected.map(|(one, other)| (one.to_owned(), other.to_owned())));
        }
    }

    #[test]
    fn headers_of_version_2_are_read_with_their_extra_fields() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 0, 25];
        let with_fields = [&v4[..], &[0x02, 0, 3], b"abc", &[0xe0, 0, 0], &[0x04, 0, 9, 1]].concat();
        let header = parse_cut(&v2(0x21, 0x11, &with_fields)).expect("valid");
        assert_eq!(ends(&header), Some(("192.0.2.1:56324".to_owned(), "192.0.2.2:25".to_owned())));
        let fields: Vec<(u8, &[u8])> = header.tlvs().collect();
        let expected: [(u8, &[u8]); 2] = [(0x02, b"abc"), (0xe0, b"")];
        assert_eq!(fields, expected);
        let v6 = [[0x20; 16], [0x21; 16]].concat();
        let header = parse_cut(&v2(0x21, 0x21, &[&v6[..], &[0, 1, 0, 2]].concat())).expect("valid");
        assert!(header.proxied.is_some_and(|proxied| proxied.source.is_ipv6()));
        for local in
            [v2(0x20, 0x00, b""), v2(0x20, 0x11, &v4), v2(0x21, 0x00, b"xyz"), v2(0x21, 0x31, &[0; 216])]
        {
            assert_eq!(parse_cut(&local).expect("valid").proxied, None);
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_clear() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        let lines = [
            "EHLO x\r\n",
            "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
            "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            &long,
        ];
        for line in lines {
            assert_eq!(parse(line.as_bytes()), Err(NoHeader), "{line}");
        }
        assert_eq!(parse(b"E"), Err(NoHeader));
        let too_long = v2(0x21, 0x11, &vec![0; PROXY_HEADER_BYTES_MAX]);
        for header in [v2(0x11, 0x11, &[0; 12]), v2(0x22, 0x11, &[0; 12]), v2(0x21, 0x11, &[0; 11]), too_long]
        {
            assert_eq!(parse(&header), Err(NoHeader));
        }
    }
}
