//! The simulated driver's end of the seam (see `driver.rs`).

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use super::network::Socket;
use super::world::{Event, MICROSECOND_NS, Target, ThreadId, World};
use crate::disk::Durability;
use crate::op::{Descriptor, Op, OpId};
use crate::shard::Shard;
use crate::time::Instant;

/// Connections that wait in a listener when nobody says otherwise.
const DEFAULT_BACKLOG: usize = 4096;

/// One simulated thread's access to its world. When its process has ended, whatever it asks for is ignored.
pub(crate) struct Port {
    world: Rc<RefCell<World>>,
    thread: ThreadId,
}

impl Port {
    pub(super) fn new(world: Rc<RefCell<World>>, thread: ThreadId) -> Port {
        Port { world, thread }
    }

    pub(crate) fn submit(&self, shard: &Shard, id: OpId) {
        let mut world = self.world.borrow_mut();
        let Some(running) = world.running.get_mut(&self.thread.process) else { return };
        running.in_flight.insert((self.thread.index, id));
        let mut ops = shard.ops.borrow_mut();
        let op = ops.op(id).expect("submit follows insert");
        let (low_us, high_us) = delay_us(op, &mut world);
        world.schedule_op(self.thread, id, low_us, high_us);
    }

    pub(crate) fn cancel(&self, _shard: &Shard, id: OpId) {
        let mut world = self.world.borrow_mut();
        let at_ns = world.now_ns + world.random.between(MICROSECOND_NS, 100 * MICROSECOND_NS);
        world.schedule(at_ns, Event::Cancel(self.thread, id));
    }

    pub(crate) fn resume(&self, _shard: &Shard, id: OpId) {
        self.world.borrow_mut().schedule_op(self.thread, id, 1, 10);
    }

    pub(crate) fn close(&self, raw: i32) {
        self.world.borrow_mut().close(self.thread.process, raw);
    }

    pub(crate) fn listen(&self, addr: SocketAddr, backlog: u32) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
        let mut world = self.live()?;
        let host = world.host_addr(self.thread.process);
        let backlog = if backlog == 0 { DEFAULT_BACKLOG } else { backlog as usize };
        let socket = world.network.listen(self.thread.process, host, addr, backlog)?;
        let port = world.network.local_addr(socket)?.port();
        Ok((self.descriptor(&mut world, socket), SocketAddr::new(addr.ip(), port)))
    }

    pub(crate) fn probe_bind(&self, addr: SocketAddr) -> io::Result<()> {
        let world = self.live()?;
        world.network.probe_bind(world.host_addr(self.thread.process), addr)
    }

    pub(crate) fn udp(&self, remote: SocketAddr) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
        let mut world = self.live()?;
        let host = world.host_addr(self.thread.process);
        let socket = world.network.datagrams(self.thread.process, host, remote)?;
        let local = world.network.local_addr(socket)?;
        Ok((self.descriptor(&mut world, socket), local))
    }

    /// Nobody listens in the file system of a simulated world.
    pub(crate) fn unix_datagram(&self, _path: &Path) -> io::Result<Rc<Descriptor>> {
        Err(io::Error::from_raw_os_error(libc::ENOENT))
    }

    pub(crate) fn shutdown(&self, socket: &Descriptor) -> io::Result<()> {
        let mut world = self.live()?;
        let socket = self.socket(&world, socket)?;
        let result = world.network.shutdown(socket);
        world.pump();
        result
    }

    pub(crate) fn local_addr(&self, socket: &Descriptor) -> io::Result<SocketAddr> {
        let world = self.live()?;
        let socket = self.socket(&world, socket)?;
        world.network.local_addr(socket)
    }

    pub(crate) fn now(&self) -> Instant {
        Instant(self.world.borrow().now_ns)
    }

    pub(crate) fn wall_us(&self) -> u64 {
        self.world.borrow().wall_us()
    }

    pub(crate) fn wake(&self, peer: usize) {
        self.world.borrow_mut().wake(ThreadId { process: self.thread.process, index: peer });
    }

    /// The world, for a call that answers at once; an error when the process has ended.
    fn live(&self) -> io::Result<std::cell::RefMut<'_, World>> {
        let world = self.world.borrow_mut();
        match world.running.contains_key(&self.thread.process) {
            true => Ok(world),
            false => Err(io::Error::from_raw_os_error(libc::EBADF)),
        }
    }

    fn descriptor(&self, world: &mut World, socket: Socket) -> Rc<Descriptor> {
        Rc::new(Descriptor::simulated(world.open(self.thread.process, Target::Socket(socket))))
    }

    fn socket(&self, world: &World, descriptor: &Descriptor) -> io::Result<Socket> {
        match world.target(self.thread.process, descriptor.raw()) {
            Some(Target::Socket(socket)) => Ok(socket),
            _ => Err(io::Error::from_raw_os_error(libc::ENOTSOCK)),
        }
    }
}

/// How long an operation takes at least and at most. Now and then the disk stalls.
fn delay_us(op: &Op, world: &mut World) -> (u64, u64) {
    let (low_us, high_us) = match op {
        Op::Write { durability: Durability::Durable, .. } | Op::Sync { .. } => (80, 1500),
        Op::Write { durability: Durability::Cached, .. } => (3, 60),
        Op::Read { .. } => (5, 250),
        Op::Path(_) => (10, 400),
        Op::Offload(_) => (10, 2000),
        _ => return (1, 10),
    };
    match world.random.below(200) {
        0 => (low_us * 20, high_us * 20),
        _ => (low_us, high_us),
    }
}
