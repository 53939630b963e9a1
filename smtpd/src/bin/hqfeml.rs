//! hqfeml: prints a queued message, as it was received or as a recipient gets it.
//!
//! Reads an unloaded file or a spool directory; changes nothing, and takes no lock ([`spool::offline`]).
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use mail::delta::{Delta, Now};
use smtpd::stored::stored_delta;
use spool::offline::{Directory, Message};

const HELP: &str = "\
hqfeml - print a queued message

Usage:
  hqfeml [-R QUEUEID] FILE.hqf
  hqfeml [-R QUEUEID] --id TRANSACTION DIRECTORY
      Prints the message of an unloaded file, or of a transaction in a spool directory, as it was
      received.

Options:
  -R QUEUEID         with the changes that scripts have made for this recipient (1 is the first)
  --id TRANSACTION   which message (its transaction id, with or without dashes)
  -h, --help         this text

Nothing is changed, and no lock is taken: it works beside a running server. Exit status: 0, 1 when
the message cannot be read, 2 when the command line is wrong.
";

#[derive(Debug, Default)]
struct Arguments {
    queue_id: Option<u32>,
    id: Option<String>,
    path: PathBuf,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("hqfeml: {error} (--help)");
            return ExitCode::from(2);
        }
    };
    let printed = message(&arguments)
        .and_then(|bytes| std::io::stdout().write_all(&bytes).map_err(|error| error.to_string()));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hqfeml: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments::default();
    let mut path = None;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "-R" => {
                let id = value()?;
                let number = id.parse().ok().filter(|number| *number > 0);
                arguments.queue_id = Some(number.ok_or(format!("-R: \"{id}\" is not a queue id"))?);
            }
            "--id" => arguments.id = Some(value()?.replace('-', "").to_ascii_lowercase()),
            other if other.starts_with('-') => return Err(format!("unknown option {other}")),
            _ if path.is_none() => path = Some(PathBuf::from(word)),
            other => return Err(format!("one file or directory at a time, not also {other}")),
        }
    }
    arguments.path = path.ok_or("no file or directory")?;
    Ok(Some(arguments))
}

fn message(arguments: &Arguments) -> Result<Vec<u8>, String> {
    let path = arguments.path.display();
    let directory = Directory::open(&arguments.path)?;
    let directory = directory.ok_or(format!("{path}: is neither an unloaded file nor a spool directory"))?;
    for problem in directory.problems() {
        eprintln!("hqfeml: {problem}");
    }
    let message = find(&directory, arguments)?;
    let received = directory.body(message).map_err(|error| format!("{path}: {error}"))?;
    let Some(queue_id) = arguments.queue_id else { return Ok(received) };
    let index = queue_id - 1;
    if message.items.iter().all(|item| item.recipient != index) {
        return Err(format!("{}: it has no recipient {queue_id}", message.transaction()));
    }
    let recipient = message.envelope.recipients.get(index as usize);
    let Some(stored) = recipient.and_then(stored_delta) else { return Ok(received) };
    let damaged = |_| format!("{}: the changes for recipient {queue_id} are damaged", message.transaction());
    Ok(Delta::decode(stored).map_err(damaged)?.apply(&received, now()))
}

fn find<'d>(directory: &'d Directory, arguments: &Arguments) -> Result<&'d Message, String> {
    let path: &Path = &arguments.path;
    let mut messages = directory.messages.iter();
    match &arguments.id {
        Some(id) => {
            let found = messages.find(|message| message.transaction() == *id);
            found.ok_or(format!("{}: no transaction {id}", path.display()))
        }
        None if path.is_dir() => Err(format!("{}: is a directory: give --id", path.display())),
        None => messages.next().ok_or(format!("{}: holds no message", path.display())),
    }
}

/// What a `Date` field would say that is added on the way out.
#[expect(clippy::disallowed_methods, reason = "a program outside the engine")]
fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { unix_s: i64::try_from(since.as_secs()).unwrap_or_default(), offset_min: 0 }
}
