//! Names of functions and classes, and the scopes they are known in.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::native::{Native, NativeClass};
use crate::syntax::ast::Parameters;

/// What a bare name means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Callee {
    Function(u32),
    Class(u32),
    Native(&'static Native),
    NativeClass(&'static NativeClass),
}

/// The functions and classes of a file or a function, and what is around it.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) names: HashMap<Arc<str>, Callee>,
    /// `import * as name`
    pub(super) wildcards: HashMap<Arc<str>, usize>,
    pub(super) parent: Option<Rc<Scope>>,
}

impl Scope {
    /// What the name means here.
    pub(super) fn find(&self, name: &str) -> Option<Callee> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(callee) = here.names.get(name) {
                return Some(*callee);
            }
            scope = here.parent.as_deref();
        }
        None
    }

    /// The module behind a wildcard import.
    pub(super) fn module(&self, name: &str) -> Option<usize> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(module) = here.wildcards.get(name) {
                return Some(*module);
            }
            scope = here.parent.as_deref();
        }
        None
    }
}

/// How a function may be called.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub(super) name: Arc<str>,
    pub(super) min: usize,
    /// `None` for any number.
    pub(super) max: Option<usize>,
}

impl Signature {
    pub(super) fn new(name: Arc<str>, parameters: &Parameters) -> Signature {
        let min = parameters.list.iter().take_while(|parameter| parameter.default.is_none()).count();
        let max = parameters.rest.is_none().then_some(parameters.list.len());
        Signature { name, min, max }
    }

    /// What is wrong with this number of arguments.
    pub(super) fn check(&self, given: usize) -> Result<(), String> {
        if given >= self.min && self.max.is_none_or(|max| given <= max) {
            return Ok(());
        }
        Err(arity_message(&self.name, self.min, self.max, given))
    }
}

/// As the natives word it.
pub(crate) fn arity_message(name: &str, min: usize, max: Option<usize>, given: usize) -> String {
    let expected = match max {
        Some(max) if min == max => format!("{min}"),
        Some(max) => format!("{min} to {max}"),
        None => format!("at least {min}"),
    };
    format!("{name}() takes {expected} argument(s), not {given}")
}

/// What a finished module offers to importers.
#[derive(Clone, Debug, Default)]
pub(super) struct Exports {
    pub(super) functions: HashMap<Arc<str>, Callee>,
    /// Variables as numbers of globals.
    pub(super) variables: HashMap<Arc<str>, u32>,
}

/// A variable of a file, as functions that say `global` see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileVariable {
    pub(super) global: u32,
    pub(super) read_only: bool,
}

/// What the functions of one file share.
#[derive(Debug, Default)]
pub(super) struct FileScope {
    pub(super) variables: HashMap<Arc<str>, FileVariable>,
}
