//! The commands of `halonctl` (reference: cli-and-operations 3).

mod completion;
mod config;
mod explain;
mod fields;
mod groupby;
mod hsl;
mod licence;

mod list;
mod missing;
mod plugin;
mod policy;
mod policy_tables;
mod queue;
mod reload;
mod resolver;
mod shards;
mod stats;
mod suspend;
mod trace;
mod transfer;
mod update;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::cli::{self, Arguments, Body, Command, Group, Parsed, Value, flag, option};
use crate::output::Session;
use crate::text::visible_lines;
use crate::{Failure, Settings, VERSION};

/// What a command does.
pub type Run = fn(&mut Session<'_>, &Arguments) -> Result<(), Failure>;

/// The tree.
pub static ROOT: Command<Run> = Command {
    name: "halonctl",
    summary: "Watch and steer a running smtpd",
    about: "Each command has its own help: halonctl queue list -h.\n\
            Exit status: 0 success; 1 the server refused or could not be reached; 2 the command line is wrong.",
    options: &[&GENERAL],
    operands: &[],
    examples: &[
        ("halonctl queue list --state DEFER", "What waits for another attempt"),
        ("halonctl shard status --watch", "Figures of each shard, again and again"),
    ],
    body: Body::Commands(&[
        queue::QUEUE,
        config::CONFIG,
        hsl::HSL,
        resolver::RESOLVER,
        stats::PROCESS_STATS,
        shards::SHARD,
        trace::TRACE,
        plugin::PLUGIN,
        licence::LICENSE,
        completion::COMPLETION,
    ]),
};

const GENERAL: Group = Group {
    title: "General",
    note: "",
    options: &[option(
        "config",
        Value::Path("FILE"),
        "Where the server is: another file than /etc/halon/halonctl.yaml",
    )],
};

/// Of commands that talk to the server.
static JSON: Group = Group {
    title: "JSON",
    note: "",
    options: &[
        flag("json", "Print the answer as JSON"),
        flag("json-request", "Print the request as JSON before it is sent"),
    ],
};

/// Of commands that change what matches.
static DRY_RUN: Group = Group {
    title: "Trying",
    note: "",
    options: &[flag("dry-run", "Change nothing, only check, and say what would be changed")],
};

/// How many were changed, or would be: `5 messages would be affected`.
fn counted(count: u64, things: &str, dry_run: bool, done: &str) -> String {
    let would = if dry_run { " would be" } else { "" };
    format!("{count} {things}{would} {done}\n")
}

/// What a dry run says behind the id of a rule.
fn would_be_added(dry_run: bool, renewed: bool) -> &'static str {
    match (dry_run, renewed) {
        (false, _) => "",
        (true, false) => " would be added",
        (true, true) => " would be renewed",
    }
}

/// What the commands that have commands below them share.
const GROUP: Command<Run> = Command {
    name: "",
    summary: "",
    about: "",
    options: &[],
    operands: &[],
    examples: &[],
    body: Body::Commands(&[]),
};

/// What most commands take.
const ONLY_JSON: &[&Group] = &[&JSON];

const fn leaf(name: &'static str, summary: &'static str, run: Run) -> Command<Run> {
    let body = Body::Run(run);
    Command { name, summary, about: "", options: ONLY_JSON, operands: &[], examples: &[], body }
}

/// Runs the command line, without the program's name, and says how it ended.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> ExitCode {
    match run_line(words, out, errors) {
        Ok(()) | Err(Failure::Unread) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = visible_lines(&failure.to_string());
            let hint = match failure {
                Failure::Usage(_) => "halonctl: -h after any command prints its help\n",
                _ => "",
            };
            let lines: String = text.lines().map(|line| format!("halonctl: {line}\n")).collect();
            // What cannot be said is not said.
            let _ = errors.write_all((lines + hint).as_bytes());
            failure.status()
        }
    }
}

fn run_line(
    words: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> Result<(), Failure> {
    match cli::parse(&ROOT, words)? {
        Parsed::Help(path) => print(out, &cli::help(&path)),
        Parsed::Version => print(out, &format!("halonctl {VERSION}\n")),
        Parsed::Run { run, arguments } => {
            let settings = Settings::load(arguments.one("config"))?;
            let warnings = settings.warnings.clone();
            let mut session = Session::new(settings, out, errors);
            warnings.iter().for_each(|warning| session.complain(warning));
            session.json = arguments.has("json");
            session.json_request = arguments.has("json-request");
            run(&mut session, &arguments)
        }
    }
}

fn print(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes()).map_err(crate::output::unwritten)
}

#[cfg(test)]
mod tests;
