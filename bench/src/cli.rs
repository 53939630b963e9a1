//! Reading options and printing, the same in all programs of this crate.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// Exit status of a run in which something went wrong that the program was to find out.
pub const FAILED: u8 = 1;
/// Exit status of a command line that makes no sense.
pub const USAGE: u8 = 2;

/// Prints to stdout; a reader that has gone away is no concern of a report.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints `program: message` to stderr.
pub fn complain(program: &str, message: impl Display) {
    let _ = writeln!(std::io::stderr(), "{program}: {message}");
}

/// Complains about the command line and gives the exit status for it.
pub fn usage(program: &str, error: impl Display) -> ExitCode {
    complain(program, format_args!("{error} (-h lists the options)"));
    ExitCode::from(USAGE)
}

/// Reads the value of an option.
pub fn value<T: FromStr>(parser: &mut lexopt::Parser, option: &str) -> Result<T, String>
where
    T::Err: Display,
{
    let text: OsString = parser.value().map_err(|error| error.to_string())?;
    let text = text.to_string_lossy();
    text.parse().map_err(|error| format!("{option} {text}: {error}"))
}

/// Reads a number of an option within bounds.
pub fn number(parser: &mut lexopt::Parser, option: &str, low: u64, high: u64) -> Result<u64, String> {
    let number: u64 = value(parser, option)?;
    if (low..=high).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{option} {number}: must be {low} to {high}"))
    }
}

/// Reads seconds, with a fraction, more than none and at most a day.
pub fn seconds(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, String> {
    let seconds: f64 = value(parser, option)?;
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("{option} {seconds}: must be more than 0 and at most 86400 seconds"))
    }
}

/// Reads `127.0.0.1:25`, `[::1]:25`.
pub fn address(text: OsString) -> Result<SocketAddr, String> {
    let text = text.to_string_lossy();
    text.parse().map_err(|_| format!("{text}: not an address with a port, such as 127.0.0.1:2525"))
}
