//! Where the server listens: the sockets of the startup file, bound by each shard or handed over by the service manager.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use config::{ListenPlace, Listener, Startup};
use engine::net::{Reservation, UnixListener, UnixOptions};
use engine::service::PassedSocket;

use crate::limits;
use crate::program::Door;

/// The sockets of all shards, before they listen.
#[derive(Debug)]
pub struct Plan {
    places: Vec<Place>,
    /// Handed over, and not what the startup file names.
    unclaimed: Vec<PassedSocket>,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// An address of TCP.
    Tcp(SocketAddr),
    /// A name in the file system.
    Unix(PathBuf),
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            At::Tcp(address) => address.fmt(f),
            At::Unix(path) => path.display().fmt(f),
        }
    }
}

/// One address of a server.
#[derive(Debug)]
struct Place {
    door: Door,
    at: At,
    backlog: u32,
    /// What the service manager has of it; empty: each shard binds a socket of its own.
    passed: Vec<PassedSocket>,
}

/// A socket of one shard that does not accept yet.
#[derive(Debug)]
pub struct Idle {
    /// Whose connections it takes.
    pub door: Door,
    backlog: u32,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Reserved(Reservation),
    Passed(PassedSocket),
    /// It is bound already, since this takes the privileges of the start, and so its clients wait.
    Unix(UnixListener),
}

/// A socket that listens, and its server.
#[derive(Debug)]
pub struct Listening {
    /// Accepts connections.
    pub listener: engine::net::Listener,
    /// Whose connections it takes.
    pub door: Door,
    /// The service manager does not have it yet.
    is_new: bool,
}

/// Copies of a shard's new listening sockets, for the service manager to keep.
pub type Copies = Vec<(String, OwnedFd)>;

impl Plan {
    /// What the startup file asks for, with what was handed over put where it belongs. `announce` is told of each
    /// server and address before it is tried; an address that nobody handed over is probed.
    ///
    /// # Errors
    /// `bind: <reason> (<address>)`.
    pub async fn make(
        startup: &Startup,
        mut passed: Vec<PassedSocket>,
        announce: &dyn Fn(std::fmt::Arguments<'_>),
    ) -> Result<Plan, String> {
        let mut places = Vec::new();
        for (server, listen) in startup.servers.iter().enumerate() {
            announce(format_args!("serverid: {}", listen.id));
            for (number, listener) in listen.listeners.iter().enumerate() {
                for at in places_of(listener) {
                    announce(format_args!("- listen on {at}"));
                    let (mine, rest) =
                        passed.into_iter().partition(|socket| At::Tcp(socket.local_addr()) == at);
                    passed = rest;
                    let door = Door { server, listener: number };
                    let place = Place { door, at, backlog: listener.backlog.unwrap_or(0), passed: mine };
                    if place.can_be_had(listener, announce).await? {
                        places.push(place);
                    }
                }
            }
        }
        Ok(Plan { places, unclaimed: passed })
    }

    /// Sockets that were handed over and that the startup file does not name. Dropping them closes them here.
    pub fn take_unclaimed(&mut self) -> Vec<PassedSocket> {
        std::mem::take(&mut self.unclaimed)
    }

    /// How many addresses are served by sockets that were handed over.
    pub fn passed_count(&self) -> usize {
        self.places.iter().filter(|place| !place.passed.is_empty()).count()
    }

    /// Binds the sockets of one shard of `shards`, or takes its part of those that were handed over. Each of these is
    /// served by some shard, and each shard serves one, however many there are of either.
    ///
    /// # Errors
    /// That of `bind`, with the address.
    pub fn bind(&self, shard: u16, shards: u16) -> Result<Vec<Idle>, (At, io::Error)> {
        let mut bound = Vec::with_capacity(self.places.len());
        for (number, place) in self.places.iter().enumerate() {
            let is_mine = number % usize::from(shards) == usize::from(shard);
            let sources = place.bind(shard, shards, is_mine).map_err(|error| (place.at.clone(), error))?;
            bound.extend(sources.into_iter().map(|source| Idle {
                door: place.door,
                backlog: place.backlog,
                source,
            }));
        }
        Ok(bound)
    }
}

impl Place {
    /// A shard's part. What only one can have is for that which it `is_mine` for.
    fn bind(&self, shard: u16, shards: u16, is_mine: bool) -> io::Result<Vec<Source>> {
        match &self.at {
            At::Tcp(address) if self.passed.is_empty() => {
                Ok(vec![Source::Reserved(Reservation::take(*address)?)])
            }
            At::Tcp(_) => share(self.passed.len(), usize::from(shard), usize::from(shards))
                .map(|number| self.passed[number].try_clone().map(Source::Passed))
                .collect(),
            At::Unix(path) if is_mine => {
                let options = UnixOptions {
                    mode: limits::UNIX_LISTENER_MODE,
                    uid: None,
                    gid: None,
                    backlog: if self.backlog == 0 { u32::MAX } else { self.backlog },
                };
                Ok(vec![Source::Unix(UnixListener::bind(path, &options)?)])
            }
            At::Unix(_) => Ok(Vec::new()),
        }
    }

    /// False where the host lacks the address, and it need not be there.
    async fn can_be_had(
        &self,
        listener: &Listener,
        announce: &dyn Fn(std::fmt::Arguments<'_>),
    ) -> Result<bool, String> {
        if !self.passed.is_empty() {
            return Ok(true);
        }
        let address = match &self.at {
            At::Tcp(address) => *address,
            At::Unix(path) => {
                let probed = once_free(|| engine::net::probe_bind_unix(path)).await;
                return probed.map(|()| true).map_err(|error| bind_error(&error, &self.at));
            }
        };
        let any = matches!(listener.place, ListenPlace::Tcp { address: None, .. });
        match once_free(|| engine::net::probe_bind(address)).await {
            Ok(()) => Ok(true),
            Err(error) if address.is_ipv6() && any && is_no_ipv6(&error) => {
                announce(format_args!("  this host has no IPv6"));
                Ok(false)
            }
            Err(error) => Err(bind_error(&error, &self.at)),
        }
    }
}

/// What `probe` says of an address, once nobody has it, or after a while. The kernel closes the sockets of a process that
/// was killed a moment after its end.
pub async fn once_free(probe: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let until = engine::time::now() + limits::PREDECESSOR_CLOSES;
    loop {
        match probe() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && engine::time::now() < until => {
                engine::time::sleep(limits::PREDECESSOR_LOOK).await;
            }
            result => return result,
        }
    }
}

impl Idle {
    /// Where it will listen.
    pub fn place(&self) -> At {
        match &self.source {
            Source::Reserved(reservation) => At::Tcp(reservation.address()),
            Source::Passed(socket) => At::Tcp(socket.local_addr()),
            Source::Unix(listener) => At::Unix(listener.path().to_owned()),
        }
    }

    /// Listens.
    ///
    /// # Errors
    /// That of `listen`.
    pub fn listen(self) -> io::Result<Listening> {
        let (listener, is_new) = match self.source {
            Source::Reserved(reservation) => (reservation.listen(self.backlog)?, true),
            Source::Passed(socket) => (engine::net::Listener::adopt(socket, self.backlog)?, false),
            Source::Unix(listener) => (listener.into_listener(), true),
        };
        Ok(Listening { listener, door: self.door, is_new })
    }
}

/// Copies of those that the service manager does not have. None where it is not possible (the simulator), nor of those
/// in the file system, whose names go with us.
pub fn copies(listening: &[Listening]) -> Copies {
    let new = listening.iter().filter(|socket| socket.is_new && socket.listener.path().is_none());
    new.filter_map(|socket| {
        Some((stored_name(socket.listener.local_addr()), socket.listener.duplicate().ok()?))
    })
    .collect()
}

/// What the service manager knows a socket by: no colon may be in it.
pub fn stored_name(address: SocketAddr) -> String {
    format!("{STORED_PREFIX}{}", address.to_string().replace(':', "_"))
}

/// The sockets whose names begin so were given to the service manager by us.
pub const STORED_PREFIX: &str = "listen-";

/// What to bind for a listener: without an address of its own, all of IPv4 and all of IPv6.
fn places_of(listener: &Listener) -> Vec<At> {
    let tcp = |ip: IpAddr, port| At::Tcp(SocketAddr::new(ip, port));
    match &listener.place {
        ListenPlace::Tcp { address: Some(address), port } => vec![tcp(*address, *port)],
        ListenPlace::Tcp { address: None, port } => {
            vec![tcp(Ipv4Addr::UNSPECIFIED.into(), *port), tcp(Ipv6Addr::UNSPECIFIED.into(), *port)]
        }
        ListenPlace::Unix(path) => vec![At::Unix(path.clone())],
    }
}

/// Which of `sockets` sockets a shard of `shards` serves.
fn share(sockets: usize, shard: usize, shards: usize) -> impl Iterator<Item = usize> {
    let (start, step) = match sockets {
        0 => (0, 1),
        few if few < shards => (shard % few, few),
        _ => (shard, shards),
    };
    (start..sockets).step_by(step)
}

/// `bind: Cannot assign requested address (192.0.2.5:25)`.
pub fn bind_error(error: &io::Error, at: &At) -> String {
    // The words of strerror alone, as operators know them.
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    format!("bind: {words} ({at})")
}

fn is_no_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_is_served_and_each_shard_serves_one() {
        for sockets in 1..9 {
            for shards in 1..9 {
                let parts: Vec<Vec<usize>> =
                    (0..shards).map(|shard| share(sockets, shard, shards).collect()).collect();
                assert!(
                    parts.iter().all(|part| !part.is_empty()),
                    "{sockets} sockets, {shards} shards: {parts:?}"
                );
                for socket in 0..sockets {
                    let servers = parts.iter().filter(|part| part.contains(&socket)).count();
                    assert!(servers >= 1, "{sockets} sockets, {shards} shards: {parts:?}");
                    assert!(
                        servers == 1 || sockets < shards,
                        "{sockets} sockets, {shards} shards: {parts:?}"
                    );
                }
            }
        }
        assert_eq!(share(0, 0, 2).count(), 0);
    }

    #[test]
    fn a_stored_name_has_no_colon() {
        assert_eq!(stored_name("127.0.0.1:25".parse().unwrap()), "listen-127.0.0.1_25");
        assert_eq!(stored_name("[::1]:25".parse().unwrap()), "listen-[__1]_25");
    }
}
