//! Collects what is wrong with one file.

use crate::limits::{MAX_QUOTED_CHARS, MAX_REPORTED};
use crate::yaml::Position;
use crate::{Error, Loaded};

/// The errors and warnings of one file, as they are found.
pub(crate) struct Report {
    source: String,
    errors: Vec<Error>,
    warnings: Vec<Error>,
    dropped: usize,
}

/// Text of a problem and what to do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    text: String,
    hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Problem {
        Problem { text: text.into(), hint: None }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

/// Text and advice in one line.
impl From<Problem> for String {
    fn from(problem: Problem) -> String {
        match problem.hint {
            Some(hint) => format!("{}: {hint}", problem.text),
            None => problem.text,
        }
    }
}

impl Report {
    pub(crate) fn new(source: &str) -> Report {
        Report { source: source.to_owned(), errors: Vec::new(), warnings: Vec::new(), dropped: 0 }
    }

    pub(crate) fn error(&mut self, at: Position, path: &str, problem: Problem) {
        if self.errors.len() == MAX_REPORTED {
            self.dropped += 1;
            return;
        }
        let error = self.entry(at, path, problem);
        self.errors.push(error);
    }

    pub(crate) fn warning(&mut self, at: Position, path: &str, problem: Problem) {
        if self.warnings.len() < MAX_REPORTED {
            let warning = self.entry(at, path, problem);
            self.warnings.push(warning);
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The errors in file order, or the warnings in file order when there are none.
    fn finish(mut self) -> Result<Vec<Error>, Vec<Error>> {
        let place = |error: &Error| (error.line, error.column);
        if self.errors.is_empty() {
            self.warnings.sort_by_key(place);
            return Ok(self.warnings);
        }
        self.errors.sort_by_key(place);
        if self.dropped > 0 {
            self.errors.push(Error {
                source: self.source,
                line: 0,
                column: 0,
                path: String::new(),
                text: format!("{} more errors are not shown", self.dropped),
                hint: None,
            });
        }
        Err(self.errors)
    }

    /// The outcome of loading a file: the value, which is there when there are no errors.
    pub(crate) fn loaded<T>(self, value: Option<T>) -> Result<Loaded<T>, Vec<Error>> {
        let warnings = self.finish()?;
        let value = value.expect("a file without errors has a value");
        Ok(Loaded { value, warnings })
    }

    fn entry(&self, at: Position, path: &str, problem: Problem) -> Error {
        Error {
            source: self.source.clone(),
            line: at.line,
            column: at.column,
            path: path.to_owned(),
            text: problem.text,
            hint: problem.hint,
        }
    }
}

/// The way to a key, as it is printed: `servers[0].listeners[1].port`. Keys that are not ours are cut where they are long, and
/// stay on one line.
#[derive(Default)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Runs `f` with `key` appended.
    pub(crate) fn with_key<T>(&mut self, key: &str, f: impl FnOnce(&mut Path) -> T) -> T {
        let length = self.0.len();
        if length > 0 {
            self.0.push('.');
        }
        for char in key.chars().take(MAX_QUOTED_CHARS) {
            if char.is_control() {
                self.0.extend(char.escape_debug());
            } else {
                self.0.push(char);
            }
        }
        if key.chars().nth(MAX_QUOTED_CHARS).is_some() {
            self.0.push('…');
        }
        let result = f(self);
        self.0.truncate(length);
        result
    }

    /// Runs `f` with `[index]` appended.
    pub(crate) fn with_index<T>(&mut self, index: usize, f: impl FnOnce(&mut Path) -> T) -> T {
        let length = self.0.len();
        self.0.push_str(&format!("[{index}]"));
        let result = f(self);
        self.0.truncate(length);
        result
    }
}
