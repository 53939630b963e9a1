//! YAML to typed configuration, with errors that point at the line.
//!
//! Pure over text: nothing here reads a file, a clock or the environment; the caller passes what is needed.
//!
//! Principal types: [`Startup`] (`smtpd.yaml`), [`Running`] (`smtpd-app.yaml`), [`Suspends`] (`smtpd-suspend.yaml`),
//! [`Error`].
#![allow(clippy::todo, unused, reason = "signatures first; goes away with the bodies")]

mod error;
mod files;
mod pattern;
mod running;
mod startup;
mod suspends;
mod transport;
mod version;

pub use error::{Error, Loaded, Options, Source};
pub use files::{Read, Reloadable, load_files, load_startup_file};
pub use pattern::{Field, Lists, Pattern};
pub use running::{
    Address, BareEol, DefaultGroup, Extensions, Grouping, Queues, Resolver, Running, Server, load_running,
};
pub use startup::{
    Corrupt, Environment, Facility, ListenServer, Listener, PrivDrop, ServerKind, Spool, Startup,
    UuidVersion, load_startup,
};
pub use suspends::{Property, Suspend, Suspends, load_suspends};
pub use transport::{DeliveryTimeouts, NextHop, Retry, RetryInterval, Transport};
pub use version::Version;
