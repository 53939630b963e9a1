//! The shard-per-core engine: one pinned thread per CPU, each with its own io_uring, executor, timer wheel,
//! buffers and mailbox. Knows nothing of mail. The only crate of the workspace that may use `unsafe`.
//!
//! [`boot::run`] starts the shards and the control thread and runs a root future on each. From there on, everything
//! belongs to one shard: its tasks ([`task`]), timers ([`time`]), sockets ([`net`]), files ([`disk`]), buffers
//! ([`buf`], [`budget`]) and what tasks wait for ([`sync`]). Shards talk by calls over the [`mesh`]; what must not
//! run on a shard goes to [`offload`].
//!
//! Below the public types stand *operations* (`op`), which own their descriptor and buffers from submission to
//! completion, and a *driver* (`driver`) that carries them out: `uring` on the kernel, or [`sim`] in a simulated world
//! where everything follows from a seed.
//!
//! An echo server (`examples/echo.rs` has it whole, with a client):
//!
//! ```no_run
//! use bytes::Bytes;
//! use engine::boot::{self, DriverChoice, Options};
//! use engine::net::Listener;
//! use engine::task::{Class, spawn};
//!
//! let options = Options { shards: boot::default_shards(), pin: true, driver: DriverChoice::Auto, signals: vec![15] };
//! boot::run(options, |_| async {
//!     if boot::is_control() {
//!         engine::signal::next().await;
//!         std::process::exit(0);
//!     }
//!     let listener = Listener::bind(([127, 0, 0, 1], 7007).into(), 0).expect("the port is free");
//!     while let Ok(conn) = listener.accept().await {
//!         spawn(Class::Interactive, async move {
//!             while let Ok(input) = conn.recv().await {
//!                 if input.is_empty() || conn.send(Bytes::copy_from_slice(&input)).await.is_err() {
//!                     return;
//!                 }
//!             }
//!         });
//!     }
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod boot;
pub mod budget;
pub mod buf;
pub mod disk;
mod driver;
mod epoll;
pub mod histogram;
pub mod limits;
pub mod memory;
pub mod mesh;
pub mod net;
pub mod offload;
mod op;
mod os;
pub mod rng;
pub mod service;
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
