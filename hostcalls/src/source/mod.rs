//! Where scripts find other files: the paths of `include`, `import` and `File()` (reference: hsl-language 14.4).
//!
//! | path | file |
//! |---|---|
//! | `name`, `file:name` | virtual file of the configuration |
//! | `file://path` | below `scripting.rootpath`, from which nothing leads out; else a virtual file of that name |
//! | `extras://name` | installed module |
//! | `./path`, `../path` | relative to the file that says it |
//! | `path` | where scripts come from the command line: relative to the file that says it, if no virtual file has the name |
//!
//! A path that names a directory means `main.hsl` in it. Every file has one *name*, which errors show and by which a
//! module is known: `file:<id>`, `file://<path>`, `extras:<path>`, or the path of a script of the command line.
//!
//! Reading is blocking: scripts are compiled before the engine runs, or on its offload threads.

mod loader;
mod path;
mod root;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::path::{Origin, join, parent};
use self::root::Root;

pub use loader::SourceLoader;

/// Where installed modules are.
pub const EXTRAS: &str = "/opt/halon/plugins/hsl";

/// The file of a directory that stands for it.
const MAIN: &str = "main.hsl";

/// Everything that a script may name. Immutable; shared by all shards.
#[derive(Debug, Default)]
pub struct Sources {
    virtual_files: HashMap<String, Arc<[u8]>>,
    root: Option<Root>,
    extras: Option<Root>,
    command_line: bool,
}

/// A file that exists.
#[derive(Debug)]
pub struct Found {
    /// Its one name.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// The content of a file that exists.
#[derive(Debug)]
pub enum Content {
    /// A virtual file.
    Bytes(Arc<[u8]>),
    /// An open regular file.
    Disk(File),
}

/// Why a path leads to no file.
#[derive(Debug)]
pub struct SourceError {
    message: String,
    missing: bool,
}

impl SourceError {
    fn new(message: impl Into<String>) -> SourceError {
        SourceError { message: message.into(), missing: false }
    }

    fn missing(message: impl Into<String>) -> SourceError {
        SourceError { message: message.into(), missing: true }
    }

    /// There is no such file, as opposed to one that cannot be read.
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

impl Sources {
    /// These virtual files and nothing else.
    pub fn new(virtual_files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Sources {
        let shared = virtual_files.into_iter().map(|(id, bytes)| (id, bytes.into()));
        Sources { virtual_files: shared.collect(), ..Sources::default() }
    }

    /// With `scripting.rootpath`.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn with_root(mut self, path: &Path) -> io::Result<Sources> {
        self.root = Some(Root::open(path)?);
        Ok(self)
    }

    /// With `scripting.rootpath`, unless it cannot be opened.
    pub fn with_root_if_there(mut self, path: &Path) -> Sources {
        self.root = Root::open(path).ok();
        self
    }

    /// With the modules installed in this directory; one that does not exist has none.
    pub fn with_extras(mut self, path: &Path) -> Sources {
        self.extras = Root::open(path).ok();
        self
    }

    /// With scripts from the command line: files that are named relative to those are found.
    pub fn with_command_line(mut self) -> Sources {
        self.command_line = true;
        self
    }

    /// Finds what `path` means in the file with the name `from`.
    ///
    /// # Errors
    /// There is no such file, it may not be reached, or it is no regular file; the message says what was tried.
    pub fn find(&self, path: &str, from: &str) -> Result<Found, SourceError> {
        if path.is_empty() || path.contains('\0') {
            return Err(SourceError::new("a path has at least one character and no NUL"));
        }
        if let Some(rest) = path.strip_prefix("file://") {
            return self.below_root(rest);
        }
        if let Some(rest) = path.strip_prefix("extras://") {
            return self.installed(rest);
        }
        if let Some(id) = path.strip_prefix("file:") {
            return self.virtual_file(id);
        }
        if path.starts_with("./") || path.starts_with("../") {
            return self.relative(path, from);
        }
        match self.virtual_file(path) {
            Err(error) if error.missing && self.command_line && Origin::of(from) == Origin::Disk => {
                let near = parent(from).join(path);
                disk(&near).map_err(|other| match other.missing {
                    true => SourceError::missing(format!("{error}, and no {}", near.display())),
                    false => other,
                })
            }
            found => found,
        }
    }

    /// [`Sources::find`], and what is in it, at most `max_bytes`.
    ///
    /// # Errors
    /// As [`Sources::find`]; the file cannot be read, or is longer.
    pub fn read(&self, path: &str, from: &str, max_bytes: usize) -> Result<(String, Arc<[u8]>), SourceError> {
        let found = self.find(path, from)?;
        let bytes =
            found.content.read(max_bytes).map_err(|error| SourceError::new(format!("{path}: {error}")))?;
        Ok((found.name, bytes))
    }

    fn virtual_file(&self, id: &str) -> Result<Found, SourceError> {
        for name in [id.to_owned(), format!("{}/{MAIN}", id.trim_end_matches('/'))] {
            if let Some(bytes) = self.virtual_files.get(&name) {
                return Ok(Found { name: format!("file:{name}"), content: Content::Bytes(bytes.clone()) });
            }
        }
        Err(SourceError::missing(format!("there is no file \"{id}\" in scripting.files")))
    }

    fn below_root(&self, path: &str) -> Result<Found, SourceError> {
        let found = match &self.root {
            Some(root) => in_root(root, path, "file://"),
            None => Err(SourceError::missing(format!(
                "file://{path} cannot be reached: there is no scripting.rootpath"
            ))),
        };
        match found {
            Err(error) if error.missing => self.virtual_file(path).map_err(|_| error),
            found => found,
        }
    }

    fn installed(&self, path: &str) -> Result<Found, SourceError> {
        let absent = || {
            let why = crate::extras::why_absent(path).map_or(String::new(), |why| format!("; {why}"));
            SourceError::missing(format!(
                "the module extras://{path} is not installed ({EXTRAS}/{path}){why}"
            ))
        };
        match &self.extras {
            Some(root) => {
                in_root(root, path, "extras:").map_err(|error| if error.missing { absent() } else { error })
            }
            None => Err(absent()),
        }
    }

    fn relative(&self, path: &str, from: &str) -> Result<Found, SourceError> {
        let outside = || SourceError::new(format!("\"{path}\" leads out of where \"{from}\" is"));
        match Origin::of(from) {
            Origin::Virtual(id) => self.virtual_file(&join(id, path).ok_or_else(outside)?),
            Origin::Root(at) => self.below_root(&join(at, path).ok_or_else(outside)?),
            Origin::Extras(at) => self.installed(&join(at, path).ok_or_else(outside)?),
            Origin::Disk if self.command_line => disk(&parent(from).join(path)),
            // A hook has no place of its own: it is beside the virtual files.
            Origin::Disk => self.virtual_file(&join("", path).ok_or_else(outside)?),
        }
    }
}

impl Content {
    /// All of it.
    ///
    /// # Errors
    /// It cannot be read, or is longer than `max_bytes`.
    pub fn read(self, max_bytes: usize) -> io::Result<Arc<[u8]>> {
        let too_long = || io::Error::other(format!("is longer than {max_bytes} bytes"));
        match self {
            Content::Bytes(bytes) if bytes.len() > max_bytes => Err(too_long()),
            Content::Bytes(bytes) => Ok(bytes),
            Content::Disk(file) => {
                let mut bytes = Vec::new();
                file.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
                if bytes.len() > max_bytes { Err(too_long()) } else { Ok(bytes.into()) }
            }
        }
    }
}

/// A file below `root`; its name is `scheme` and its path.
fn in_root(root: &Root, path: &str, scheme: &str) -> Result<Found, SourceError> {
    let failed = |error: io::Error| {
        let message = format!("{scheme}{path}: {}", words(&error));
        if error.kind() == io::ErrorKind::NotFound {
            SourceError::missing(message)
        } else {
            SourceError::new(message)
        }
    };
    let plain = join("", path)
        .ok_or_else(|| SourceError::new(format!("{scheme}{path} leads out of {}", root.path().display())))?;
    let main = || if plain.is_empty() { MAIN.to_owned() } else { format!("{plain}/{MAIN}") };
    let opened = root.find(&plain).or_else(|error| match error.kind() {
        io::ErrorKind::IsADirectory => root.find(&main()),
        _ => Err(error),
    });
    let (file, real) = opened.map_err(failed)?;
    Ok(Found { name: format!("{scheme}{real}"), content: Content::Disk(file) })
}

/// The words of strerror alone, as people know them.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A file of the command line.
fn disk(path: &Path) -> Result<Found, SourceError> {
    let open = |path: PathBuf| {
        let file = root::open_regular(&path)?;
        Ok(Found { name: path::tidy(&path), content: Content::Disk(file) })
    };
    let opened = open(path.to_owned()).or_else(|error: io::Error| match error.kind() {
        io::ErrorKind::IsADirectory => open(path.join(MAIN)),
        _ => Err(error),
    });
    opened.map_err(|error| {
        let message = format!("{}: {}", path.display(), words(&error));
        if error.kind() == io::ErrorKind::NotFound {
            SourceError::missing(message)
        } else {
            SourceError::new(message)
        }
    })
}

#[cfg(test)]
mod tests;
