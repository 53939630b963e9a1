//! `halonctl queue unload` and `halonctl queue load`.

use std::path::{Path, PathBuf};

use control::Command as Letter;
use control::smtpd::queue_import_request::Source;
use control::smtpd::{QueueImportRequest, QueueImportResponse, QueueUnloadRequest, QueueUnloadResponse};

use super::{DRY_RUN, Run, counted, leaf, missing};
use crate::Failure;
use crate::cli::{Arguments, Command, Group, Value, flag, operand, option};
use crate::failure::plain;
use crate::limits::{ANSWER, UNLOAD_PART};
use crate::output::Session;
use crate::selectors::{SELECTORS, conditions};
use crate::settings::absolute;

pub(super) const UNLOAD: Command<Run> = Command {
    about: "Writes the recipients that match into files, one for each transaction, and takes them out of the queue. What \
            is being delivered stays. The directory is one of the server's host.",
    options: &[&UNLOAD_OPTIONS, &DRY_RUN, &SELECTORS, &super::JSON],
    examples: &[(
        "halonctl queue unload --transportid old --path /var/tmp/move",
        "Move a transport elsewhere",
    )],
    ..leaf("unload", "Take recipients out of the queue into files", unload)
};

static UNLOAD_OPTIONS: Group = Group {
    title: "Unloading",
    note: "",
    options: &[
        option("path", Value::Path("DIR"), "Where to write, instead of the server's own directory for it"),
        flag("all", "The whole queue: instead of selectors"),
    ],
};

pub(super) const LOAD: Command<Run> = Command {
    about: "Takes the messages of unloaded files into the queue, and removes each file once its messages are safe. What \
            is damaged, not readable by the server or already queued stays, and is named.",
    options: &[&LOAD_OPTIONS, &DRY_RUN, &super::JSON],
    operands: &[operand("PATH", Value::Path("PATH"), "A file, or a directory of them, on the server's host")
        .repeated()],
    ..leaf("load", "Take unloaded files into the queue", load)
};

static LOAD_OPTIONS: Group =
    Group { title: "Loading", note: "", options: &[flag("keep", "Leave the files where they are")] };

fn unload(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let conditions = conditions(arguments)?;
    if conditions.is_some() == arguments.has("all") {
        let text = "give selectors, or --all to empty the whole queue";
        return Err(Failure::Usage(text.to_owned()));
    }
    let path = arguments.one("path").map(absolute).transpose()?;
    let request = QueueUnloadRequest {
        conditions,
        path: path.map(|path| path.to_string_lossy().into_owned()),
        dryrun: arguments.has("dry-run"),
        // In parts, to show how far it is; one answer where that is what is printed, and for a mere count.
        limit: if session.json || arguments.has("dry-run") { 0 } else { UNLOAD_PART },
    };
    let mut all = QueueUnloadResponse::default();
    loop {
        let part = session.ask_within(Letter::QueueUnload, &request, None, ANSWER);
        let part: QueueUnloadResponse = match part {
            Ok(part) => part,
            Err(failure) => {
                session.progress("");
                return Err(said_before(failure, all.affected));
            }
        };
        all.affected += part.affected;
        all.paths.extend(part.paths);
        all.missing = part.missing;
        if !part.more || part.affected == 0 {
            break;
        }
        session.progress(&format!("{} messages", all.affected));
    }
    session.progress("");
    if !session.json {
        let paths: String = all.paths.iter().map(|path| format!("{path}\n")).collect();
        session.print(&(counted(all.affected, "messages", request.dryrun, "affected") + &paths))?;
    }
    missing::refuse(&all.missing)
}

/// With what earlier parts came to: the server only knows of the last.
fn said_before(failure: Failure, affected: u64) -> Failure {
    match failure {
        Failure::Failed(text) if affected > 0 => {
            Failure::Failed(format!("{text} ({affected} messages in earlier parts)"))
        }
        other => other,
    }
}

fn load(session: &mut Session<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in arguments.all("PATH") {
        let path = absolute(path)?;
        if path.is_dir() { collect(&path, &mut files)? } else { files.push(path) }
    }
    let dryrun = arguments.has("dry-run");
    let total = files.len();
    let mut imported = 0;
    let mut refused = 0;
    for (index, file) in files.into_iter().enumerate() {
        session.progress(&format!("{index} of {total} files"));
        let name = file.to_string_lossy().into_owned();
        let source = Some(Source::Path(name.clone()));
        let request = QueueImportRequest { source, remove: !arguments.has("keep"), dryrun };
        match session.ask_within::<QueueImportResponse>(Letter::QueueImport, &request, None, ANSWER) {
            Ok(answer) => imported += answer.imported,
            Err(Failure::Failed(text)) => {
                refused += 1;
                session.progress("");
                // The connection may be gone with the answer; without it there is no next file.
                session.complain(&if text.contains(&name) { text } else { format!("{name}: {text}") });
            }
            Err(other) => return Err(other),
        }
    }
    session.progress("");
    if !session.json {
        session.print(&counted(imported, "messages", dryrun, "affected"))?;
    }
    match refused {
        0 => Ok(()),
        _ => Err(Failure::Failed(format!("{refused} of {total} files were not loaded"))),
    }
}

/// The unloaded files below a directory, in order of their names.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::Failed(format!("cannot read {}: {}", directory.display(), plain(&error)))
    };
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        // Links are not followed: a directory cannot come round to itself.
        let kind = path.symlink_metadata().map_err(failed)?;
        if kind.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "hqf") {
            files.push(path);
        }
    }
    Ok(())
}
