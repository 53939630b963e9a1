//! The machine: runs a [`Program`](crate::compile::Program) with all its state in a [`Context`], so that it can stop at
//! any instruction and go on later.

mod call;
mod context;
mod error;
mod fast;
mod frame;
mod generator;
mod heap;
mod invoke;
mod items;
mod iterate;
mod loaded;
mod memory;
mod native_call;
mod numbers;
mod object;
mod operate;
mod path;
mod plain;
mod rare;
mod registers;
mod session;
mod stop;
#[cfg(test)]
mod tests;
mod unwind;

pub use context::{Context, HostVariable, Limits, Run};
pub use error::{Place, ScriptError, StackEntry};
pub use loaded::Loaded;
pub use session::{ReplInput, ReplSession};
pub use stop::{Range, Stop, StopCall};
