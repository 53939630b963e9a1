//! The files of one server together, read through a callback.

use std::io;
use std::path::Path;

use crate::report::Report;
use crate::schema::File;
use crate::{
    Error, Loaded, Options, Running, Source, Startup, Suspends, check, load_running, load_startup,
    load_suspends,
};

/// What can be reloaded: everything but the startup file.
#[derive(Clone, Debug)]
pub struct Reloadable {
    /// `smtpd-app.yaml`.
    pub running: Running,
    /// `smtpd-suspend.yaml`; empty when there is no such file.
    pub suspends: Suspends,
}

/// Reads one file; an `io::ErrorKind::NotFound` counts as "no such file".
pub type Read<'a> = dyn Fn(&Path) -> io::Result<String> + 'a;

/// Reads the startup file at `path`, at start, with the privileges that the program was started with.
///
/// # Errors
/// Every problem of the file, or that it could not be read.
pub fn load_startup_file(
    path: &Path,
    read: &Read<'_>,
    options: &Options<'_>,
) -> Result<Loaded<Startup>, Vec<Error>> {
    let text = required(File::Startup, path, read)?;
    load_startup(&source(File::Startup, &text), options)
}

/// Reads the files that the startup file names: at start after the privilege drop, and at each reload.
/// Missing suspend, policy and delivery files mean empty ones; the running file must exist.
///
/// # Errors
/// Every problem of every file, except that suspends are only checked against a running file that is good. The caller
/// keeps what it has.
pub fn load_files(
    startup: &Startup,
    read: &Read<'_>,
    options: &Options<'_>,
) -> Result<Loaded<Reloadable>, Vec<Error>> {
    let environment = &startup.environment;
    let mut warnings = Vec::new();
    let mut errors = Vec::new();
    for (file, path) in [(File::Policy, &environment.policyconf), (File::Delivery, &environment.deliveryconf)]
    {
        let checked = optional(file, path, read)
            .and_then(|text| text.map_or(Ok(Vec::new()), |text| check_only(file, &text, options)));
        match checked {
            Ok(found) => warnings.extend(found),
            Err(found) => errors.extend(found),
        }
    }
    let running = required(File::Running, &environment.appconf, read)
        .and_then(|text| load_running(&source(File::Running, &text), startup, options));
    let suspends = optional(File::Suspend, &environment.suspendconf, read);
    let (running, suspends) = match (running, suspends) {
        (Ok(running), Ok(None)) => (running, Loaded { value: Suspends::none(), warnings: Vec::new() }),
        (Ok(running), Ok(Some(text))) => {
            match load_suspends(&source(File::Suspend, &text), &running.value, options) {
                Ok(suspends) => (running, suspends),
                Err(found) => return Err(found.into_iter().chain(errors).collect()),
            }
        }
        (running, suspends) => {
            let found = running.err().into_iter().chain(suspends.err()).flatten();
            return Err(found.chain(errors).collect());
        }
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut all = running.warnings;
    all.extend(version_spread(startup, &running.value, &suspends.value));
    all.extend(suspends.warnings);
    all.extend(warnings);
    Ok(Loaded { value: Reloadable { running: running.value, suspends: suspends.value }, warnings: all })
}

/// Checks a file of which nothing is used yet; the warnings.
fn check_only(file: File, text: &str, options: &Options<'_>) -> Result<Vec<Error>, Vec<Error>> {
    let mut report = Report::new(file.source_name());
    let checked = check::read(file, &source(file, text), options, &mut report);
    report.loaded(checked).map(|loaded| loaded.warnings)
}

/// The files of one server usually change their version together.
fn version_spread(startup: &Startup, running: &Running, suspends: &Suspends) -> Option<Error> {
    let differs = |version| version != startup.version;
    let spread = differs(running.version) || suspends.version.is_some_and(differs);
    spread.then(|| {
        let suspends =
            suspends.version.map(|version| format!(", smtpd-suspend.yaml {version}")).unwrap_or_default();
        let text =
            format!("smtpd.yaml says {}, smtpd-app.yaml {}{suspends}", startup.version, running.version);
        of_file(File::Running, "version", format!("the files differ in version: {text}"))
    })
}

fn required(file: File, path: &Path, read: &Read<'_>) -> Result<String, Vec<Error>> {
    optional(file, path, read)?.ok_or_else(|| {
        let error = of_file(file, "", format!("there is no file {}", path.display()));
        let hint = match file {
            File::Startup => "name another with -c",
            _ => "create it, or name another with environment.appconf",
        };
        vec![Error { hint: Some(hint.to_owned()), ..error }]
    })
}

fn optional(file: File, path: &Path, read: &Read<'_>) -> Result<Option<String>, Vec<Error>> {
    match read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(vec![of_file(file, "", format!("cannot read {}: {error}", path.display()))]),
    }
}

fn source(file: File, text: &str) -> Source<'_> {
    Source { name: file.source_name(), text }
}

fn of_file(file: File, path: &str, text: String) -> Error {
    Error {
        source: file.source_name().to_owned(),
        line: 0,
        column: 0,
        path: path.to_owned(),
        text,
        hint: None,
    }
}
