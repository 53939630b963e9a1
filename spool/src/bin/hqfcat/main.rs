//! hqfcat: prints what a spool holds, and exports messages from the spool of a host that is gone.
//!
//! Reads only, takes no lock, and works on a copy of a directory as well. On the spool of a running server it shows a
//! state that may be a moment old, and messages that are finished while it reads may be reported as damaged.
//!
//! `json` writes the output, `show` says what of a message is in it, `segment` prints one segment.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

mod json;
mod segment;
mod show;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use spool::offline::{Directory, Message};
use spool::{RecoveredItem, hqf};

use crate::json::Json;

const HELP: &str = "\
hqfcat - print and export queued messages

Usage:
  hqfcat [--text] [--id TRANSACTION] DIRECTORY|FILE.hqf
      Prints the queued messages of a spool directory, or that of an unloaded file: a JSON array with
      one object per recipient (--text: a line per recipient).
  hqfcat --export OUT [--id TRANSACTION] DIRECTORY
      Writes each message to OUT/<transaction>.eml, what is known of it and its recipients to
      OUT/<transaction>.json, and both to OUT/<first two digits>/<transaction>.hqf, which halonctl
      queue load takes into another server. OUT is created; existing files are not overwritten.
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
    let Some(mut directory) = Directory::open(path)? else {
        return segment::print(path, arguments.json);
    };
    let problems = directory.problems();
    problems.iter().for_each(|problem| eprintln!("hqfcat: {problem}"));
    let mut good = problems.is_empty();
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
                writeln!(out, "{}", show::line(message, at))?;
            }
            return Ok(());
        }
        write!(out, "[")?;
        for (number, (message, at)) in objects.enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(out, "{comma}\n{}", show::object(message, at).text())?;
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
            Ok(body) => {
                create(&eml, &body).map_err(|error| fail(&eml, error))?;
                unload(message, &body, out)?;
            }
            Err(error) => {
                eprintln!("hqfcat: {name}: {error}; its envelope is exported");
                good = false;
            }
        }
        let items = (0..message.items.len()).map(|at| show::object(message, at)).collect();
        let about = out.join(format!("{name}.json"));
        let text = Json::List(items).text() + "\n";
        create(&about, text.as_bytes()).map_err(|error| fail(&about, error))?;
        count += 1;
    }
    println!("{count} messages exported to {}", out.display());
    Ok(good)
}

/// As `halonctl queue unload` would write it.
fn unload(message: &Message, body: &[u8], out: &Path) -> Result<(), String> {
    let items: Vec<_> = message.items.iter().cloned().map(RecoveredItem::from).collect();
    let mut file = hqf::head(&message.envelope, body.len() as u64, &items);
    hqf::put_piece(&mut file, body);
    hqf::put_end(&mut file, body.len() as u64, items.len() as u32);
    let id = message.transaction();
    let directory = out.join(&id[..2]);
    let name = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-") + ".hqf";
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(&directory).map_err(fail)?;
    create(&directory.join(name), &file).map_err(fail)
}

fn create(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
