//! The system's resolver file, `/etc/resolv.conf`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::limits;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers, port 53.
    pub servers: Vec<SocketAddr>,
}

/// Reads the file's text. Search lists and options are left out: mail domains are complete names, and timeouts
/// are ours. Without any server the one on this machine is used, as resolv.conf(5) says.
pub fn parse(text: &str) -> ResolvConf {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        Some(SocketAddr::new(address.parse().ok()?, 53))
    };
    let mut servers: Vec<_> = text.lines().filter_map(server).take(limits::DNS_SERVERS_MAX).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53));
    }
    ResolvConf { servers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_and_the_rest_is_left_out() {
        let cases = [
            ("", vec!["127.0.0.1:53"]),
            ("# nameserver 192.0.2.9\nsearch example.com\noptions timeout:1\n", vec!["127.0.0.1:53"]),
            (
                "nameserver 192.0.2.1\r\n  nameserver\t2001:db8::1 # two\n;nameserver 192.0.2.3\nnameserver x",
                vec!["192.0.2.1:53", "[2001:db8::1]:53"],
            ),
            ("nameserver fe80::1%eth0\nnameserver 192.0.2.1", vec!["192.0.2.1:53"]),
        ];
        for (text, expected) in cases {
            let expected: Vec<SocketAddr> = expected.iter().map(|server| server.parse().unwrap()).collect();
            assert_eq!(parse(text).servers, expected, "{text:?}");
        }
    }
}
