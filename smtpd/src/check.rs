//! What `smtpd -t` looks at beside the files: whether the system has what they name. Binds and opens nothing.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use config::{ListenPlace, NextHop, Reloadable, Startup};
use nix::ifaddrs::getifaddrs;
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, access};

use crate::process::{self, Need};

/// Looks at users, addresses, directories, hosts and limits. `warn` is told of what a start gets past.
///
/// # Errors
/// What a start would fail for, one problem a line.
pub fn check(startup: &Startup, files: &Reloadable, warn: &dyn Fn(&str)) -> Result<(), String> {
    let mut problems = Vec::new();
    if let Some(privdrop) = &startup.environment.privdrop {
        problems.extend(process::find_identity(privdrop).err());
    }
    problems.extend(missing_addresses(startup));
    problems.extend(directory_problem("spool.path", &startup.spool.path));
    if let Some(accounting) = &startup.accounting {
        let parent = accounting.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        match parent.unwrap_or(Path::new(".")) {
            parent if parent.is_dir() => {}
            parent => problems.push(format!("accounting.path: {} is not a directory", parent.display())),
        }
    }
    for transport in &files.running.transports {
        if let NextHop::Host(host) = &transport.next_hop
            && let Err(error) = (host.to_string().as_str(), transport.port).to_socket_addrs()
        {
            warn(&format!("transport \"{}\": connection.server: {host}: {error}", transport.id));
        }
    }
    shortages(startup, files).iter().for_each(|shortage| warn(shortage));
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Listen addresses that no interface has.
fn missing_addresses(startup: &Startup) -> Vec<String> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let here: Vec<IpAddr> = interfaces.filter_map(|interface| ip_of(interface.address?)).collect();
    let listeners =
        startup.servers.iter().flat_map(|server| server.listeners.iter().map(move |at| (server, at)));
    listeners
        .filter_map(|(server, listener)| match listener.place {
            ListenPlace::Tcp { address, .. } => Some((server, address?)),
            ListenPlace::Unix(_) => None,
        })
        .filter(|(_, address)| !can_be_bound(*address, &here))
        .map(|(server, address)| {
            format!("servers \"{}\": {address} is not an address of this host", server.id)
        })
        .collect()
}

fn can_be_bound(address: IpAddr, here: &[IpAddr]) -> bool {
    // All of 127/8 is there where any of it is.
    let is_loopback = |address: &IpAddr| address.is_ipv4() && address.is_loopback();
    address.is_unspecified()
        || here.contains(&address)
        || is_loopback(&address) && here.iter().any(is_loopback)
}

fn ip_of(address: nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::from(std::net::SocketAddrV4::from(*v4)).ip());
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6)).ip())
}

/// A directory that is there must be one, and be ours to write; one that is not there is made at the start.
fn directory_problem(key: &str, path: &Path) -> Option<String> {
    let Ok(found) = stat(path) else { return None };
    if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFDIR {
        return Some(format!("{key}: {} is not a directory", path.display()));
    }
    let error = access(path, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK).err()?;
    Some(format!("{key}: {}: {}", path.display(), error.desc()))
}

fn shortages(startup: &Startup, files: &Reloadable) -> Vec<String> {
    let running = &files.running;
    let of_server =
        |server: &config::ListenServer| running.server(&server.id).map_or(0, |found| found.max_connections);
    let need = Need {
        inbound: startup.servers.iter().map(|server| u64::from(of_server(server))).sum(),
        outbound: u64::from(running.queues.max_connections),
        shards: u64::from(startup.environment.shards.unwrap_or(u32::from(engine::boot::default_shards()))),
    };
    // As a start would find them.
    if let Err(error) = process::raise_limits(startup.environment.rlimit_nofile) {
        return vec![error];
    }
    // Whether the rings can be had, only a start knows.
    need.shortages(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_host_can_be_bound_and_others_cannot() {
        let here: Vec<IpAddr> = vec!["127.0.0.1".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        for (address, expected) in [
            ("0.0.0.0", true),
            ("::", true),
            ("127.0.0.9", true),
            ("192.0.2.1", true),
            ("192.0.2.5", false),
            ("::1", false),
        ] {
            assert_eq!(can_be_bound(address.parse().unwrap(), &here), expected, "{address}");
        }
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = std::env::current_exe().unwrap();
        assert!(directory_problem("spool.path", &file).unwrap().ends_with("is not a directory"));
        assert_eq!(directory_problem("spool.path", Path::new("/nowhere/at/all")), None);
    }
}
