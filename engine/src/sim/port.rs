//! The simulated driver's end of the seam (see `driver.rs`).

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::op::{Descriptor, OpId};
use crate::shard::Shard;
use crate::time::Instant;

/// One simulated shard's access to its world.
pub(crate) struct Port;

impl Port {
    pub(crate) fn submit(&self, shard: &Shard, id: OpId) {
        todo!()
    }
    pub(crate) fn cancel(&self, shard: &Shard, id: OpId) {
        todo!()
    }
    pub(crate) fn resume(&self, shard: &Shard, id: OpId) {
        todo!()
    }
    pub(crate) fn close(&self, raw: i32) {
        todo!()
    }
    pub(crate) fn listen(&self, addr: SocketAddr, backlog: u32) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
        todo!()
    }
    pub(crate) fn probe_bind(&self, addr: SocketAddr) -> io::Result<()> {
        todo!()
    }
    pub(crate) fn udp(&self, remote: SocketAddr) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
        todo!()
    }
    pub(crate) fn shutdown(&self, socket: &Descriptor) -> io::Result<()> {
        todo!()
    }
    pub(crate) fn local_addr(&self, socket: &Descriptor) -> io::Result<SocketAddr> {
        todo!()
    }
    pub(crate) fn now(&self) -> Instant {
        todo!()
    }
    pub(crate) fn wall_us(&self) -> u64 {
        todo!()
    }
    pub(crate) fn wake(&self, peer: usize) {
        todo!()
    }
}
