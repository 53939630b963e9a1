//! What went wrong in a file, and where.

use std::fmt;

/// The text of one file and the name that errors give it.
///
/// The names are those of the documented tools, with underscores: `smtpd`, `smtpd_app`, `smtpd_suspend`, …
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The name that stands in front of each error.
    pub name: &'a str,
    /// The YAML text.
    pub text: &'a str,
}

/// Looks up an environment variable.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// How to read a file.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Looks up environment variables for `!Env` tags. `None`: the program was started without
    /// `--config-env-substitution`, and a tag is an error that says so.
    pub env: Option<&'a Env<'a>>,
    /// For what the files are read.
    pub scope: Scope,
}

/// For what the files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// To run the server: every key counts.
    #[default]
    Server,
    /// To run scripts without a server: only `scripting`, `pki`, `resolver` and `environment` count, and of the others
    /// only their names are looked at. `version` may be missing, nothing is said about what the server does not do
    /// yet, and the running file may have the private key `__entrypoint`.
    Scripts,
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("env", &self.env.is_some()).field("scope", &self.scope).finish()
    }
}

/// A file that was read without errors.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The typed content.
    pub value: T,
    /// What the operator should know: keys that have no effect, settings that are probably not meant.
    pub warnings: Vec<Error>,
}

/// One problem in one place. Warnings have the same form.
///
/// Displayed as `<source>:<line>:<column>: <path>: <text>; <hint>`, on one line. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Name of the file, as in [`Source::name`].
    pub source: String,
    /// Line in the file, from 1. 0: the problem is not in a line (the file could not be read).
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Key path such as `servers[0].transport`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
