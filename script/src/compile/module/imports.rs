//! Imports: modules and data, and the names that they bring into a file.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Expr, Import, ImportKind, Name, Statement, StatementKind};

use super::super::analyze::Variables;
use super::super::include::global_names;
use super::super::program::ModuleDef;
use super::super::scope::{Callee, Exports, FileScope, FileVariable, Scope};
use super::{Compiler, Module};

impl Compiler<'_> {
    /// The imports of a file, loaded and compiled.
    pub(super) fn imports<'a>(&mut self, statements: &'a [Statement]) -> Vec<(&'a Import, Option<usize>)> {
        let mut found = Vec::new();
        super::super::analyze::for_each_statement(statements, &mut |statement| {
            if let StatementKind::Import(import) = &statement.kind {
                found.push(import);
            }
        });
        let with_modules = found.into_iter().map(|import| {
            let module = match &import.kind {
                ImportKind::Data { options, .. } => {
                    self.import_data(import, options.as_ref());
                    None
                }
                _ => self.import_module(import),
            };
            (import, module)
        });
        with_modules.collect()
    }

    pub(super) fn import_module(&mut self, import: &Import) -> Option<usize> {
        let span = import.path.span;
        let from = self.known.sources.get(span.file).name.clone();
        let text = self.load(&import.path.text, &from, span)?;
        if let Some(module) = self.known.module_index.get(&text.name) {
            self.imported.insert(span, *module);
            return Some(*module);
        }
        if self.in_progress.contains(&text.name) {
            let chain = self.in_progress.join(" -> ");
            self.error(span, format!("\"{}\" imports itself: {chain} -> {}", import.path.text, text.name));
            return None;
        }
        if !self.room_for(self.in_progress.len(), &text, span) {
            return None;
        }
        let name = text.name.clone();
        self.in_progress.push(name.clone());
        let script = self.source(text, None);
        let compiled = script.map(|script| self.file(script, &name, false));
        self.in_progress.pop();
        let (main, mut exports) = compiled?;
        for class in self.library.classes_of(&import.path.text) {
            exports.functions.entry(class.name.into()).or_insert(Callee::NativeClass(class));
        }
        let module = self.known.modules.len();
        self.known.modules.push(Module { exports });
        self.known.module_defs.push(ModuleDef { main });
        self.known.module_index.insert(name, module);
        self.imported.insert(span, module);
        Some(module)
    }

    pub(super) fn import_data(&mut self, import: &Import, options: Option<&Expr>) {
        let span = import.path.span;
        let (loader, path) = match import.path.text.split_once('!') {
            Some((loader, path)) => (loader, path),
            None => {
                let name = import.path.text.rsplit('/').next().unwrap_or_default();
                (name.rsplit_once('.').map_or("", |(_, extension)| extension), import.path.text.as_ref())
            }
        };
        let Some(decode) = self.library.loader(loader) else {
            let known: Vec<&str> = self.library.loaders().collect();
            let message =
                format!("data of type \"{loader}\" cannot be imported; known are {}", known.join(", "));
            return self.error(span, message);
        };
        let options = match options.map(|options| (self.fold(options), options.span)) {
            None => Some(crate::value::Array::new()),
            Some((Some(super::super::program::Constant::Value(value)), _)) => {
                crate::value::Value::from_frozen(&value).as_array().cloned()
            }
            Some((_, span)) => {
                self.error(span, "the options of an import have to be constant");
                None
            }
        };
        let from = self.known.sources.get(span.file).name.clone();
        let (Some(text), Some(options)) = (self.load(path, &from, span), options) else { return };
        if !self.known.files.contains(&text.name) {
            self.known.files.push(text.name.clone());
        }
        match decode(&text.bytes, &options) {
            Ok(value) => {
                self.data.insert(span, value);
            }
            Err(fault) => self.error(span, format!("cannot import \"{path}\": {fault}")),
        }
    }

    /// The shared variables of a file and the names that it imports.
    pub(super) fn file_scope(
        &mut self,
        statements: &[Statement],
        imports: &[(&Import, Option<usize>)],
    ) -> (FileScope, Exports, Scope) {
        let (mut file, mut exports, mut scope) = (FileScope::default(), Exports::default(), Scope::default());
        let in_session = self.is_main && self.is_session;
        if in_session {
            let (names, wildcards) = (self.known.functions.clone(), self.known.wildcards.clone());
            scope.parent = Some(Rc::new(Scope { names, wildcards, parent: None }));
        }
        for (import, module) in imports {
            let Some(module) = module else {
                if let ImportKind::Symbols(symbols) = &import.kind {
                    self.missing.extend(symbols.iter().map(|(_, here)| here.name.text.clone()));
                }
                continue;
            };
            match &import.kind {
                ImportKind::Symbols(symbols) => {
                    for (there, here) in symbols {
                        self.import_symbol(
                            *module,
                            there.variable,
                            &there.name,
                            &here.name,
                            &mut file,
                            &mut scope,
                        );
                    }
                }
                ImportKind::Wildcard(name) => {
                    if scope.wildcards.insert(name.text.clone(), *module).is_some() {
                        self.error(name.span, format!("{} is imported twice", name.text));
                    }
                }
                ImportKind::Data { .. } => {}
            }
        }
        self.check_imported_variables(statements, imports);
        exports.functions.extend(scope.names.iter().map(|(name, callee)| (name.clone(), *callee)));
        // What functions say `global` to; in a module everything, because importers may ask for it.
        let mut names = global_names(statements);
        if !self.is_main || in_session {
            names.extend(Variables::of([], &[], statements).list.into_iter().map(|variable| variable.name));
        } else {
            // What the host may ask for at the end outlives the registers.
            names.extend(self.writable_inputs(statements));
        }
        if in_session {
            for (name, variable) in &self.known.variables {
                file.variables.entry(name.clone()).or_insert(*variable);
            }
        }
        for name in names {
            let read_only = self.is_read_only(&name);
            file.variables
                .entry(name)
                .or_insert_with(|| FileVariable { global: self.global(None), read_only });
        }
        exports
            .variables
            .extend(file.variables.iter().map(|(name, variable)| (name.clone(), variable.global)));
        (file, exports, scope)
    }

    /// Reports the variables that the file has used before it imports others under their names.
    fn check_imported_variables(&mut self, statements: &[Statement], imports: &[(&Import, Option<usize>)]) {
        let has_variables = |(import, _): &(&Import, Option<usize>)| match &import.kind {
            ImportKind::Symbols(symbols) => symbols.iter().any(|(_, here)| here.variable),
            ImportKind::Wildcard(_) | ImportKind::Data { .. } => false,
        };
        if !imports.iter().any(has_variables) {
            return;
        }
        let mut used: HashSet<Arc<str>> = HashSet::new();
        for statement in statements {
            let StatementKind::Import(Import { kind: ImportKind::Symbols(symbols), .. }) = &statement.kind
            else {
                let variables = Variables::of([], &[], std::slice::from_ref(statement));
                used.extend(variables.list.into_iter().map(|variable| variable.name));
                continue;
            };
            for (there, here) in symbols.iter().filter(|(_, here)| here.variable) {
                if used.contains(&here.name.text) {
                    let name = &here.name.text;
                    let found =
                        Diagnostic::error(here.name.span, format!("${name} is used before it is imported"));
                    self.report(found.with_help(format!("rename one of them: ${} as ...", there.name.text)));
                }
            }
        }
    }

    pub(super) fn import_symbol(
        &mut self,
        module: usize,
        variable: bool,
        there: &Name,
        here: &Name,
        file: &mut FileScope,
        scope: &mut Scope,
    ) {
        let exports = &self.known.modules[module].exports;
        let sign = if variable { "$" } else { "" };
        let clash = if variable {
            let Some(global) = exports.variables.get(&there.text).copied() else {
                return self.error(there.span, format!("the module has no ${}", there.text));
            };
            file.variables.insert(here.text.clone(), FileVariable { global, read_only: false }).is_some()
        } else {
            let Some(callee) = exports.functions.get(&there.text).copied() else {
                // A module with errors may lack what it would have without them.
                if !self.missing.insert(here.text.clone()) || self.has_errors() {
                    return;
                }
                return self.error(there.span, format!("the module has no function or class {}", there.text));
            };
            scope.names.insert(here.text.clone(), callee).is_some()
        };
        if clash {
            let help = format!("rename one of them: {sign}{} as ...", there.text);
            self.report(
                Diagnostic::error(here.span, format!("{sign}{} is imported twice", here.text))
                    .with_help(help),
            );
        }
    }
}
