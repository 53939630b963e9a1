//! The command line of `sink`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};

use crate::cli;

/// What `sink -h` prints.
pub const HELP: &str = "\
sink - SMTP sink

usage: sink [OPTIONS] ADDRESS:PORT
       sink check [--json] ACKNOWLEDGED RECEIVED

      --mode MODE     accept (default); defer: 451 to RCPT; reject: 550 to RCPT; drop: close the connection at
                      the end of a message, without an answer
      --every N       the mode applies to every N-th recipient (message, with drop), the rest is accepted (1)
      --delay-ms N    wait before each group of replies (0)
      --expect N      end after N messages, soon after they were answered
      --ledger FILE   append each received recipient's copy, before it is answered
      --threads N     shards (1)
      --pin           pin each shard to a CPU
      --json          print one JSON object

Prints LISTENING ADDRESS once it listens, and what it has counted when it ends: after --expect messages, or on
SIGINT or SIGTERM. Counts duplicates (the same recipient's copy twice) and corruption (checksum) of messages that
`load` made; others are 'foreign' and only counted. The exit status is 0 when nothing was corrupt.

check compares the ledger of `load --ledger` with that of `sink --ledger`: lost, duplicated, corrupt. The exit
status is 0 when nothing was lost or corrupt; duplicates are for the reader to judge.
";

/// What the sink does with all or some of what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Take it.
    Accept,
    /// 451 to RCPT.
    Defer,
    /// 550 to RCPT.
    Reject,
    /// Close instead of answering the final dot.
    Drop,
}

/// A sink to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What to do with every [`Options::every`]-th.
    pub mode: Mode,
    /// How often `mode` applies.
    pub every: u64,
    /// Wait before replies.
    pub delay: Duration,
    /// End after so many messages.
    pub expect: Option<u64>,
    /// Where received copies are noted.
    pub ledger: Option<PathBuf>,
    /// Shards.
    pub threads: u16,
    /// Pin shards.
    pub pin: bool,
    /// JSON report.
    pub json: bool,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Run a sink.
    Run(Options),
    /// Compare two ledgers.
    Check {
        /// Written by `load`.
        acknowledged: PathBuf,
        /// Written by `sink`.
        received: PathBuf,
        /// JSON report.
        json: bool,
    },
}

impl Options {
    /// Defaults for `listen`.
    pub fn new(listen: SocketAddr) -> Options {
        Options {
            listen,
            mode: Mode::Accept,
            every: 1,
            delay: Duration::ZERO,
            expect: None,
            ledger: None,
            threads: 1,
            pin: false,
            json: false,
        }
    }
}

impl Command {
    /// Reads the command line.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Command, String> {
        let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut values = Vec::new();
        let parser = &mut parser;
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Short('h') | Long("help") => return Ok(Command::Help),
                Long("mode") => options.mode = cli::value(parser, "--mode")?,
                Long("every") => options.every = cli::number(parser, "--every", 1, u64::MAX)?,
                Long("delay-ms") => {
                    options.delay = Duration::from_millis(cli::number(parser, "--delay-ms", 0, 3_600_000)?);
                }
                Long("expect") => options.expect = Some(cli::number(parser, "--expect", 1, u64::MAX)?),
                Long("ledger") => options.ledger = Some(cli::value::<String>(parser, "--ledger")?.into()),
                Long("threads") => options.threads = cli::number(parser, "--threads", 1, 64)? as u16,
                Long("pin") => options.pin = true,
                Long("json") => options.json = true,
                Value(text) if values.len() < 3 => values.push(text),
                other => return Err(other.unexpected().to_string()),
            }
        }
        let mut values = values.into_iter();
        match (values.next(), values.next(), values.next()) {
            (Some(check), Some(acknowledged), Some(received)) if check == "check" => Ok(Command::Check {
                acknowledged: acknowledged.into(),
                received: received.into(),
                json: options.json,
            }),
            (Some(listen), None, None) if listen != "check" => {
                options.listen = cli::address(listen)?;
                Ok(Command::Run(options))
            }
            _ => Err("give one ADDRESS:PORT, or check and two ledgers".into()),
        }
    }
}

impl std::str::FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Mode, &'static str> {
        match text {
            "accept" => Ok(Mode::Accept),
            "defer" => Ok(Mode::Defer),
            "reject" => Ok(Mode::Reject),
            "drop" => Ok(Mode::Drop),
            _ => Err("accept, defer, reject or drop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn both_commands_are_read() {
        let Ok(Command::Run(options)) = parse("--mode defer --every 3 127.0.0.1:2525") else { panic!() };
        assert_eq!((options.mode, options.every), (Mode::Defer, 3));
        assert!(matches!(parse("check --json a b"), Ok(Command::Check { json: true, .. })));
        assert!(matches!(parse("--help"), Ok(Command::Help)));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in
            ["", "check a", "127.0.0.1:1 b", "--mode x 127.0.0.1:1", "--every 0 127.0.0.1:1", "a b c d"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
