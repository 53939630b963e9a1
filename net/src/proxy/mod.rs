//! The PROXY protocol, versions 1 and 2: a proxy says for whom it connects, before anything else on the connection.

mod parse;
mod write;

pub use parse::{Header, NoHeader, Parsed, Proxied, parse};
pub use write::header;
