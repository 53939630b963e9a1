//! Why a program ends without success, and its exit status.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The command line is wrong: status 2.
    Usage(String),
    /// The server refused, or could not be asked: status 1. The text says whose fault it is.
    Failed(String),
    /// Nobody reads what we write: not worth a message.
    Unread,
}

impl Failure {
    /// The exit status of a program that failed with this.
    #[must_use]
    pub fn status(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Unread => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) => out.write_str(text),
            Self::Unread => out.write_str("nobody reads the output"),
        }
    }
}

impl std::error::Error for Failure {}

/// What the system said, without its number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
