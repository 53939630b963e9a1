//! The programs that watch and steer a running server: `halonctl` (one command, one answer) and `halontop` (a screen).
//!
//! - [`cli`] is a command line as a tree of values, from which parsing, help, shell completion and the reference come.
//! - [`commands`] is the tree of `halonctl` and what its leaves do.
//! - [`Client`] talks to the control socket and waits no longer than it is told to.
//! - [`top`] is `halontop`: samples, what is drawn of them, and the terminal.
//!
//! The programs write what comes from the server or from mail only through [`text::visible`]: control characters of a
//! hostile sender never reach the terminal.
//!
//! ```
//! use ctl::cli::{self, Parsed};
//! use ctl::commands::ROOT;
//!
//! let line = ["queue", "list", "--state", "DEFER", "-F", "id"].map(std::ffi::OsString::from);
//! let Ok(Parsed::Run { arguments, .. }) = cli::parse(&ROOT, line) else { panic!() };
//! assert_eq!(arguments.all("state"), ["DEFER"]);
//! ```

pub mod cli;
mod client;
pub mod commands;
mod failure;
mod json;
pub mod limits;
mod matching;
mod numbers;
mod output;
mod rates;
mod selectors;
mod settings;
mod table;
pub mod text;
pub mod top;

pub use client::Client;
pub use failure::Failure;
pub use settings::{DEFAULT_FILE, Settings};

/// Version of the programs.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
