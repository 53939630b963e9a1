//! Commands of operators: the control socket, on the control thread.
//!
//! - [`door`]: where clients come in.
//! - [`client`]: one connection: requests in, answers out, in order.
//! - `dispatch`: which function answers which command; a module for each family of them.
//! - [`shards`]: asks all shards at once; one that stands still holds up nobody.

mod client;
mod conditions;
mod dispatch;
mod door;
mod explain;
mod fields;
mod fields8;
mod files;
mod groupby;
mod list;
mod policies;
mod quota;
mod resolver;
mod rows;
mod scan;
mod scripts;
pub mod shards;
mod stage;
mod subjects;
mod suspends;
mod tags;
mod trace;
mod transfer;
mod update;

pub use client::Client;
pub use door::{Door, serve};
pub use transfer::Imports;
