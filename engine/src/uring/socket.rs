//! Socket calls that never wait.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::op::Descriptor;

pub(crate) fn listen(addr: SocketAddr, backlog: u32) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
    todo!()
}
pub(crate) fn probe_bind(addr: SocketAddr) -> io::Result<()> {
    todo!()
}
pub(crate) fn udp(remote: SocketAddr) -> io::Result<(Rc<Descriptor>, SocketAddr)> {
    todo!()
}
pub(crate) fn shutdown(socket: &Descriptor) -> io::Result<()> {
    todo!()
}
pub(crate) fn local_addr(socket: &Descriptor) -> io::Result<SocketAddr> {
    todo!()
}
