//! Why a service gave no answer.

use std::fmt;
use std::io;
use std::time::Duration;

/// What went wrong, and with whom.
#[derive(Debug)]
pub(super) enum ServiceError {
    /// The configuration does not say what was asked for.
    Settings(String),
    /// The name of the server has no address.
    Unresolved(String),
    /// Nobody listens there, or the way is blocked.
    Connect {
        /// Host and port.
        to: String,
        /// The last address's error.
        why: String,
    },
    /// No agreement on TLS.
    Tls(String),
    /// It took too long.
    Timeout {
        /// To do what.
        what: &'static str,
        /// Our patience.
        after: Duration,
    },
    /// The connection ended in the middle.
    Broken {
        /// How.
        why: String,
        /// Nothing of the answer had come.
        before_answer: bool,
    },
    /// The server does not speak the protocol, or answers more than we take.
    Protocol(String),
    /// The server understood, and refuses. The connection is as good as before.
    Refused(String),
    /// The same of a database, where its number and state are told, too.
    Sql {
        /// As its kind of server numbers errors.
        number: u16,
        /// SQLSTATE.
        state: String,
        /// For people.
        text: String,
    },
}

impl ServiceError {
    pub(super) fn protocol(what: impl fmt::Display) -> ServiceError {
        ServiceError::Protocol(what.to_string())
    }

    /// The server may have closed the connection while it rested.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, ServiceError::Broken { before_answer: true, .. })
    }

    /// The connection can be used for something else.
    pub(super) fn leaves_connection(&self) -> bool {
        matches!(self, ServiceError::Refused(_) | ServiceError::Sql { .. })
    }

    pub(super) fn broken(error: &io::Error, before_answer: bool) -> ServiceError {
        ServiceError::Broken { why: error.to_string(), before_answer }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Settings(what) => f.write_str(what),
            ServiceError::Unresolved(host) => write!(f, "{host} has no address"),
            ServiceError::Connect { to, why } => write!(f, "no connection to {to}: {why}"),
            ServiceError::Tls(why) => write!(f, "no TLS: {why}"),
            ServiceError::Timeout { what, after } => write!(f, "{what} took longer than {after:?}"),
            ServiceError::Broken { why, .. } => write!(f, "the connection broke: {why}"),
            ServiceError::Protocol(what) => write!(f, "the server breaks the protocol: {what}"),
            ServiceError::Refused(what) | ServiceError::Sql { text: what, .. } => f.write_str(what),
        }
    }
}
