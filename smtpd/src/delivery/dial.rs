//! Connects, straight or by a proxy.

use std::io;
use std::net::SocketAddr;

use engine::net::{Bind, Conn, Connect};
use queue::Reason;
use tls::ResultType;

use super::pool::Key;
use super::source::Choice;

/// Why a host could not be used.
pub(super) enum Unusable {
    /// It does not answer, or does not greet us.
    Host(Reason),
    /// It greets us, and does not serve us: it wants no TLS, say.
    Refused(Reason),
    /// STARTTLS failed.
    NoTls(Reason, ResultType),
    /// The handshake of TLS without STARTTLS failed.
    NoImplicitTls(Reason, ResultType),
    /// Something on our side.
    Ours(Reason),
    /// There is no way from here to its network.
    NoRoute(Reason),
}

impl Unusable {
    /// What failed of TLS.
    pub(super) fn tls_result(&self) -> Option<ResultType> {
        match self {
            Unusable::NoTls(_, kind) | Unusable::NoImplicitTls(_, kind) => Some(*kind),
            Unusable::Host(_) | Unusable::Refused(_) | Unusable::Ours(_) | Unusable::NoRoute(_) => None,
        }
    }
}

/// A connection to where the key says. `failed` words what went wrong.
pub(super) async fn dial(
    key: &Key,
    from: &Choice,
    failed: impl Fn(&dyn std::fmt::Display) -> Reason,
) -> Result<Conn, Unusable> {
    let timeout = key.route.connect_timeout;
    match from.proxy(key.route.proxy) {
        None => match engine::time::timeout(timeout, connect(key.remote, from)).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(connect_failure(&error, from, failed)),
            Err(engine::time::Elapsed) => Err(Unusable::Host(failed(&"timed out"))),
        },
        // That it does not serve us says nothing about the host.
        Some(proxy) => match engine::time::timeout(timeout, through(proxy, key.remote, from)).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(Unusable::Ours(failed(&format!("proxy {proxy}: {error}")))),
            Err(engine::time::Elapsed) => Err(Unusable::Ours(failed(&format!("proxy {proxy}: timed out")))),
        },
    }
}

async fn connect(remote: SocketAddr, from: &Choice) -> io::Result<Conn> {
    match from {
        Choice::From(source) => {
            let bind = Bind { addr: SocketAddr::new(source.address, 0), nonlocal: source.nonlocal };
            Conn::connect_from(remote, bind).await
        }
        _ => Conn::connect(Connect { remote, local: None }).await,
    }
}

/// A connection that a proxy makes for us.
async fn through(proxy: SocketAddr, remote: SocketAddr, from: &Choice) -> io::Result<Conn> {
    let conn = Conn::connect(Connect { remote: proxy, local: None }).await?;
    let source = from.address().map_or(conn.local_addr(), |address| SocketAddr::new(address, 0));
    conn.send(net::proxy::header(net::proxy::Proxied { source, destination: remote }).into()).await?;
    Ok(conn)
}

/// A connect that failed because of this host says nothing about the other one.
fn connect_failure(
    error: &io::Error,
    from: &Choice,
    failed: impl Fn(&dyn std::fmt::Display) -> Reason,
) -> Unusable {
    match (error.raw_os_error(), from) {
        (Some(libc::EADDRNOTAVAIL), Choice::From(source)) => {
            let text = format!(
                "this host does not have the source address {} \"{}\"",
                source.address,
                source.name()
            );
            Unusable::Ours(failed(&text))
        }
        (Some(libc::ENETUNREACH | libc::ENETDOWN | libc::EAFNOSUPPORT), _) => {
            Unusable::NoRoute(failed(error))
        }
        (
            Some(
                libc::EMFILE
                | libc::ENFILE
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::EADDRNOTAVAIL
                | libc::EACCES
                | libc::EPERM,
            ),
            _,
        ) => Unusable::Ours(failed(error)),
        _ => Unusable::Host(failed(error)),
    }
}
