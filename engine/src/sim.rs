//! The simulated driver: many hosts, each with shards, on one thread, one virtual clock, one simulated network and
//! a simulated disk per host. Everything that happens follows from one seed.

use std::future::Future;
use std::time::Duration;

use crate::boot::ShardId;

pub(crate) mod port;
pub(crate) use port::Port;

/// Chances and sizes of what can go wrong on a host's disk. All zero: a perfect disk.
#[derive(Clone, Debug, Default)]
pub struct DiskFaults {
    /// Chance that a read fails with EIO.
    pub read_eio: f64,
    /// Chance that a write (or its sync) fails with EIO, leaving any part of it on disk.
    pub write_eio: f64,
    /// Chance that a write is short.
    pub short_write: f64,
    /// Bytes the disk holds; writes that allocate beyond it fail with ENOSPC. 0: no limit.
    pub capacity_bytes: u64,
}

/// What happens to writes that were not durable when a host crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: everything that completed is kept, what was in flight may or may not be.
    Process,
    /// Power loss: of what was not durable, each sector is kept, lost or torn as the seed says.
    Power,
}

/// A simulated world.
#[derive(Debug)]
pub struct Sim;

/// A host in it: an address on the network and a disk that outlives its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostId(pub u32);

impl Sim {
    /// A world that is a function of `seed`.
    pub fn new(seed: u64) -> Sim {
        todo!()
    }
    /// A new host with an empty disk and the address 127.0.x.y.
    pub fn host(&mut self, name: &str) -> HostId {
        todo!()
    }
    /// The host's address.
    pub fn addr(&self, host: HostId) -> std::net::IpAddr {
        todo!()
    }
    /// Sets what can go wrong on its disk from now on.
    pub fn disk_faults(&mut self, host: HostId, faults: DiskFaults) {
        todo!()
    }
    /// Flips one bit of a file of the host, at rest.
    pub fn flip_bit(&mut self, host: HostId, path: &str, offset: u64, bit: u8) {
        todo!()
    }
    /// A file's durable bytes on the host, and replacing them: for planting old or foreign content.
    pub fn read_file(&self, host: HostId, path: &str) -> Option<Vec<u8>> {
        todo!()
    }
    /// Writes a file on the host's disk, durably.
    pub fn write_file(&mut self, host: HostId, path: &str, bytes: &[u8]) {
        todo!()
    }
    /// Starts a process of `shards` shards and a control thread, like [`crate::boot::run`].
    pub fn start<F, Fut>(&mut self, host: HostId, shards: u16, root: F)
    where
        F: Fn(ShardId) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        todo!()
    }
    /// Ends the host's process at once, with what that does to its disk and its connections.
    pub fn crash(&mut self, host: HostId, crash: Crash) {
        todo!()
    }
    /// True while any root task of the host's process runs.
    pub fn is_running(&self, host: HostId) -> bool {
        todo!()
    }
    /// Delivers a signal to the host's process.
    pub fn signal(&mut self, host: HostId, signal: i32) {
        todo!()
    }
    /// Runs the world for this much virtual time.
    pub fn run_for(&mut self, duration: Duration) {
        todo!()
    }
    /// Runs until `done` says so (asked after every step); false when `limit` of virtual time passed first.
    pub fn run_until(&mut self, limit: Duration, done: impl FnMut() -> bool) -> bool {
        todo!()
    }
    /// Runs `steps` single steps (task polls or completions): for crashing at every possible place.
    pub fn step(&mut self, steps: usize) {
        todo!()
    }
}
