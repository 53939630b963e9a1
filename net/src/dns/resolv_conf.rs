//! The system's resolver file, `/etc/resolv.conf` (resolv.conf(5)).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::limits;

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers, port 53.
    pub servers: Vec<SocketAddr>,
    /// `rotate`: begin with another server each time.
    pub rotate: bool,
    /// `use-vc`: ask by TCP only.
    pub tcp: bool,
    /// `trust-ad`: the servers, and the way to them, are trusted to say which answers are authentic.
    pub trust_ad: bool,
    /// `timeout:n`: how long a server may take to answer, 1 to 30 seconds.
    pub timeout_s: Option<u32>,
    /// `attempts:n`: how often each server is asked, 1 to 5 times.
    pub attempts: Option<u32>,
}

/// Reads the file's text. Search lists, and options that have to do with them, are left out: mail domains are complete
/// names. Without any server the one on this machine is used.
pub fn parse(text: &str) -> ResolvConf {
    let mut file = ResolvConf::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                let address = words.next().and_then(|word| word.parse().ok());
                let server = address.map(|address| SocketAddr::new(address, 53));
                file.servers.extend(server.filter(|_| file.servers.len() < limits::DNS_SERVERS_MAX));
            }
            Some("options") => words.for_each(|word| file.option(word)),
            _ => {}
        }
    }
    if file.servers.is_empty() {
        file.servers.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53));
    }
    file
}

impl ResolvConf {
    fn option(&mut self, word: &str) {
        let number = |most: u32| {
            let number = word.split_once(':').and_then(|(_, number)| number.parse::<u32>().ok());
            number.map(|number| number.clamp(1, most))
        };
        match word.split(':').next() {
            Some("rotate") => self.rotate = true,
            Some("use-vc") => self.tcp = true,
            Some("trust-ad") => self.trust_ad = true,
            Some("timeout") => self.timeout_s = number(30).or(self.timeout_s),
            Some("attempts") => self.attempts = number(5).or(self.attempts),
            _ => {}
        }
    }
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
        let many = "nameserver 192.0.2.1\n".repeat(100);
        assert_eq!(parse(&many).servers.len(), limits::DNS_SERVERS_MAX);
    }

    #[test]
    fn options_are_read_within_their_bounds() {
        let servers = parse("").servers;
        let plain = || ResolvConf { servers: servers.clone(), ..ResolvConf::default() };
        let cases = [
            ("options ndots:2 edns0", plain()),
            (
                "options rotate use-vc trust-ad",
                ResolvConf { rotate: true, tcp: true, trust_ad: true, ..plain() },
            ),
            (
                "options timeout:3\noptions attempts:4",
                ResolvConf { timeout_s: Some(3), attempts: Some(4), ..plain() },
            ),
            (
                "options timeout:0 attempts:99",
                ResolvConf { timeout_s: Some(1), attempts: Some(5), ..plain() },
            ),
            ("options timeout:x attempts rotated", plain()),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text:?}");
        }
    }
}
