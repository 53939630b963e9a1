//! The files that a reload reads.

use std::io;
use std::path::{Path, PathBuf};

use config::{Reloadable, Running, Startup};

use crate::limits;
use crate::log::Priority;
use crate::program::{Control, Reload};

/// The text of a file, or why it could not be read.
type Text = Result<String, (io::ErrorKind, String)>;

/// The running files, as they were last read.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<(PathBuf, Text)>);

impl Control {
    /// Reads files, and checks them with what the others said when they were read. The error has a line for each problem.
    /// The texts are for who puts them in force.
    pub(super) async fn read_files(&self, what: Reload) -> Result<(Reloadable, Texts), String> {
        let environment = &self.program.startup.environment;
        let paths = [
            (&environment.appconf, Reload::Running),
            (&environment.suspendconf, Reload::Suspends),
            (&environment.policyconf, Reload::Policy),
            (&environment.deliveryconf, Reload::Delivery),
        ];
        let mut texts = Texts::default();
        for (path, is) in paths {
            let known = self.texts.borrow().of(path).cloned().filter(|_| what != Reload::All && what != is);
            let text = match known {
                Some(text) => text,
                None => {
                    let bytes = engine::disk::read_file(path, limits::CONFIG_FILE_BYTES).await;
                    bytes.and_then(into_text).map_err(|error| (error.kind(), error.to_string()))
                }
            };
            texts.0.push((path.clone(), text));
        }
        let read = |path: &Path| match texts.of(path) {
            Some(Ok(text)) => Ok(text.clone()),
            Some(Err((kind, text))) => Err(io::Error::new(*kind, text.clone())),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let files =
            load_running_files(&self.program.startup, &read, self.program.env_substitution, &|warning| {
                self.log.line(Priority::Warning, format_args!("{warning}"));
            })?;
        Ok((files, texts))
    }

    /// Keys that these texts have different from those in force, with their places. Where only what a file names has changed,
    /// there are none.
    pub(super) async fn changes(&self, texts: &Texts) -> Result<Vec<String>, String> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text =
            |text: Option<&Text>| text.and_then(|text| text.as_ref().ok()).cloned().unwrap_or_default();
        let pairs: Vec<(String, String, String)> = {
            let in_force = self.texts.borrow();
            let each = texts.0.iter().map(|(path, after)| (path, in_force.of(path), after));
            each.filter(|(_, before, after)| *before != Some(*after))
                .map(|(path, before, after)| (name(path), text(before), text(Some(after))))
                .collect()
        };
        let compare = move || -> Vec<String> {
            let of_file = |(name, before, after): &(String, String, String)| -> Vec<String> {
                let changes = config::changes(before, after);
                changes.iter().map(|change| format!("{name}:{change}")).collect()
            };
            pairs.iter().flat_map(of_file).collect()
        };
        let compared = engine::offload::run(limits::CONFIGURE, compare).await;
        compared.map_err(|error| format!("comparing: {error}"))
    }

    /// Reads the text of a running configuration. The error has a line for each problem.
    pub(super) fn read_running(&self, file: &str, text: &str) -> Result<Running, String> {
        let lookup = |name: &str| std::env::var(name).ok();
        let env = self.program.env_substitution.then_some(&lookup as _);
        let options = config::Options { env, ..config::Options::default() };
        let source = config::Source { name: file, text };
        let loaded = config::load_running(&source, &self.program.startup, &options);
        let loaded = loaded.map_err(|errors| lines(&errors))?;
        for warning in loaded.warnings {
            self.log.line(Priority::Warning, format_args!("{warning}"));
        }
        Ok(loaded.value)
    }
}

impl Texts {
    fn of(&self, path: &Path) -> Option<&Text> {
        self.0.iter().find(|(known, _)| known == path).map(|(_, text)| text)
    }
}

/// Loads and checks the files that the startup file names. The error has a line for each problem.
///
/// # Errors
/// All problems of all files.
pub fn load_running_files(
    startup: &Startup,
    read: &config::Read<'_>,
    env_substitution: bool,
    warn: &dyn Fn(&config::Error),
) -> Result<Reloadable, String> {
    let lookup = |name: &str| std::env::var(name).ok();
    let options = config::Options { env: env_substitution.then_some(&lookup), ..config::Options::default() };
    match config::load_files(startup, read, &options) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(warn);
            Ok(loaded.value)
        }
        Err(errors) => Err(lines(&errors)),
    }
}

/// Errors, one a line.
pub fn lines(errors: &[config::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The text of a configuration file.
///
/// # Errors
/// `InvalidData` when it is not UTF-8.
pub fn into_text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))
}
