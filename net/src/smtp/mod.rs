//! SMTP (RFC 5321), both ends.
//!
//! [`server`] and [`client`] mirror each other: `Session::step` takes input and stops at the first thing the
//! caller must act on, `Session::take_output` gives what there is to send, `Session::patience` says how long to
//! wait. The rest are the values they share.

pub mod address;
pub mod client;
pub mod domain;
pub mod error;
mod header_scan;
mod output;
pub mod parameters;
mod patience;
pub mod received;
pub mod reply;
pub mod sasl;
mod scan;
pub mod server;

pub use header_scan::HeaderScan;
pub use patience::{Clock, Patience};
