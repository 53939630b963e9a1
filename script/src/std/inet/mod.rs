//! IP address helpers: hsl-stdlib 11.

mod network;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use network::{Ip, Network};

use crate::fault::Fault;
use crate::native::{Call, Native};
use crate::value::Value;

/// The natives of this folder. `inet_includes` is called for every recipient and takes less than 100 ns for IPv4.
pub static NATIVES: &[Native] = &[
    Native::inline(
        "inet_includes",
        "string ip, string network",
        (2, Some(2)),
        "Whether an address is in a network: an address, a prefix (192.0.2.0/24) or a range (first-last), IPv4 or IPv6. \
         None if either is malformed.",
        inet_includes,
    ),
    Native::inline(
        "in_network",
        "string ip, string network",
        (2, Some(2)),
        "Old name of inet_includes.",
        inet_includes,
    ),
    Native::inline(
        "inet_pton",
        "string ip",
        (1, Some(1)),
        "The 4 or 16 bytes of an address; none if it is malformed.",
        inet_pton,
    ),
    Native::inline(
        "inet_ntop",
        "string bytes",
        (1, Some(1)),
        "The text of an address of 4 or 16 bytes; none for any other number.",
        inet_ntop,
    ),
    Native::inline(
        "inet_reverse",
        "string ip [, string zone]",
        (1, Some(2)),
        "The name of an address in DNS: its octets or nibbles reversed, then the zone (in-addr.arpa or ip6.arpa). None if \
         the address is malformed.",
        inet_reverse,
    ),
];

fn inet_includes(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (ip, network) = (Ip::parse(call.bytes(0)?), Network::parse(call.bytes(1)?));
    Ok(ip.zip(network).map_or(Value::None, |(ip, network)| Value::from(network.includes(ip))))
}

fn inet_pton(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(match Ip::parse(call.bytes(0)?) {
        Some(Ip::V4(ip)) => Value::from(&ip.to_be_bytes()[..]),
        Some(Ip::V6(ip)) => Value::from(&ip.to_be_bytes()[..]),
        None => Value::None,
    })
}

fn inet_ntop(call: &mut Call<'_>) -> Result<Value, Fault> {
    let bytes = call.bytes(0)?;
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(Value::from(Ipv4Addr::from(v4).to_string()));
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok();
    Ok(v6.map_or(Value::None, |v6| Value::from(Ipv6Addr::from(v6).to_string())))
}

fn inet_reverse(call: &mut Call<'_>) -> Result<Value, Fault> {
    let zone = call.opt_bytes(1)?;
    let Some(ip) = Ip::parse(call.bytes(0)?) else { return Ok(Value::None) };
    let zone = zone.unwrap_or(match ip {
        Ip::V4(_) => b"in-addr.arpa",
        Ip::V6(_) => b"ip6.arpa",
    });
    let mut name = reverse(ip).into_bytes();
    name.extend_from_slice(zone);
    Ok(Value::from(name))
}

/// Octets or nibbles from the last to the first, each with a dot behind it.
fn reverse(ip: Ip) -> String {
    match ip {
        Ip::V4(ip) => ip.to_le_bytes().iter().map(|octet| format!("{octet}.")).collect(),
        Ip::V6(ip) => (0..32).map(|nibble| format!("{:x}.", ip >> (4 * nibble) & 15)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{call, text};

    #[test]
    fn malformed_input_is_none() {
        for (name, args) in [
            ("inet_includes", ["nonsense", "192.0.2.0/24"]),
            ("inet_includes", ["192.0.2.1", "192.0.2.0/33"]),
            ("in_network", ["192.0.2.1", "nonsense"]),
            ("inet_reverse", ["nonsense", "zone"]),
        ] {
            assert!(call(name, args.map(Into::into)).unwrap().is_none(), "{name} {args:?}");
        }
        for bytes in ["", "abc", "abcde"] {
            assert!(call("inet_ntop", [bytes.into()]).unwrap().is_none());
        }
    }

    #[test]
    fn an_empty_zone_leaves_the_trailing_dot() {
        assert_eq!(text(call("inet_reverse", ["192.0.2.1".into(), "".into()])), "1.2.0.192.");
    }

    proptest! {
        #[test]
        fn addresses_go_there_and_back(ip: std::net::IpAddr) {
            let packed = call("inet_pton", [ip.to_string().into()]).unwrap();
            prop_assert_eq!(text(call("inet_ntop", [packed])), ip.to_string());
        }
    }
}
