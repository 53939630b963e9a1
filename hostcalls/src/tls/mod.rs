//! TLS as a client: rustls between a script and a connection of the engine.

mod config;
mod roots;
mod stream;

pub(crate) use config::{Roots, TlsOptions, Verify, client_config, identity};
pub(crate) use roots::roots;
pub(crate) use stream::TlsStream;
