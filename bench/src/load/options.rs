//! The command line of `load`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};

use crate::cli;
use crate::limits::{MAX_CONNECTIONS, MAX_RECIPIENTS};
use crate::message::Shape;
use crate::mix::Mix;

/// What `load -h` prints.
pub const HELP: &str = "\
load - SMTP load generator

usage: load [OPTIONS] ADDRESS:PORT

  -c, --connections N     connections at once (20)
  -m, --messages N        stop after N messages
  -t, --seconds S         stop after S seconds; with neither -m nor -t: 1000 messages
  -s, --size BYTES        size of a message (2048); a mix with weights: 2048:8,10240:2
  -r, --recipients N      recipients of each message (1)
      --domains N         recipient domains (1)
      --per-connection N  messages per connection: 1, or any number; 0 means no limit (0)
      --no-pipelining     one command at a time
      --rate R            open loop: R messages per second, due at even distances whatever the answers;
                          latency counts from when a message was due, if it had to wait for a connection
      --threads N         shards (1)
      --pin               pin each shard to a CPU
      --timeout S         longest wait for a reply (60)
      --reconnect S       go on connecting for S seconds after a refusal or a broken connection (0)
      --ledger FILE       append each acknowledged recipient's copy, before it counts
      --idle S            no messages: open all connections, say EHLO, print READY, hold for S seconds
      --json              print one JSON object

A message fails when it is not answered 250 after the final dot, for whatever reason; failures are grouped by
phase and reply. The exit status is 0 when all were answered 250, 1 when some failed, 2 for a bad command line.
Every message carries an identity and a checksum, which `sink` verifies.
";

/// What to send, where, how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub target: SocketAddr,
    /// Connections of all shards together.
    pub connections: u32,
    /// Bound on messages.
    pub messages: Option<u32>,
    /// Bound on time.
    pub duration: Option<Duration>,
    /// Sizes.
    pub mix: Mix,
    /// Recipients and domains.
    pub shape: Shape,
    /// Messages after which a connection is ended; none: never.
    pub per_connection: Option<u32>,
    /// Use PIPELINING where the server announces it.
    pub pipelining: bool,
    /// Open loop.
    pub rate_per_s: Option<f64>,
    /// Shards.
    pub threads: u16,
    /// Pin shards.
    pub pin: bool,
    /// Longest wait for a reply.
    pub timeout: Duration,
    /// How long to go on connecting.
    pub reconnect: Duration,
    /// Where acknowledged messages are noted.
    pub ledger: Option<PathBuf>,
    /// Hold idle connections for this long instead of sending.
    pub idle: Option<Duration>,
    /// JSON report.
    pub json: bool,
}

impl Options {
    /// Defaults for `target`.
    pub fn new(target: SocketAddr) -> Options {
        Options {
            target,
            connections: 20,
            messages: None,
            duration: None,
            mix: "2048".parse().expect("a size within the limits"),
            shape: Shape { recipients: 1, domains: 1 },
            per_connection: None,
            pipelining: true,
            rate_per_s: None,
            threads: 1,
            pin: false,
            timeout: Duration::from_secs(60),
            reconnect: Duration::ZERO,
            ledger: None,
            idle: None,
            json: false,
        }
    }

    /// Reads the command line. `None` means that help was asked for.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, String> {
        let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut target = None;
        let parser = &mut parser;
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Short('c') | Long("connections") => {
                    options.connections = cli::number(parser, "-c", 1, MAX_CONNECTIONS.into())? as u32;
                }
                Short('m') | Long("messages") => {
                    options.messages = Some(cli::number(parser, "-m", 1, u64::from(u32::MAX - 1))? as u32);
                }
                Short('t') | Long("seconds") => options.duration = Some(cli::seconds(parser, "-t")?),
                Short('s') | Long("size") => options.mix = cli::value(parser, "-s")?,
                Short('r') | Long("recipients") => {
                    options.shape.recipients = cli::number(parser, "-r", 1, MAX_RECIPIENTS.into())? as u16;
                }
                Long("domains") => {
                    options.shape.domains = cli::number(parser, "--domains", 1, u16::MAX.into())? as u16;
                }
                Long("per-connection") => {
                    let count = cli::number(parser, "--per-connection", 0, u32::MAX.into())? as u32;
                    options.per_connection = (count > 0).then_some(count);
                }
                Long("no-pipelining") => options.pipelining = false,
                Long("rate") => options.rate_per_s = Some(rate(parser)?),
                Long("threads") => options.threads = cli::number(parser, "--threads", 1, 64)? as u16,
                Long("pin") => options.pin = true,
                Long("timeout") => options.timeout = cli::seconds(parser, "--timeout")?,
                Long("reconnect") => options.reconnect = cli::seconds(parser, "--reconnect")?,
                Long("ledger") => options.ledger = Some(cli::value::<String>(parser, "--ledger")?.into()),
                Long("idle") => options.idle = Some(cli::seconds(parser, "--idle")?),
                Long("json") => options.json = true,
                Value(text) if target.is_none() => target = Some(cli::address(text)?),
                other => return Err(other.unexpected().to_string()),
            }
        }
        options.target = target.ok_or("ADDRESS:PORT is missing")?;
        if options.messages.is_none() && options.duration.is_none() {
            options.messages = Some(1000);
        }
        Ok(Some(options))
    }
}

fn rate(parser: &mut lexopt::Parser) -> Result<f64, String> {
    let rate: f64 = cli::value(parser, "--rate")?;
    if rate > 0.0 && rate <= 10e6 { Ok(rate) } else { Err(format!("--rate {rate}: must be above 0")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(lexopt::Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn options_are_read() {
        let options =
            parse("-c 5 -s 1000:1,2000:2 --rate 50 -t 1.5 --per-connection 1 127.0.0.1:25").unwrap().unwrap();
        assert_eq!((options.connections, options.per_connection), (5, Some(1)));
        assert_eq!(options.duration, Some(Duration::from_millis(1500)));
        assert_eq!((options.messages, options.rate_per_s), (None, Some(50.0)));
        assert_eq!(parse("127.0.0.1:25").unwrap().unwrap().messages, Some(1000));
        assert!(parse("-h").unwrap().is_none());
    }

    #[test]
    fn a_bad_command_line_is_refused_with_the_option_named() {
        for (line, named) in [
            ("", "ADDRESS"),
            ("localhost", "localhost"),
            ("-c 0 127.0.0.1:25", "-c"),
            ("-r 99999 127.0.0.1:25", "-r"),
            ("--rate 0 127.0.0.1:25", "--rate"),
            ("-t 0 127.0.0.1:25", "-t"),
            ("--nonsense 127.0.0.1:25", "--nonsense"),
            ("127.0.0.1:25 127.0.0.1:26", "127.0.0.1:26"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
