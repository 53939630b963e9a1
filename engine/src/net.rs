//! Sockets: listener, connection, UDP.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::buf::RecvBuf;

/// Binds `addr` once without SO_REUSEPORT and lets it go, so that "Address already in use" still appears.
pub fn probe_bind(addr: SocketAddr) -> io::Result<()> {
    todo!()
}

/// A listening TCP socket of this shard (SO_REUSEPORT).
#[derive(Debug)]
pub struct Listener;

impl Listener {
    /// Binds and listens. `backlog` 0 means the system's maximum.
    pub fn bind(addr: SocketAddr, backlog: u32) -> io::Result<Listener> {
        todo!()
    }
    /// The next connection. TCP_NODELAY is set.
    pub async fn accept(&self) -> io::Result<Conn> {
        todo!()
    }
    /// The bound address (with the port the system chose for port 0).
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }
}

/// Where to connect, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Connect {
    /// The peer.
    pub remote: SocketAddr,
    /// Local address to bind first (IP_BIND_ADDRESS_NO_PORT), if any.
    pub local: Option<std::net::IpAddr>,
}

/// A TCP connection. Operations take `&self`: a receive and a send may run at once (one of each).
/// Dropping it closes it.
#[derive(Debug)]
pub struct Conn;

impl Conn {
    /// Connects. Wrap it in [`crate::time::timeout`] for a deadline.
    pub async fn connect(to: Connect) -> io::Result<Conn> {
        todo!()
    }
    /// The next bytes; empty at the end of the stream.
    pub async fn recv(&self) -> io::Result<RecvBuf> {
        todo!()
    }
    /// Sends all of `data`.
    pub async fn send(&self, data: Bytes) -> io::Result<()> {
        todo!()
    }
    /// Sends all of `list`, gathered into as few system calls as the kernel allows.
    pub async fn send_list(&self, list: Vec<Bytes>) -> io::Result<()> {
        todo!()
    }
    /// Closes our sending side (FIN).
    pub async fn shutdown(&self) -> io::Result<()> {
        todo!()
    }
    /// The peer's address.
    pub fn peer_addr(&self) -> SocketAddr {
        todo!()
    }
    /// Our address.
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }
}

/// A UDP socket, connected to one peer, on a random local port.
#[derive(Debug)]
pub struct Udp;

impl Udp {
    /// Opens and connects.
    pub async fn connect(remote: SocketAddr) -> io::Result<Udp> {
        todo!()
    }
    /// Sends one datagram.
    pub async fn send(&self, data: Bytes) -> io::Result<()> {
        todo!()
    }
    /// Receives one datagram.
    pub async fn recv(&self) -> io::Result<RecvBuf> {
        todo!()
    }
    /// Our address.
    pub fn local_addr(&self) -> SocketAddr {
        todo!()
    }
}
