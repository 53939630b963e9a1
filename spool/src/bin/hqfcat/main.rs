//! hqfcat: prints what a spool holds, and exports messages from the spool of a host that is gone.
//!
//! Reads only, takes no lock, and works on a copy of a directory as well. On the spool of a running server it shows a
//! state that may be a moment old, and messages that are finished while it reads may be reported as damaged.
//!
//! `json` writes the output, `read` collects messages, `segment` prints one segment.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

mod json;
mod read;
mod segment;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::json::Json;
use crate::read::{Directory, Message};

const HELP: &str = "\
hqfcat - print and export queued messages

Usage:
  hqfcat [--text] [--id TRANSACTION] DIRECTORY
      Prints the queued messages of a spool directory: a JSON array with one object per recipient
      (--text: a line per recipient).
  hqfcat --export OUT [--id TRANSACTION] DIRECTORY
      Writes each message to OUT/<transaction>.eml, and what is known of it and its recipients to
      OUT/<transaction>.json. OUT is created; existing files are not overwritten.
  hqfcat [--json] SEGMENT
      Prints the records of a segment file (*.seg) (--json: one object per record).

Options:
  --id TRANSACTION   only this transaction (its id in hexadecimal, with or without dashes)
  -h, --help         this text

Nothing is changed, and no lock is taken: it works for the spool of a host that is gone, and beside
a running server. Exit status: 0, or 1 when something could not be read (the rest is printed).
The bytes are described in docs/spool-format.md.
";

#[derive(Debug, Default)]
struct Arguments {
    text: bool,
    json: bool,
    id: Option<String>,
    export: Option<PathBuf>,
    path: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("hqfcat: {error} (--help)");
            return ExitCode::FAILURE;
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hqfcat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut out = Arguments::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "-h" | "--help" => return Ok(None),
            "--text" => out.text = true,
            "--json" => out.json = true,
            "--id" => out.id = Some(value()?.replace('-', "").to_ascii_lowercase()),
            "--export" => out.export = Some(value()?.into()),
            other if other.starts_with('-') => return Err(format!("unknown option {other}")),
            path if out.path.is_none() => out.path = Some(path.into()),
            other => return Err(format!("one file or directory at a time, not also {other}")),
        }
    }
    if out.path.is_none() {
        return Err("no file or directory".to_owned());
    }
    Ok(Some(out))
}

/// True when everything could be read.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let path = arguments.path.as_deref().expect("checked by parse");
    let metadata = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !metadata.is_dir() {
        return segment::print(path, arguments.json);
    }
    let mut directory = Directory::read(path)?;
    let mut good = directory.report_damage();
    let mut messages = std::mem::take(&mut directory.messages);
    if let Some(id) = &arguments.id {
        messages.retain(|message| message.transaction() == *id);
        if messages.is_empty() {
            return Err(format!("no transaction {id}"));
        }
    }
    match &arguments.export {
        Some(out) => good &= export(&directory, &messages, out)?,
        None => print(&messages, arguments.text)?,
    }
    Ok(good)
}

fn print(messages: &[Message], text: bool) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    let objects = messages.iter().flat_map(|message| (0..message.items.len()).map(move |at| (message, at)));
    let result = (|| {
        if text {
            for (message, at) in objects {
                writeln!(out, "{}", message.line(at))?;
            }
            return Ok(());
        }
        write!(out, "[")?;
        for (number, (message, at)) in objects.enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(out, "{comma}\n{}", message.object(at).text())?;
        }
        writeln!(out, "\n]")
    })();
    result.map_err(|error: std::io::Error| error.to_string())
}

/// True when all were exported.
fn export(directory: &Directory, messages: &[Message], out: &Path) -> Result<bool, String> {
    let fail = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(out).map_err(|error| fail(out, error))?;
    let (mut good, mut count) = (true, 0);
    for message in messages {
        let name = message.transaction();
        let eml = out.join(format!("{name}.eml"));
        match directory.body(message) {
            Ok(body) => create(&eml, &body).map_err(|error| fail(&eml, error))?,
            Err(error) => {
                eprintln!("hqfcat: {name}: {error}; its envelope is exported");
                good = false;
            }
        }
        let items = (0..message.items.len()).map(|at| message.object(at)).collect();
        let about = out.join(format!("{name}.json"));
        let text = Json::List(items).text() + "\n";
        create(&about, text.as_bytes()).map_err(|error| fail(&about, error))?;
        count += 1;
    }
    println!("{count} messages exported to {}", out.display());
    Ok(good)
}

fn create(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
