//! The control protocol of the server: what `halonctl`, `halontop` and other clients say to it over its control socket.
//!
//! - [`smtpd`] has the messages, made from the files in `control/proto`, which also are the documentation of their fields.
//! - [`Command`] is the table of commands: letter, name, request and answer.
//! - [`command_line`] says a request as the command line that makes it, for the log.
//! - [`framing`] turns bytes into requests and responses and back, without I/O, for both sides.
//!
//! ```
//! use control::framing::{self, Request, RequestDecoder};
//! use control::{Command, Message, smtpd::QueueQuotaRequest};
//!
//! let mut wire = Vec::new();
//! framing::write_version(&mut wire);
//! let asked = QueueQuotaRequest { name: Some("daily".to_owned()) };
//! framing::write_request(&mut wire, Command::QueueQuota, &asked.encode_to_vec());
//!
//! let mut decoder = RequestDecoder::new();
//! let Request { command, body } = decoder.next(&mut wire.as_slice()).unwrap().unwrap();
//! assert_eq!(command, Command::QueueQuota);
//! assert_eq!(QueueQuotaRequest::decode(body.as_slice()).unwrap(), asked);
//! ```

pub mod command;
pub mod command_line;
pub mod framing;
pub mod limits;
pub mod openmetrics;

/// The messages, generated from `control/proto`: `UPDATE_DOCS=1 cargo test -p control` makes it anew.
#[allow(missing_docs, clippy::doc_markdown)]
#[rustfmt::skip]
pub mod smtpd;

pub use command::Command;
pub use prost::{DecodeError, Message};

/// The descriptors of [`smtpd`], as an encoded `FileDescriptorSet`: for programs that map messages to JSON.
pub const DESCRIPTORS: &[u8] = include_bytes!("../proto/smtpd.binpb");

/// The checks of the fuzz targets name the crate as others do.
#[cfg(test)]
extern crate self as control;

#[cfg(test)]
mod tests;
