//! What must survive: logs, segments, records, group commit, recovery.
//!
//! This crate owns the spool directory. A message is accepted in two phases: its bytes are written to an
//! [`Intake`], and [`Intake::commit`] makes it exist, durably. What then happens to each recipient is *settled*
//! ([`Store::settle`]). After any crash, [`Store::recovery`] streams the messages that are still queued.
//!
//! - [`Spool`]: the directory, once per process: its lock, its logs, which shard owns which log.
//! - [`Store`]: one shard's part of it: intake, settle, body, recovery. Not `Send`.
//! - [`Intake`]: a message on its way in. Dropping it aborts.
//! - [`BodyReader`]: a message on its way out.
//! - [`offline`]: what is in a spool or an unloaded file, for programs beside the server.
//! - [`hqf`]: messages in files of their own, out of the spool and into it.
//!
//! ```ignore
//! let spool = Spool::open(Options::new("/var/spool/halon/queue", shards)).await?;   // control thread
//! let store = Store::open(&spool, shard).await?;                                   // each shard
//! let mut recovery = store.recovery();                                             // a background task of its own
//! let mut intake = store.begin(Some(2048))?;
//! intake.write(b"Subject: hello\r\n\r\nworld\r\n");
//! intake.ready().await?;
//! let id = intake.commit(envelope, Bytes::from_static(b"Received: ...\r\n")).await?; // durable: say 250
//! let mut body = store.body(id);
//! while let Some(bytes) = body.next().await? { /* send */ }
//! store.settle(vec![(ItemId { message: id, recipient: 0 }, Settle::Done)]);        // rides on the next batch
//! ```

mod body;
pub mod check;
mod compact;
pub mod content;
mod event;
mod extent;
mod failure;
pub mod files;
mod form;
pub mod format;
pub mod hqf;
mod ids;
mod intake;
pub mod limits;
mod load;
mod lookup;
mod messages;
pub mod offline;
mod options;
mod recovery;
pub mod replay;
mod scrub;
mod seal;
mod segments;
mod spool;
mod state;
mod stats;
mod store;
mod texts;
mod types;
mod writer;

pub use body::{BodyReader, ReadError};
pub use event::Event;
pub use intake::{CommitError, Intake, Refused};
pub use options::{Corrupt, Options};
pub use recovery::{Recovered, RecoveredItem, Recovery};
pub use spool::{OpenError, Spool};
pub use stats::{Admission, Stats};
pub use store::{Durable, Lost, Store};
pub use types::{Envelope, ItemId, ItemState, MessageId, Recipient, Settle};
