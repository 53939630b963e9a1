//! The server: wires engine, net, spool, queue and config into shards.
//!
//! - [`program::Program`]: the process; its control thread starts, reloads and stops the shards.
//! - [`snapshot::Snapshot`]: everything a reload can change.
//! - [`shard::Shard`]: what one shard owns: its part of the spool, its queue, its sessions and its deliveries.
//! - [`session`]: reception, up to the `250`.
//! - [`delivery`]: from the queue to the next hop.
//! - [`scripts`]: what the operator's scripts need, and which of them a server has.
//! - [`bounce`]: what senders are told.
//! - [`answers`]: what the last attempt came to, as the spool keeps it.
//! - [`stored`]: what is kept with a message in the spool.
//! - [`control`]: commands of operators.
//! - [`transfer`]: queued messages into files, and back.
//! - [`dynamic`]: rules that are added while the server runs.
//! - [`stage`]: a second configuration beside the one in force, and the scripts of it that a debugger looks at.
//! - [`log`]: lines that never hold up mail.
//! - [`stats`]: what is counted, and how it is read; [`monitor`]: where probes and collectors read it.
//! - [`trace`]: the live dialogue of connections that an operator asks for.
//! - [`accounting`]: a file of what became of each message.
//! - [`sockets`], [`manager`]: listening sockets, and the service manager that keeps them across restarts.
//!
//! The program `smtpd` runs it on the real engine; the simulator runs the same code:
//!
//! ```ignore
//! let program = Arc::new(Program::new(startup, false, Target::Stderr, hostname, shards, None));
//! engine::boot::run(options, move |id| Arc::clone(&program).run(id))?;
//! ```

pub mod accounting;
pub mod answers;
mod api_key;
pub mod args;
pub mod bounce;
pub mod check;
pub mod control;
mod daemon;
pub mod delivery;
pub mod dynamic;
pub mod limits;
pub mod log;
pub mod manager;
pub mod monitor;
mod own_names;
mod patience;
pub mod pki;
mod posted;
pub mod process;
pub mod program;
pub mod relinquish;
pub mod resolver;
pub mod ruleset;
pub mod scripts;
pub mod session;
pub mod shard;
pub mod snapshot;
pub mod sockets;
pub mod stage;
pub mod stats;
pub mod stored;
pub mod trace;
pub mod transfer;
pub mod warm_up;
