//! Why a script ended against its will, and where.

use std::fmt;
use std::rc::Rc;

use crate::fault::Limit;
use crate::source::{SourceMap, Span};
use crate::value::Value;

/// An error that nobody caught.
#[derive(Debug)]
pub struct ScriptError {
    /// What happened, in one line.
    pub message: String,
    /// What was thrown, if a script threw it.
    pub value: Option<Value>,
    /// The limit that was exceeded.
    pub limit: Option<Limit>,
    /// Where it was raised; `None` before the first instruction.
    pub position: Option<Place>,
    /// The calls that led there, innermost first; the first is where it was raised.
    pub stack: Vec<StackEntry>,
    /// The `include` statements that lead to the source of the error, innermost first.
    pub includes: Vec<Place>,
}

/// A place in a source.
#[derive(Clone, Debug)]
pub struct Place {
    /// The name of the source.
    pub file: Rc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The range, for showing it.
    pub span: Span,
}

/// One call.
#[derive(Clone, Debug)]
pub struct StackEntry {
    /// The function, or the name of the source for its top level.
    pub function: String,
    /// Where in it.
    pub place: Place,
}

impl Place {
    pub(super) fn new(sources: &SourceMap, span: Span) -> Place {
        let position = sources.position(span);
        let file = Rc::from(sources.get(span.file).name.as_ref());
        Place { file, line: position.line, column: position.column, span }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        f.write_str(&self.message)
    }
}
