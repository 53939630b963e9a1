//! Where directories are: `ldap://`, `ldaps://` and `ldapi://`, several with blanks between them.

use std::path::PathBuf;

use crate::services::link::Place;

/// A server of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) place: Place,
    /// The name that its certificate has to be for.
    pub(super) host: String,
    /// TLS from the first byte.
    pub(super) tls: bool,
}

/// The servers of a list; none: one of them is no URI of a directory.
pub(super) fn parse(list: &str) -> Option<Vec<Server>> {
    let servers: Option<Vec<Server>> =
        list.split([' ', ',']).filter(|word| !word.is_empty()).map(server).collect();
    servers.filter(|servers| !servers.is_empty())
}

fn server(uri: &str) -> Option<Server> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (tls, port) = match &*scheme.to_ascii_lowercase() {
        "ldap" => (false, 389),
        "ldaps" => (true, 636),
        "ldapi" => {
            let path = script::std::url::percent_decode(authority.as_bytes());
            let path = if path.is_empty() { b"/var/run/slapd/ldapi".to_vec() } else { path };
            let place = Place::Path(PathBuf::from(String::from_utf8(path).ok()?));
            return Some(Server { place, host: "localhost".to_owned(), tls: false });
        }
        _ => return None,
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, behind) = bracketed.split_once(']')?;
            (host, behind.strip_prefix(':').map_or(Some(port), |port| port.parse().ok())?)
        }
        None => match authority.split_once(':') {
            Some((host, text)) => (host, text.parse().ok()?),
            None => (authority, port),
        },
    };
    let host = if host.is_empty() { "localhost" } else { host }.to_owned();
    Some(Server { place: Place::Host(host.clone(), port), host, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_servers_are_read() {
        let shown = |list: &str| {
            let servers = parse(list)?;
            let one = |server: &Server| match &server.place {
                Place::Host(host, port) => format!("{host} {port} {}", server.tls),
                Place::Path(path) => path.display().to_string(),
            };
            Some(servers.iter().map(one).collect::<Vec<_>>().join("; "))
        };
        let cases = [
            ("ldap://a", Some("a 389 false")),
            ("ldaps://a.b ldap://c:3890/dc=x", Some("a.b 636 true; c 3890 false")),
            ("ldap://[::1]:1 ldap://[::1]", Some("::1 1 false; ::1 389 false")),
            ("ldap://", Some("localhost 389 false")),
            ("ldapi://%2frun%2fx", Some("/run/x")),
            ("http://a", None),
            ("ldap://a:b", None),
            ("a", None),
            ("", None),
        ];
        for (list, expected) in cases {
            assert_eq!(shown(list).as_deref(), expected, "{list}");
        }
    }
}
