//! The command line of `floor`.

use std::net::SocketAddr;
use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};

use crate::cli;
use crate::limits::{MAX_MESSAGE_BYTES, MAX_RECIPIENTS, MIN_MESSAGE_BYTES};
use crate::message::Shape;

/// What `floor -h` prints.
pub const HELP: &str = "\
floor - moves the bytes of SMTP dialogues and stores them, with no mail in it

usage: floor --dir DIR [OPTIONS] ADDRESS:PORT

      --dir DIR           directory on the file system to measure; a file of 64 MiB per shard is made there, and
                          removed at the end
  -s, --size BYTES        size of each message (2048)
  -r, --recipients N      recipients of each message (1)
      --no-pipelining     the client sends one command at a time
      --relay ADDR:PORT   send each stored message on to an SMTP server, such as `sink`
      --out N             connections to it (20)
      --threads N         shards (1)
      --pin               pin each shard to a CPU
      --json              print one JSON object

Drive it with `load`, given the same size, recipients and pipelining: the floor reads as many bytes as such a
client sends before it waits, and answers with as many replies as an SMTP server would. It looks at none of them.
Each message is answered once it is on stable storage, by group commit. What this costs is what no SMTP server on
this machine and engine can go below. Ends on SIGINT or SIGTERM and prints what it has counted.
";

/// A floor to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to store.
    pub dir: PathBuf,
    /// Size of each message.
    pub size_bytes: usize,
    /// Recipients of each message. The number of domains does not change sizes.
    pub shape: Shape,
    /// Whether the client pipelines.
    pub pipelining: bool,
    /// Where to send messages on.
    pub relay: Option<SocketAddr>,
    /// Connections to it, of all shards together.
    pub out: u32,
    /// Shards.
    pub threads: u16,
    /// Pin shards.
    pub pin: bool,
    /// JSON report.
    pub json: bool,
}

impl Options {
    /// Reads the command line. `None` means that help was asked for.
    pub fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, String> {
        let mut options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            dir: PathBuf::new(),
            size_bytes: 2048,
            shape: Shape { recipients: 1, domains: 1 },
            pipelining: true,
            relay: None,
            out: 20,
            threads: 1,
            pin: false,
            json: false,
        };
        let mut listen = None;
        let parser = &mut parser;
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("dir") => options.dir = cli::value::<String>(parser, "--dir")?.into(),
                Short('s') | Long("size") => {
                    let (low, high) = (MIN_MESSAGE_BYTES as u64, MAX_MESSAGE_BYTES as u64);
                    options.size_bytes = cli::number(parser, "-s", low, high)? as usize;
                }
                Short('r') | Long("recipients") => {
                    options.shape.recipients = cli::number(parser, "-r", 1, MAX_RECIPIENTS.into())? as u16;
                }
                Long("no-pipelining") => options.pipelining = false,
                Long("relay") => {
                    options.relay = Some(cli::address(parser.value().map_err(|error| error.to_string())?)?);
                }
                Long("out") => options.out = cli::number(parser, "--out", 1, 1000)? as u32,
                Long("threads") => options.threads = cli::number(parser, "--threads", 1, 64)? as u16,
                Long("pin") => options.pin = true,
                Long("json") => options.json = true,
                Value(text) if listen.is_none() => listen = Some(cli::address(text)?),
                other => return Err(other.unexpected().to_string()),
            }
        }
        options.listen = listen.ok_or("ADDRESS:PORT is missing")?;
        if options.dir.as_os_str().is_empty() {
            return Err("--dir is missing".into());
        }
        Ok(Some(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_the_directory_is_demanded() {
        let parse = |line: &str| Options::parse(lexopt::Parser::from_args(line.split_whitespace()));
        let options = parse("--dir /tmp -s 1000 --relay 127.0.0.1:1 127.0.0.1:2").unwrap().unwrap();
        assert_eq!((options.size_bytes, options.out), (1000, 20));
        assert!(parse("127.0.0.1:2").unwrap_err().contains("--dir"));
        assert!(parse("--dir /tmp").unwrap_err().contains("ADDRESS"));
    }
}
