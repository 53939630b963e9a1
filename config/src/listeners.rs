//! `servers[].listeners[]` of the startup file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::report::{Problem, Report};
use crate::tree::{Checked, Tree};

/// `servers[].listeners[]`: where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Name for `servers[].tls.implicit`.
    pub id: Option<String>,
    /// Where.
    pub place: ListenPlace,
    /// Listen backlog; `None`: the system's.
    pub backlog: Option<u32>,
}

/// Where clients find a [`Listener`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenPlace {
    /// A TCP socket per shard.
    Tcp {
        /// Local address; `None`: all IPv4 and IPv6 addresses.
        address: Option<IpAddr>,
        /// Not 0.
        port: u16,
    },
    /// One socket in the file system, at an absolute path.
    Unix(PathBuf),
}

/// What the schema cannot say about the listeners of one server.
pub(crate) fn check(server: &Tree, index: usize, report: &mut Report) {
    for (number, listener) in server.items("listeners").iter().enumerate() {
        place(listener, &format!("servers[{index}].listeners[{number}]"), report);
    }
    count(server, index, report);
}

/// A port, or a path.
fn place(listener: &Tree, here: &str, report: &mut Report) {
    let Some(path) = listener.get("path") else {
        if listener.get("port").is_none() && matches!(listener.value, Checked::Map(_)) {
            let problem = Problem::new("required property is missing");
            report.error(listener.at, &format!("{here}.port"), problem);
        }
        return;
    };
    for key in ["port", "address"] {
        if let Some(other) = listener.get(key) {
            report.error(other.at, &format!("{here}.{key}"), Problem::new("excludes path"));
        }
    }
    if listener.text("path").is_some_and(|path| !path.starts_with('/')) {
        report.error(path.at, &format!("{here}.path"), Problem::new("is not an absolute path"));
    }
}

fn count(server: &Tree, index: usize, report: &mut Report) {
    // What is no server, or no list, has had its error.
    if matches!(server.value, Checked::Opaque)
        || server.get("listeners").is_some_and(|tree| matches!(tree.value, Checked::Opaque))
    {
        return;
    }
    let count = server.items("listeners").len();
    let problem = match server.text("type").unwrap_or("smtp") {
        "smtp" if count == 0 => "a server of type smtp has at least one listener".to_owned(),
        kind @ ("http" | "https") if count != 1 => {
            format!("a server of type {kind} has exactly one listener")
        }
        "plugin" if count > 0 => "not allowed for type plugin".to_owned(),
        _ => return,
    };
    let at = server.get("listeners").map_or(server.at, |listeners| listeners.at);
    report.error(at, &format!("servers[{index}].listeners"), Problem::new(problem));
}

/// No two listeners on the same address and port, or on the same path.
pub(crate) fn unique(tree: &Tree, report: &mut Report) {
    let mut taken: Vec<(Option<IpAddr>, u64, &str)> = Vec::new();
    let mut paths: Vec<(&str, &str)> = Vec::new();
    for (server_index, server) in tree.items("servers").iter().enumerate() {
        let id = server.text("id").unwrap_or("?");
        for (index, listener) in server.items("listeners").iter().enumerate() {
            if let Some(path) = listener.text("path") {
                if let Some((_, owner)) = paths.iter().find(|(other, _)| *other == path) {
                    report.error(
                        listener.at,
                        &format!("servers[{server_index}].listeners[{index}]"),
                        Problem::new(format!("{path} is already used by server \"{owner}\"")),
                    );
                }
                paths.push((path, id));
            }
            let Some(port) = listener.integer("port") else { continue };
            let address = listener.ip("address");
            if address.is_none() && listener.get("address").is_some() {
                continue; // wrong, and reported as such
            }
            let earlier =
                taken.iter().find(|(other, other_port, _)| *other_port == port && overlap(*other, address));
            if let Some((_, _, owner)) = earlier {
                let shown =
                    SocketAddr::new(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), clamp_port(port));
                report.error(
                    listener.at,
                    &format!("servers[{server_index}].listeners[{index}]"),
                    Problem::new(format!("{shown} is already used by server \"{owner}\"")),
                );
            }
            taken.push((address, port, id));
        }
    }
}

/// Without an address, a listener takes both wildcards.
fn overlap(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        (None, None) => true,
        (Some(address), None) | (None, Some(address)) => address.is_unspecified(),
    }
}

fn clamp_port(port: u64) -> u16 {
    u16::try_from(port).expect("bounded by the schema")
}

/// The typed value of one without errors.
pub(crate) fn listener(tree: &Tree) -> Listener {
    Listener {
        id: tree.text("id").map(str::to_owned),
        place: match tree.text("path") {
            Some(path) => ListenPlace::Unix(PathBuf::from(path)),
            None => ListenPlace::Tcp {
                address: tree.ip("address"),
                port: clamp_port(tree.integer("port").expect("required without a path")),
            },
        },
        backlog: tree.count("backlog"),
    }
}
