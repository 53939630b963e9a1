//! The rest of the HSL standard library: what needs the network, the disk, other shards or the mail crate; and the
//! runner that drives scripts on the engine.
//!
//! * [`library`] is the whole standard library: the pure part of `script` and the [families](Family) of this crate.
//! * [`Environment`] is what all scripts of a shard share; an [`Execution`] is one of them while it runs.
//! * [`store`] is shared memory, `barrier` and `cache`: each key lives on one shard, reached over the mesh.
//!
//! A function that must wait is a native of the kind `Host(number)`. The machine suspends the script, and [`call`]
//! answers with a future from a static table. To add functions, write a module with a [`Family`] and name it in
//! `library.rs`.
//!
//! ```no_run
//! use std::rc::Rc;
//! use hostcalls::{Environment, Execution, Settings};
//! # async fn example(log: Rc<dyn hostcalls::Log>) {
//! let environment = Environment::start(Settings::default().into(), log).await;
//! let execution = Execution::begin(&environment);
//! let host = execution.host();
//! # drop(host);
//! # }
//! ```

pub mod arguments;
pub mod crypto;
pub mod dns;
mod environment;
mod execution;
pub mod file;
pub mod hooks;
mod http;
mod library;
pub mod limits;
pub mod mail;
pub mod numbers;
mod offload;
#[cfg(test)]
mod on_engine;
mod socket;
pub mod source;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod testing_tls;
mod time;
mod tls;

pub use environment::{Environment, Log, Settings};
pub use execution::{Execution, ExecutionId, ScriptHost};
pub use library::{Family, HostFunction, HostFuture, HostRun, call, library};
