//! What is wrong with a script, and where.
//!
//! A finding [renders](Diagnostic::render) for people:
//!
//! ```text
//! main:2:6: error: expected an expression, found `;`
//!    2 | $x = ;
//!      |      ^
//! ```
//!
//! and [tells its places](Diagnostic::place) to programs.

mod closest;
mod excerpt;

pub use closest::closest;
pub use excerpt::excerpt;

use std::fmt::Write;

use crate::source::{Position, SourceMap, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The script does not compile.
    Error,
    /// The script compiles; something in it can hardly be meant.
    Warning,
}

/// One finding about a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// The guilty part of the source.
    pub span: Span,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that explain it, such as the first of two declarations.
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span, help: None, related: Vec::new() }
    }

    /// A warning.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with another place that explains it.
    #[must_use]
    pub fn with_related(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related.push((span, message.into()));
        self
    }

    /// Whether the script does not compile because of this.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// `file:line:column: error: message`, one line.
    pub fn headline(&self, sources: &SourceMap) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{}: {severity}: {}", sources.describe(self.span), self.message)
    }

    /// All of it for people, with the source line, over several lines each with its line feed.
    pub fn render(&self, sources: &SourceMap) -> String {
        let mut text = format!("{}\n{}", self.headline(sources), excerpt(sources, self.span));
        for (span, message) in &self.related {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}: note: {message}", sources.describe(*span));
            text.push_str(&excerpt(sources, *span));
        }
        if let Some(help) = &self.help {
            let _ = writeln!(text, "  help: {help}");
        }
        for span in sources.include_chain(self.span.file) {
            let _ = writeln!(text, "  included from {}", sources.describe(span));
        }
        text
    }

    /// Where it is.
    pub fn place(&self, sources: &SourceMap) -> Place {
        Place::of(sources, self.span)
    }

    /// Where the includes stand that lead to it, innermost first.
    pub fn include_path(&self, sources: &SourceMap) -> Vec<Place> {
        sources.include_chain(self.span.file).map(|span| Place::of(sources, span)).collect()
    }
}

/// A place for programs to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// First character.
    pub start: Position,
    /// After the last character.
    pub end: Position,
}

impl Place {
    /// The place of a span.
    pub fn of(sources: &SourceMap, span: Span) -> Self {
        let file = sources.get(span.file);
        Self { file: file.name.to_string(), start: file.position(span.start), end: file.position(span.end) }
    }
}
