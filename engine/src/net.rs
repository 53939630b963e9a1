//! Sockets: listener, connection, UDP.

mod bound;
mod unix;

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::buf::RecvBuf;
use crate::limits;
use crate::op::future::{Stream, once};
use crate::op::{Accepted, ConnectOp, Descriptor, Detached, Item, Op, Reply, SendList, Target};
use crate::service::PassedSocket;
use crate::shard;
use crate::time;

pub use bound::Bound;
pub use unix::{Credentials, UnixListener, UnixOptions};

/// Binds `addr` once without SO_REUSEPORT and lets it go, so that "Address already in use" still appears. May be called
/// outside of the engine, before it starts.
pub fn probe_bind(addr: SocketAddr) -> io::Result<()> {
    let probed = shard::try_with(|shard| shard.driver.probe_bind(addr));
    probed.unwrap_or_else(|| crate::os::socket::probe_bind(addr))
}

/// Whether a [`UnixListener`] can be bound at `path`: takes the name away that nobody listens on any more. The error
/// `AddrInUse` where somebody does, `AlreadyExists` for another kind of file; unsupported in the simulator.
pub fn probe_bind_unix(path: &Path) -> io::Result<()> {
    shard::with(|shard| shard.driver.probe_bind_unix(path))
}

/// A listening stream socket of this shard: of TCP (SO_REUSEPORT), or a [`UnixListener`]'s.
pub struct Listener {
    accepting: Stream,
    listener: Rc<Descriptor>,
    local: SocketAddr,
    /// Its name, where it stands in the file system.
    name: Option<unix::Name>,
    /// Accepting failed for want of descriptors or memory, and that was reported.
    exhausted: Cell<bool>,
}

impl Listener {
    /// Binds and listens. `backlog` 0 means the system's maximum. An IPv6 address takes IPv6 only.
    pub fn bind(addr: SocketAddr, backlog: u32) -> io::Result<Listener> {
        let (listener, local) = shard::with(|shard| shard.driver.listen(addr, backlog))?;
        Ok(Listener::new(listener, local, None))
    }

    fn new(listener: Rc<Descriptor>, local: SocketAddr, name: Option<unix::Name>) -> Listener {
        Listener { accepting: Stream::default(), listener, local, name, exhausted: Cell::new(false) }
    }

    /// Takes over a listening socket that the service manager handed over. `backlog` as with [`Listener::bind`].
    pub fn adopt(socket: PassedSocket, backlog: u32) -> io::Result<Listener> {
        Listener::listen(socket.into_descriptor(), backlog)
    }

    fn listen(socket: Descriptor, backlog: u32) -> io::Result<Listener> {
        let (listener, local) = shard::with(|shard| shard.driver.start_listening(socket, backlog))?;
        Ok(Listener::new(listener, local, None))
    }

    /// A descriptor of the same socket, for [`crate::service::Manager::keep`]. An error in the simulator.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.listener.duplicate()
    }

    /// Stops accepting, and gives the connections that were already taken from the kernel: dropping the listener would
    /// drop them.
    pub async fn close(self) -> Vec<Conn> {
        let mut conns = Vec::new();
        if shard::with(|shard| self.accepting.end(shard)) {
            let op = || Op::Accept { listener: self.listener.clone() };
            while let Ok(Some(Item::Conn(accepted))) =
                poll_fn(|cx| shard::with(|shard| self.accepting.poll_next(shard, cx, op))).await
            {
                conns.push(Conn::new(accepted, None));
            }
        }
        conns
    }

    /// The next connection. TCP_NODELAY is set. Connections are taken from the kernel from the first call on; dropping
    /// the future loses none. Want of descriptors or memory is an error once, after which calls try again in
    /// intervals of [`limits::ACCEPT_RETRY_MS`] until one succeeds.
    pub async fn accept(&self) -> io::Result<Conn> {
        loop {
            if self.exhausted.get() {
                time::sleep(Duration::from_millis(limits::ACCEPT_RETRY_MS)).await;
            }
            let op = || Op::Accept { listener: self.listener.clone() };
            let next = poll_fn(|cx| shard::with(|shard| self.accepting.poll_next(shard, cx, op))).await;
            match next {
                Ok(Some(Item::Conn(accepted))) => {
                    self.exhausted.set(false);
                    // A listener on one address tells the connection's; one on a wildcard does not.
                    let local = Some(self.local).filter(|local| !local.ip().is_unspecified());
                    return Ok(Conn::new(accepted, local));
                }
                Ok(_) => {}
                Err(_) if self.exhausted.get() => {}
                Err(error) => {
                    self.exhausted.set(true);
                    return Err(error);
                }
            }
        }
    }

    /// The bound address (with the port the system chose for port 0).
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// An address that is ours, on which nobody listens yet: connections are refused.
pub struct Reservation {
    addr: SocketAddr,
    socket: Option<Descriptor>,
}

impl Reservation {
    /// Binds. Others of the same user can bind the address as well, with SO_REUSEPORT.
    pub fn take(addr: SocketAddr) -> io::Result<Reservation> {
        let socket = shard::with(|shard| shard.driver.reserve(addr))?;
        Ok(Reservation { addr, socket })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.addr
    }

    /// Listens. `backlog` as with [`Listener::bind`].
    pub fn listen(self, backlog: u32) -> io::Result<Listener> {
        match self.socket {
            Some(socket) => Listener::listen(socket, backlog),
            None => Listener::bind(self.addr, backlog),
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reservation({})", self.addr)
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({})", self.local)
    }
}

/// Where to connect, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Connect {
    /// The peer.
    pub remote: SocketAddr,
    /// Local address to bind first (IP_BIND_ADDRESS_NO_PORT), if any.
    pub local: Option<IpAddr>,
}

/// A local address to connect from.
#[derive(Clone, Copy, Debug)]
pub struct Bind {
    /// The address; with port 0 the kernel chooses one.
    pub addr: SocketAddr,
    /// The address need not be one of this machine's (IP_TRANSPARENT, which takes CAP_NET_ADMIN).
    pub nonlocal: bool,
}

/// A TCP connection, or one to a stream socket in the file system. Operations take `&self`: a receive and a send may run at once (one of each).
/// Dropping it closes it, after the end of what is under way.
pub struct Conn {
    receiving: Stream,
    socket: Rc<Descriptor>,
    peer: SocketAddr,
    local: Cell<Option<SocketAddr>>,
    /// The end of the stream was received.
    ended: Cell<bool>,
}

impl Conn {
    fn new(accepted: Accepted, local: Option<SocketAddr>) -> Conn {
        Conn {
            receiving: Stream::default(),
            socket: accepted.socket,
            peer: accepted.peer,
            local: Cell::new(local),
            ended: Cell::new(false),
        }
    }

    /// Connects. Wrap it in [`crate::time::timeout`] for a deadline.
    pub async fn connect(to: Connect) -> io::Result<Conn> {
        let from = to.local.map(|local| Bind { addr: SocketAddr::new(local, 0), nonlocal: false });
        Conn::connect_to(Target::Tcp { remote: to.remote, from }).await
    }

    /// Connects from a given address and port.
    pub async fn connect_from(remote: SocketAddr, from: Bind) -> io::Result<Conn> {
        Conn::connect_to(Target::Tcp { remote, from: Some(from) }).await
    }

    /// Connects to a stream socket in the file system. Its addresses are unspecified.
    pub async fn connect_unix(path: &Path) -> io::Result<Conn> {
        Conn::connect_to(Target::Unix(path.to_owned())).await
    }

    async fn connect_to(to: Target) -> io::Result<Conn> {
        let (_, result) = once(Op::Connect(Box::new(ConnectOp { to, connecting: None }))).await;
        match result? {
            Reply::Conn(accepted) => Ok(Conn::new(accepted, None)),
            reply => unreachable!("a connect gives a connection, not {reply:?}"),
        }
    }

    /// The next bytes; empty at the end of the stream, and from then on. Dropping the future loses nothing.
    pub async fn recv(&self) -> io::Result<RecvBuf> {
        if self.ended.get() {
            return Ok(RecvBuf::empty());
        }
        let op = || Op::Recv { socket: self.socket.clone() };
        let next = poll_fn(|cx| shard::with(|shard| self.receiving.poll_next(shard, cx, op))).await;
        match next? {
            Some(Item::Bytes(bytes)) => Ok(bytes),
            Some(item) => unreachable!("a receive gives bytes, not {item:?}"),
            None => {
                self.ended.set(true);
                Ok(RecvBuf::empty())
            }
        }
    }

    /// Sends all of `data`. When the future is dropped, any part of it may have been sent.
    pub fn send(&self, data: Bytes) -> impl Future<Output = io::Result<()>> + use<> {
        // Not an `async fn`, which would hold the data twice.
        let mut sending = (!data.is_empty()).then(|| once(Op::Send { socket: self.socket.clone(), data }));
        async move {
            match &mut sending {
                Some(sending) => sending.await.1.map(drop),
                None => Ok(()),
            }
        }
    }

    /// Sends all of `list`, gathered into as few system calls as the kernel allows. When the future is dropped, any
    /// part of it may have been sent.
    pub async fn send_list(&self, list: Vec<Bytes>) -> io::Result<()> {
        let list = Box::new(SendList { list, gather: Default::default() });
        once(Op::SendList { socket: self.socket.clone(), list }).await.1.map(drop)
    }

    /// Closes our sending side (FIN).
    pub async fn shutdown(&self) -> io::Result<()> {
        shard::with(|shard| shard.driver.shutdown(&self.socket))
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Our address. Unspecified when the connection is gone before anyone asked.
    pub fn local_addr(&self) -> SocketAddr {
        self.local.get().unwrap_or_else(|| {
            let asked = shard::with(|shard| shard.driver.local_addr(&self.socket));
            let unspecified = match self.peer {
                SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
                SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
            };
            let local = asked.unwrap_or(unspecified);
            self.local.set(Some(local));
            local
        })
    }
}

/// A connection on its way from one shard to another; closed when dropped.
#[derive(Debug)]
pub struct Handover {
    socket: Detached,
    peer: SocketAddr,
    local: Option<SocketAddr>,
}

impl Conn {
    /// Takes a connection off this shard, for [`Handover::take_up`] on another. Gives it back when something was
    /// received or sent on it: what is under way stays where it is.
    pub fn hand_over(self) -> Result<Handover, Conn> {
        let Conn { receiving, socket, peer, local, ended } = self;
        if receiving.is_begun() || ended.get() {
            return Err(Conn { receiving, socket, peer, local, ended });
        }
        match Rc::try_unwrap(socket) {
            Ok(socket) => Ok(Handover { socket: socket.detach(), peer, local: local.get() }),
            // A send owns it, too.
            Err(socket) => Err(Conn { receiving, socket, peer, local, ended }),
        }
    }
}

impl Conn {
    /// Takes a connection off this shard on which something was received, for [`Handover::take_up`] on another: ends the
    /// receive that waits. `None`: something came meanwhile, the peer is gone, or a send is under way; it is closed.
    pub async fn take_off(self) -> Option<Handover> {
        let Conn { receiving, socket, peer, local, ended } = self;
        if ended.get() {
            return None;
        }
        if shard::with(|shard| receiving.end(shard)) {
            let op = || Op::Recv { socket: socket.clone() };
            match poll_fn(|cx| shard::with(|shard| receiving.poll_next(shard, cx, op))).await {
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
                _ => return None,
            }
        }
        drop(receiving);
        let socket = Rc::try_unwrap(socket).ok()?;
        Some(Handover { socket: socket.detach(), peer, local: local.get() })
    }
}

impl Handover {
    /// The connection, as one of this shard.
    pub fn take_up(self) -> Conn {
        Conn::new(Accepted { socket: Rc::new(self.socket.attach()), peer: self.peer }, self.local)
    }
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Conn({})", self.peer)
    }
}

/// A UDP socket, connected to one peer, on a random local port unless [bound](Udp::bind); or a datagram socket of the file system.
pub struct Udp {
    receiving: Stream,
    socket: Rc<Descriptor>,
    local: Cell<SocketAddr>,
}

impl Udp {
    /// Opens and connects.
    pub async fn connect(remote: SocketAddr) -> io::Result<Udp> {
        let (socket, local) = shard::with(|shard| shard.driver.udp(remote))?;
        Ok(Udp { receiving: Stream::default(), socket, local: local.into() })
    }

    /// Opens a datagram socket in the file system and connects to the one at `path`, which cannot answer as this one
    /// has no path.
    pub async fn connect_unix(path: &Path) -> io::Result<Udp> {
        let socket = shard::with(|shard| shard.driver.unix_datagram(path))?;
        Ok(Udp { receiving: Stream::default(), socket, local: SocketAddr::from(([0; 4], 0)).into() })
    }

    /// Sends one datagram.
    pub async fn send(&self, data: Bytes) -> io::Result<()> {
        once(Op::SendDatagram { socket: self.socket.clone(), data }).await.1.map(drop)
    }

    /// Receives one datagram, cut off after [`limits::RECV_BUFFER_BYTES`]. An error (the peer's port is closed) does
    /// not end the socket.
    pub async fn recv(&self) -> io::Result<RecvBuf> {
        let op = || Op::RecvDatagram { socket: self.socket.clone() };
        loop {
            let next = poll_fn(|cx| shard::with(|shard| self.receiving.poll_next(shard, cx, op))).await;
            if let Some(Item::Bytes(bytes)) = next? {
                return Ok(bytes);
            }
        }
    }

    /// Our address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local.get()
    }
}

impl std::fmt::Debug for Udp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Udp({})", self.local.get())
    }
}

#[cfg(test)]
mod tests;
