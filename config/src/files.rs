//! The files of one server together, read through a callback.

use std::io;
use std::path::Path;

use crate::schema::File;
use crate::{
    DeliveryFile, Error, Loaded, Options, Policies, Running, Source, Startup, Suspends, load_delivery,
    load_policies, load_running, load_startup, load_suspends,
};

/// What can be reloaded: everything but the startup file.
#[derive(Clone, Debug)]
pub struct Reloadable {
    /// `smtpd-app.yaml`.
    pub running: Running,
    /// `smtpd-policy.yaml`; empty when there is no such file.
    pub policies: Policies,
    /// `smtpd-suspend.yaml`; empty when there is no such file.
    pub suspends: Suspends,
    /// `smtpd-delivery.yaml`; empty when there is no such file.
    pub delivery: DeliveryFile,
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
    let mut found = Found::default();
    let running = required(File::Running, &environment.appconf, read)
        .and_then(|text| load_running(&source(File::Running, &text), startup, options));
    let (policies, suspends, delivery) = (
        optional(File::Policy, &environment.policyconf, read),
        optional(File::Suspend, &environment.suspendconf, read),
        optional(File::Delivery, &environment.deliveryconf, read),
    );
    let Some(running) = found.take(running) else {
        found.errors.extend([policies.err(), suspends.err(), delivery.err()].into_iter().flatten().flatten());
        return Err(found.errors);
    };
    let mut files = Reloadable {
        running,
        policies: Policies::none(),
        suspends: Suspends::none(),
        delivery: DeliveryFile::none(),
    };
    if let Some(policies) =
        found.load(policies, File::Policy, |source| load_policies(source, &files.running, options))
    {
        files.policies = policies;
    }
    if let Some(suspends) =
        found.load(suspends, File::Suspend, |source| load_suspends(source, &files.running, options))
    {
        files.suspends = suspends;
    }
    if let Some(delivery) =
        found.load(delivery, File::Delivery, |source| load_delivery(source, &files.running, options))
    {
        files.delivery = delivery;
    }
    found.warnings.extend(version_spread(startup, &files));
    if found.errors.is_empty() {
        Ok(Loaded { value: files, warnings: found.warnings })
    } else {
        Err(found.errors)
    }
}

/// What is wrong with the files, and what is odd.
#[derive(Default)]
struct Found {
    errors: Vec<Error>,
    warnings: Vec<Error>,
}

impl Found {
    /// The value, if there is one.
    fn take<T>(&mut self, loaded: Result<Loaded<T>, Vec<Error>>) -> Option<T> {
        match loaded {
            Ok(loaded) => {
                self.warnings.extend(loaded.warnings);
                Some(loaded.value)
            }
            Err(errors) => {
                self.errors.extend(errors);
                None
            }
        }
    }

    /// The value of a file that need not be there.
    fn load<T>(
        &mut self,
        text: Result<Option<String>, Vec<Error>>,
        file: File,
        load: impl FnOnce(&Source<'_>) -> Result<Loaded<T>, Vec<Error>>,
    ) -> Option<T> {
        match text {
            Ok(text) => text.and_then(|text| self.take(load(&source(file, &text)))),
            Err(errors) => {
                self.errors.extend(errors);
                None
            }
        }
    }
}

/// The files of one server usually change their version together.
fn version_spread(startup: &Startup, files: &Reloadable) -> Option<Error> {
    let all = [
        (File::Running, Some(files.running.version)),
        (File::Policy, files.policies.version),
        (File::Suspend, files.suspends.version),
        (File::Delivery, files.delivery.version),
    ];
    let there: Vec<_> = all.into_iter().filter_map(|(file, version)| Some((file, version?))).collect();
    there.iter().any(|(_, version)| *version != startup.version).then(|| {
        let others: Vec<String> =
            there.iter().map(|(file, version)| format!("{} {version}", file.file_name())).collect();
        let text = format!(
            "the files differ in version: {} says {}, {}",
            File::Startup.file_name(),
            startup.version,
            others.join(", ")
        );
        of_file(File::Running, "version", text)
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
