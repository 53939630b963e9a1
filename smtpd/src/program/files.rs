//! The files that a reload reads.

use std::io;
use std::path::{Path, PathBuf};

use config::{Reloadable, Startup};

use crate::limits;
use crate::log::Priority;
use crate::program::Control;

impl Control {
    /// Reads running and suspend files. The error has a line for each problem.
    pub(super) async fn read_files(&self) -> Result<Reloadable, String> {
        let environment = &self.program.startup.environment;
        let paths = [
            &environment.appconf,
            &environment.suspendconf,
            &environment.policyconf,
            &environment.deliveryconf,
        ];
        let mut texts: Vec<(PathBuf, io::Result<String>)> = Vec::with_capacity(paths.len());
        for path in paths {
            let bytes = engine::disk::read_file(path, limits::CONFIG_FILE_BYTES).await;
            texts.push((path.clone(), bytes.and_then(into_text)));
        }
        let read = |path: &Path| match texts.iter().find(|(name, _)| name == path) {
            Some((_, Ok(text))) => Ok(text.clone()),
            Some((_, Err(error))) => Err(io::Error::new(error.kind(), error.to_string())),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        load_running_files(&self.program.startup, &read, self.program.env_substitution, &|warning| {
            self.log.line(Priority::Warning, format_args!("{warning}"));
        })
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
