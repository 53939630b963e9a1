//! The shard-per-core engine: one pinned thread per CPU, each with its own io_uring, executor, timer wheel,
//! buffers and mailbox. Knows nothing of mail. The only crate of the workspace that may use `unsafe`.

pub mod boot;
pub mod budget;
pub mod buf;
pub mod disk;
mod driver;
pub mod limits;
pub mod mesh;
pub mod net;
pub mod offload;
mod op;
pub mod rng;
mod shard;
pub mod signal;
pub mod sim;
mod slab;
pub mod stats;
pub mod sync;
pub mod task;
#[cfg(test)]
mod testing;
pub mod time;
mod uring;
mod wheel;
