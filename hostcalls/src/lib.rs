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
//! ```
//! use std::rc::Rc;
//!
//! use hostcalls::{Environment, Execution, Outcome, Settings};
//! use script::compile::{CompileOptions, NoLoader, SourceText, compile};
//! use script::machine::{Context, Limits, Loaded};
//!
//! struct Print;
//! impl hostcalls::Log for Print {
//!     fn echo(&self, text: &[u8]) {
//!         println!("{}", String::from_utf8_lossy(text));
//!     }
//!     fn syslog(&self, _priority: u32, _text: &[u8]) {}
//! }
//!
//! /// On a shard of the engine.
//! async fn example() {
//!     let source = SourceText { name: "example".into(), bytes: b"return memory_inc(\"runs\");".to_vec() };
//!     let compiled = compile(source, &mut NoLoader, &hostcalls::library(), &CompileOptions::default());
//!     let loaded = Loaded::new(&compiled.expect("it is correct").program);
//!     let environment = Environment::start(Settings::default().into(), Rc::new(Print));
//!     let mut context = Context::new(&loaded, Limits::default());
//!     match hostcalls::run(&mut context, &Execution::begin(&environment)).await {
//!         Outcome::Done(value) => println!("{value:?}"),
//!         Outcome::Finished(_) => unreachable!("only in hooks"),
//!         Outcome::Failed(error) => println!("{}", error.message),
//!     }
//! }
//! ```

pub mod address;
pub mod arguments;
mod board;
pub mod bulk;
pub mod check;
pub mod configured;
pub mod crypto;
pub mod daemon;
pub mod debugger;
pub mod dns;
mod environment;
mod execution;
mod extras;
pub mod file;
pub mod hooks;
mod http;
pub mod ids;
mod item;
mod library;
pub mod limits;
pub mod mail;
pub mod metrics;
pub mod numbers;
mod offload;
#[cfg(test)]
mod on_engine;
mod plugins;
pub mod reference;
mod runner;
mod secure;
mod services;
pub mod smtp;
mod socket;
pub mod source;
mod spf;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod testing_tls;
mod time;

pub use board::Board;
pub use debugger::Debugger;
pub use environment::{Environment, Log, Settings, Stream};
pub use execution::{Execution, ExecutionId, Rest, ScriptHost};
pub use item::ItemMetadata;
pub use library::{Family, HostFunction, HostFuture, HostRun, call, library};
pub use plugins::Plugins;
pub use runner::{Outcome, run};

/// The checks of the fuzz targets name the crate as others do.
#[cfg(test)]
extern crate self as hostcalls;
