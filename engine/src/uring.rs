//! The io_uring driver.

use crate::op::OpId;
use crate::shard::Shard;
use crate::time::Instant;

pub(crate) mod socket;

/// One shard's ring.
pub(crate) struct Uring;

/// Where a list send stands.
#[derive(Default)]
pub(crate) struct Gather;

impl Uring {
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
