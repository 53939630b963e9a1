//! What can hardly be meant: findings about scripts that compile.
//!
//! All of them are warnings, and each is about something that is certain where it is reached, as far as one file shows.

mod duplicates;
mod flow;
mod options;
mod resends;
#[cfg(test)]
mod tests;
mod variables;
mod visit;

pub(crate) use options::is_option;
pub use options::{names_with_options, options_of};

use std::collections::HashSet;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::native::Library;
use crate::syntax::ast::{Script, StatementKind};

/// What is known about a script besides its text.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What it can call.
    pub library: &'a Library,
    /// Variables that exist before it runs, without `$`. `None` if they are not known, as for a file that others include.
    pub predefined: Option<&'a [&'a str]>,
}

/// Warnings about one file, in the order of the source.
pub fn lint(script: &Script, surroundings: Surroundings<'_>) -> Vec<Diagnostic> {
    let own = own_names(script);
    let mut findings = Vec::new();
    variables::check(script, surroundings, &mut findings);
    flow::check(script, surroundings.library, &own, &mut findings);
    duplicates::check(script, &mut findings);
    options::check(script, surroundings.library, &own, &mut findings);
    resends::check(script, surroundings.library, &own, &mut findings);
    findings.sort_by_key(|finding| finding.span.start);
    findings
}

/// Names of functions and classes that hide those of the library.
fn own_names(script: &Script) -> HashSet<Arc<str>> {
    let mut names = HashSet::new();
    for statement in &script.statements {
        match &statement.kind {
            StatementKind::Function(function) => {
                names.extend(function.name.iter().map(|name| name.text.clone()))
            }
            StatementKind::Class(class) => {
                names.insert(class.name.text.clone());
            }
            StatementKind::Import(import) => {
                if let crate::syntax::ast::ImportKind::Symbols(symbols) = &import.kind {
                    names.extend(symbols.iter().map(|(_, here)| here.name.text.clone()));
                }
            }
            _ => {}
        }
    }
    names
}
