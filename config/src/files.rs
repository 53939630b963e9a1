//! The files of one server together, read through a callback.

use std::io;
use std::path::Path;

use crate::{Error, Loaded, Options, Running, Startup, Suspends};

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
    todo!()
}

/// Reads the files that the startup file names: at start after the privilege drop, and at each reload.
/// Missing suspend, policy and delivery files mean empty ones; the running file must exist.
///
/// # Errors
/// Every problem of every file. The caller keeps what it has.
pub fn load_files(
    startup: &Startup,
    read: &Read<'_>,
    options: &Options<'_>,
) -> Result<Loaded<Reloadable>, Vec<Error>> {
    todo!()
}
