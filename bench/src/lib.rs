//! What measures the server: a load generator, a sink, a floor, and comparisons with other servers.
//!
//! Three programs on the engine, each a module with a `main`:
//!
//! - [`load`]: an SMTP client that sends unique, checksummed messages over many connections, in a closed loop or
//!   at a fixed rate, and reports rates and latencies;
//! - [`sink`]: an SMTP server that throws messages away, after checking that each came once and whole;
//! - [`floor`]: a server that moves the same bytes and stores them durably, with no mail in it: the least that
//!   any server on this engine can cost.
//!
//! The pure parts can be used on their own: a [`message::Factory`] makes messages, [`sink::dialogue::Dialogue`]
//! answers them, [`ledger::Comparison`] tells what was lost between the two.
//!
//! ```
//! use bench::ident::Id;
//! use bench::message::{Factory, Shape};
//! use bench::sink::data::{Needle, Scan};
//! use bench::sink::verify::{Content, Mark, Verify};
//!
//! let id = Id { run: 1, sequence: 2 };
//! let message = Factory::new(Shape { recipients: 1, domains: 1 }, 2048).message(id, 2048);
//! let (needle, mark, mut scan, mut verify) = (Needle::default(), Mark::default(), Scan::default(), Verify::default());
//! let (_, ended) = scan.feed(&needle, &message.wire[0], |text| verify.feed(&mark, text));
//! assert!(ended);
//! assert_eq!(verify.finish(), Content::Intact(id));
//! ```
//!
//! The comparisons are shell scripts beside this crate's `README.md`.

pub mod cli;
pub mod crew;
pub mod floor;
pub mod ident;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod load;
pub mod message;
pub mod mix;
pub mod pace;
pub mod reply;
pub mod script;
#[cfg(test)]
mod simulated;
pub mod sink;
pub mod tally;
