//! What only the mail server can do for its scripts.

use crate::smtp;

/// The mail server around the scripts of a shard.
pub trait Daemon {
    /// The server of a transport; none: there is no such transport.
    fn transport(&self, id: &str) -> Option<smtp::Server>;
}
