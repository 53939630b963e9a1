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
pub use options::{is_known, names_with_options, options_of};

use std::collections::HashSet;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::native::Library;
use crate::source::SourceMap;
use crate::syntax::ast::{Script, StatementKind};
use crate::syntax::{Names, parse};

/// What is known about a script besides its text.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What it can call.
    pub library: &'a Library,
    /// Variables that exist before it runs, without `$`. `None` if they are not known, as for a file that others include.
    pub predefined: Option<&'a [&'a str]>,
    /// The hook that it is for. `None`: any, or none.
    pub hook: Option<&'a str>,
}

/// Warnings about a program that compiles, file by file: its main script, which is the first of the sources, and those that
/// it includes and imports. Modules of the library and installed ones are their makers' business.
pub fn lint(sources: &SourceMap, surroundings: Surroundings<'_>) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    let ids = sources.ids().filter(|id| {
        let name = &*sources.get(*id).name;
        !name.starts_with("extras:") && seen.insert(name)
    });
    let scripts: Vec<Script> = ids.map(|id| parse(sources, id, &mut Names::default()).script).collect();
    // A file that is included calls what the other files of the program define.
    let own: HashSet<Arc<str>> = scripts.iter().flat_map(own_names).collect();
    let mut findings = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        let predefined = surroundings.predefined.filter(|_| index == 0);
        file(script, &own, Surroundings { predefined, ..surroundings }, &mut findings);
    }
    findings
}

/// Warnings about one file, in the order of the source.
fn file(
    script: &Script,
    own: &HashSet<Arc<str>>,
    surroundings: Surroundings<'_>,
    findings: &mut Vec<Diagnostic>,
) {
    let first = findings.len();
    variables::check(script, surroundings, findings);
    flow::check(script, surroundings.library, own, findings);
    duplicates::check(script, findings);
    options::check(script, surroundings, own, findings);
    resends::check(script, surroundings.library, own, findings);
    findings[first..].sort_by_key(|finding| finding.span.start);
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
