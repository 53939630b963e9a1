//! Writes the header of version 2, for a proxy that connects on our behalf.

use std::net::{IpAddr, SocketAddr};

use super::parse::{Proxied, SIGNATURE};

/// The header of a connection between these ends, which are of one family; where they are not, the source is left open.
pub fn header(ends: Proxied) -> Vec<u8> {
    let Proxied { source, destination } = ends;
    let source = match source.is_ipv4() == destination.is_ipv4() {
        true => source,
        false if destination.is_ipv4() => SocketAddr::from(([0, 0, 0, 0], 0)),
        false => SocketAddr::from(([0_u16; 8], 0)),
    };
    let mut content = Vec::with_capacity(36);
    for end in [source, destination] {
        match end.ip() {
            IpAddr::V4(address) => content.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => content.extend_from_slice(&address.octets()),
        }
    }
    content.extend_from_slice(&source.port().to_be_bytes());
    content.extend_from_slice(&destination.port().to_be_bytes());
    // PROXY, version 2; TCP over IPv4 or IPv6.
    let head = [0x21, if destination.is_ipv4() { 0x11 } else { 0x21 }, 0, content.len() as u8];
    [&SIGNATURE[..], &head, &content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::{Parsed, parse};

    #[test]
    fn what_is_written_is_read_again() {
        let cases = [
            ("192.0.2.1:0", "198.51.100.2:25", "192.0.2.1:0"),
            ("[2001:db8::1]:7", "[2001:db8::2]:465", "[2001:db8::1]:7"),
            ("192.0.2.1:7", "[2001:db8::2]:25", "[::]:0"),
        ];
        for (source, destination, expected) in cases {
            let [source, destination, expected] =
                [source, destination, expected].map(|text| text.parse().expect("an address"));
            let bytes = header(Proxied { source, destination });
            let Ok(Parsed::Complete(read, length)) = parse(&bytes) else { panic!("{bytes:?}") };
            assert_eq!(
                (read.proxied, length),
                (Some(Proxied { source: expected, destination }), bytes.len())
            );
        }
    }
}
