//! Sockets that have a local address before they have a peer.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use super::{Bind, Conn, Udp};
use crate::op::future::Stream;
use crate::op::{Descriptor, Target};
use crate::shard;

/// A TCP socket with a local address that nobody else can bind meanwhile. Unsupported in the simulator.
pub struct Bound {
    socket: Rc<Descriptor>,
}

impl Bound {
    /// Binds. With port 0 the kernel chooses one for the connection.
    pub fn bind(from: Bind) -> io::Result<Bound> {
        let socket = shard::with(|shard| shard.driver.bound(from, false))?;
        Ok(Bound { socket })
    }

    /// Connects. Where that fails the address is given back: the kernel makes no other attempt with the same socket.
    pub async fn connect(self, remote: SocketAddr) -> io::Result<Conn> {
        Conn::connect_to(Target::Bound { remote, socket: self.socket }).await
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bound")
    }
}

impl Udp {
    /// Opens and binds: it receives from everybody, and sends once it has a [peer](Udp::set_peer). With port 0 the kernel
    /// chooses one. Unsupported in the simulator.
    pub fn bind(from: Bind) -> io::Result<Udp> {
        let (socket, local) = shard::with(|shard| {
            let socket = shard.driver.bound(from, true)?;
            let local = shard.driver.local_addr(&socket)?;
            io::Result::Ok((socket, local))
        })?;
        Ok(Udp { receiving: Stream::default(), socket, local: local.into() })
    }

    /// From now on it sends to this peer, and takes nothing from others; what they have sent before stays.
    pub fn set_peer(&self, remote: SocketAddr) -> io::Result<()> {
        let local = shard::with(|shard| {
            shard.driver.set_peer(&self.socket, remote)?;
            shard.driver.local_addr(&self.socket)
        })?;
        // A wildcard becomes the address that leads there.
        self.local.set(local);
        Ok(())
    }
}
