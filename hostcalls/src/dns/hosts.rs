//! From the name of a host to its addresses.

use std::net::IpAddr;
use std::path::Path;

use net::dns::{RecordData, RecordKind};

use super::DnsQuestion;
use crate::{Environment, limits};

/// The addresses of a host: itself, or those of the hosts file, or of the DNS. With `source` only those of its family,
/// unless the host is an address.
pub(crate) async fn addresses(environment: &Environment, host: &[u8], source: Option<IpAddr>) -> Vec<IpAddr> {
    if let Some(address) = std::str::from_utf8(host).ok().and_then(|host| host.parse().ok()) {
        return vec![address];
    }
    let wanted = |address: &IpAddr| source.is_none_or(|source: IpAddr| source.is_ipv4() == address.is_ipv4());
    let mut addresses = hosts_file(host).await;
    for kind in [RecordKind::A, RecordKind::Aaaa] {
        if !addresses.is_empty() {
            break;
        }
        let reply = environment.resolver.ask(&DnsQuestion::new(host, kind)).await;
        addresses.extend(reply.records.unwrap_or_default().into_iter().filter_map(
            |record| match record.data {
                RecordData::Address(address) => Some(address),
                _ => None,
            },
        ));
        addresses.retain(wanted);
    }
    addresses.retain(wanted);
    addresses.truncate(limits::CONNECT_ADDRESSES_MAX);
    addresses
}

/// What the system's hosts file says of a name. `localhost` is this machine whatever it says (RFC 6761 6.3).
async fn hosts_file(host: &[u8]) -> Vec<IpAddr> {
    if host.eq_ignore_ascii_case(b"localhost") {
        return vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
    }
    let text = engine::disk::read_file(Path::new("/etc/hosts"), 1 << 20).await.unwrap_or_default();
    let mut addresses = Vec::new();
    for line in String::from_utf8_lossy(&text).lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if words.any(|word| word.as_bytes().eq_ignore_ascii_case(host)) {
            addresses.push(address);
        }
    }
    addresses
}
