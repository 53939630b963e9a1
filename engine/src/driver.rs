//! Which driver a shard stands on. Enum dispatch: no generics through the code base.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use crate::net::{Bind, UnixOptions};
use crate::op::{Descriptor, OpId};
use crate::os::unix;
use crate::shard::{Done, Shard};
use crate::time::Instant;

/// A driver carries out operations. All methods take `&self`: drivers keep their state in cells.
pub(crate) enum Driver {
    Uring(Box<crate::uring::Uring>),
    Epoll(Box<crate::epoll::Epoll>),
    Sim(crate::sim::Port),
}

impl Driver {
    /// Its world is a simulated one.
    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self, Driver::Sim(_))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Driver::Uring(_) => "io_uring",
            Driver::Epoll(_) => "epoll",
            Driver::Sim(_) => "simulated",
        }
    }
    /// Starts the operation that was just stored in the shard's table as `id`. Never completes it inside the call.
    pub(crate) fn submit(&self, shard: &Shard, id: OpId) {
        match self {
            Driver::Uring(uring) => uring.submit(shard, id),
            Driver::Epoll(epoll) => epoll.submit(shard, id),
            Driver::Sim(port) => port.submit(shard, id),
        }
    }
    /// Asks for the end of `id`. It may complete late, or succeed after all.
    pub(crate) fn cancel(&self, shard: &Shard, id: OpId) {
        match self {
            Driver::Uring(uring) => uring.cancel(shard, id),
            Driver::Epoll(epoll) => epoll.cancel(shard, id),
            Driver::Sim(port) => port.cancel(shard, id),
        }
    }
    /// The taker of a multishot operation has taken what was there and wants more: lift flow control.
    pub(crate) fn resume(&self, shard: &Shard, id: OpId) {
        match self {
            Driver::Uring(uring) => uring.resume(shard, id),
            Driver::Epoll(epoll) => epoll.resume(shard, id),
            Driver::Sim(port) => port.resume(shard, id),
        }
    }
    /// A [`Descriptor`] was dropped. False when it is none of this driver's.
    pub(crate) fn close(&self, raw: i32, simulated: bool) -> bool {
        match self {
            Driver::Uring(uring) if !simulated => uring.close(raw),
            Driver::Epoll(epoll) if !simulated => epoll.close(raw),
            Driver::Sim(port) if simulated => port.close(raw),
            _ => return false,
        }
        true
    }
    /// A thread of the pool has carried out `id`.
    pub(crate) fn done(&self, shard: &Shard, id: OpId, done: Done) {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => crate::os::path::done(shard, id, done),
            Driver::Sim(_) => unreachable!("the simulator has no pool"),
        }
    }

    // ---- what is done at once

    /// A bound and listening socket, and its address.
    pub(crate) fn listen(&self, addr: SocketAddr, backlog: u32) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
        match self {
            Driver::Uring(_) => crate::os::socket::listen(addr, backlog),
            Driver::Epoll(_) => nonblocking(crate::os::socket::listen(addr, backlog)?),
            Driver::Sim(port) => port.listen(addr, backlog),
        }
    }
    /// Has `addr` for later, where that is more than knowing it.
    pub(crate) fn reserve(&self, addr: SocketAddr) -> io::Result<Option<Descriptor>> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => crate::os::socket::reserve(addr).map(Some),
            Driver::Sim(_) => Ok(None),
        }
    }
    /// Listens on a socket of the kernel that is bound, or that listens already.
    pub(crate) fn start_listening(
        &self,
        socket: Descriptor,
        backlog: u32,
    ) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
        let nonblocking = match self {
            Driver::Uring(_) => false,
            Driver::Epoll(_) => true,
            Driver::Sim(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        crate::os::socket::switch_nonblocking(socket.raw(), nonblocking)?;
        crate::os::socket::start_listening(socket, backlog)
    }
    /// Whether `addr` can be bound without SO_REUSEPORT.
    pub(crate) fn probe_bind(&self, addr: SocketAddr) -> io::Result<()> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => crate::os::socket::probe_bind(addr),
            Driver::Sim(port) => port.probe_bind(addr),
        }
    }
    /// Whether `path` can be listened on.
    pub(crate) fn probe_bind_unix(&self, path: &Path) -> io::Result<()> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => unix::probe_bind(path),
            Driver::Sim(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
    /// A UDP socket connected to `remote`, and its local address.
    pub(crate) fn udp(
        &self,
        remote: SocketAddr,
        from: Option<Bind>,
    ) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
        match self {
            Driver::Uring(_) => crate::os::socket::udp(remote, from),
            Driver::Epoll(_) => nonblocking(crate::os::socket::udp(remote, from)?),
            Driver::Sim(port) => port.udp(remote, from),
        }
    }
    /// A datagram socket connected to the one at `path`.
    pub(crate) fn unix_datagram(&self, path: &Path) -> io::Result<Rc<Descriptor>> {
        match self {
            Driver::Uring(_) => crate::os::socket::unix_datagram(path),
            Driver::Epoll(_) => {
                let socket = crate::os::socket::unix_datagram(path)?;
                crate::os::socket::set_nonblocking(socket.raw())?;
                Ok(socket)
            }
            Driver::Sim(port) => port.unix_datagram(path),
        }
    }
    /// A listening socket in the file system, and what tells its name from another's.
    pub(crate) fn listen_unix(
        &self,
        path: &Path,
        options: &UnixOptions,
    ) -> io::Result<(Rc<Descriptor>, unix::Identity)> {
        match self {
            Driver::Uring(_) => unix::listen(path, options),
            Driver::Epoll(_) => {
                let (socket, identity) = unix::listen(path, options)?;
                crate::os::socket::set_nonblocking(socket.raw())?;
                Ok((socket, identity))
            }
            // There is no file system that sockets could be in.
            Driver::Sim(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
    /// Sends FIN.
    pub(crate) fn shutdown(&self, socket: &Descriptor) -> io::Result<()> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => crate::os::socket::shutdown(socket),
            Driver::Sim(port) => port.shutdown(socket),
        }
    }
    /// The local address of a connection.
    pub(crate) fn local_addr(&self, socket: &Descriptor) -> io::Result<SocketAddr> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => crate::os::socket::local_addr(socket),
            Driver::Sim(port) => port.local_addr(socket),
        }
    }

    // ---- clocks and wakes

    /// The monotonic clock, read afresh.
    pub(crate) fn now(&self) -> Instant {
        match self {
            Driver::Uring(uring) => uring.now(),
            Driver::Epoll(epoll) => epoll.now(),
            Driver::Sim(port) => port.now(),
        }
    }
    /// Microseconds since the Unix epoch, read afresh.
    pub(crate) fn wall_us(&self) -> u64 {
        match self {
            Driver::Uring(uring) => uring.wall_us(),
            Driver::Epoll(epoll) => epoll.wall_us(),
            Driver::Sim(port) => port.wall_us(),
        }
    }
    /// Ends a loop turn on the kernel's drivers; the simulator turns its shards itself.
    pub(crate) fn end_turn(&self, shard: &Shard) {
        match self {
            Driver::Uring(uring) => uring.end_turn(shard),
            Driver::Epoll(epoll) => epoll.end_turn(shard),
            Driver::Sim(_) => unreachable!("the simulator turns its shards itself"),
        }
    }
    /// Ends all operations of a shard that stops. False when some did not end in time.
    pub(crate) fn drain(&self, shard: &Shard) -> bool {
        match self {
            Driver::Uring(uring) => uring.drain(shard),
            Driver::Epoll(epoll) => epoll.drain(shard),
            Driver::Sim(_) => unreachable!("the simulator stops its shards itself"),
        }
    }
    /// Wakes thread `peer` of the same process, which said that it sleeps. At most once per peer and loop turn.
    pub(crate) fn wake(&self, peer: usize) {
        match self {
            Driver::Uring(uring) => uring.wake(peer),
            Driver::Epoll(epoll) => epoll.wake(peer),
            Driver::Sim(port) => port.wake(peer),
        }
    }
}

/// io_uring waits itself and wants blocking sockets; epoll wants the others.
fn nonblocking(opened: (Rc<Descriptor>, SocketAddr)) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
    crate::os::socket::set_nonblocking(opened.0.raw())?;
    Ok(opened)
}

#[cfg(test)]
impl Driver {
    /// The buffers of a real shard.
    pub(crate) fn buffers(&self) -> Rc<crate::os::bufring::BufRing> {
        match self {
            Driver::Uring(uring) => uring.buffers(),
            Driver::Epoll(epoll) => epoll.buffers(),
            Driver::Sim(_) => unreachable!("a real shard"),
        }
    }
}
