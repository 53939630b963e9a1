//! Where the server is: `halonctl.yaml`, and files in general.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use config::{ControlSocket, Options, Source, load_client};

use crate::failure::plain;
use crate::{Failure, limits};

/// Where the file is when nobody says otherwise (reference: configuration 9).
pub const DEFAULT_FILE: &str = "/etc/halon/halonctl.yaml";

/// What the client file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where to connect to.
    pub socket: ControlSocket,
    /// What is odd about the file, a line each.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads `file`, or [`DEFAULT_FILE`] if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or is wrong: every problem, a line each.
    pub fn load(file: Option<&str>) -> Result<Self, Failure> {
        let path = Path::new(file.unwrap_or(DEFAULT_FILE));
        if file.is_none() && !path.exists() {
            return Ok(Self::default());
        }
        let text = String::from_utf8(read(path)?)
            .map_err(|_| Failure::Failed(format!("{} is not UTF-8", path.display())))?;
        let name = path.display().to_string();
        let lines =
            |errors: &[config::Error]| -> Vec<String> { errors.iter().map(ToString::to_string).collect() };
        match load_client(&Source { name: &name, text: &text }, &Options::default()) {
            Ok(loaded) => Ok(Self { socket: loaded.value, warnings: lines(&loaded.warnings) }),
            Err(errors) => Err(Failure::Failed(lines(&errors).join("\n"))),
        }
    }
}

/// Reads a file of the user's.
///
/// # Errors
/// It cannot be read, or is larger than [`limits::FILE_BYTES`].
#[expect(clippy::disallowed_methods, reason = "a client program has no engine")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: io::Error| Failure::Failed(format!("cannot read {}: {}", path.display(), plain(&error)));
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut content = Vec::new();
    file.take(limits::FILE_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > limits::FILE_BYTES {
        let bound = limits::FILE_BYTES;
        return Err(Failure::Failed(format!("{} is larger than {bound} bytes", path.display())));
    }
    Ok(content)
}

/// The path as the server, whose working directory is another, has to be told it.
pub(crate) fn absolute(path: &str) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::Failed(format!("{path}: {}", plain(&error))))
}
