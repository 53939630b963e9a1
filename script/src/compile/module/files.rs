//! Files: read, with their inclusions in place, and compiled.

use std::rc::Rc;
use std::sync::Arc;

use crate::source::{FileId, Span};
use crate::syntax;
use crate::syntax::ast::{Block, Parameters, Script, Statement, StatementKind};

use super::super::emit::{self, Job, JobKind};
use super::super::include::for_each_include;
use super::super::scope::Exports;
use super::super::{LoadError, SourceText};
use super::{Compiler, declarations};

/// Modules may import modules, and files include files, this deep.
const MAX_SOURCE_DEPTH: usize = 50;
/// Inclusions and modules of one program.
const MAX_SOURCES: usize = 5000;
/// Bytes of all of them: an included file counts each time.
const MAX_PROGRAM_BYTES: usize = 64 << 20;

impl Compiler<'_> {
    /// Parses a source and puts the statements of its inclusions in their place.
    pub(super) fn source(&mut self, text: SourceText, included_from: Option<Span>) -> Option<Script> {
        self.known.files.push(text.name.clone());
        self.bytes += text.bytes.len();
        let file = self.known.sources.add(&text.name, &text.bytes, included_from);
        let mut script = self.parse(file)?;
        let mut once = vec![text.name.clone()];
        self.expand(&mut script, &mut vec![text.name], &mut once);
        Some(script)
    }

    pub(super) fn parse(&mut self, file: FileId) -> Option<Script> {
        let parsed = syntax::parse(&self.known.sources, file, &mut self.known.names);
        let failed = parsed.has_errors();
        parsed.diagnostics.into_iter().for_each(|diagnostic| self.report(diagnostic));
        (!failed).then_some(parsed.script)
    }

    /// Replaces `include` by the statements of the file. `chain` are the files around, `once` those included so far.
    pub(super) fn expand(&mut self, script: &mut Script, chain: &mut Vec<String>, once: &mut Vec<String>) {
        for_each_include(&mut script.statements, &mut |statement| self.expand_one(statement, chain, once));
    }

    fn expand_one(&mut self, statement: &mut Statement, chain: &mut Vec<String>, once: &mut Vec<String>) {
        let StatementKind::Include { path, once: only_once } = &statement.kind else { return };
        let (span, only_once, path) = (path.span, *only_once, path.text.clone());
        let from = self.known.sources.get(span.file).name.clone();
        let Some(text) = self.load(&path, &from, span) else { return };
        if only_once && once.contains(&text.name) {
            statement.kind = StatementKind::Empty;
            return;
        }
        if chain.contains(&text.name) {
            return self
                .error(span, format!("\"{path}\" includes itself: {} -> {}", chain.join(" -> "), text.name));
        }
        if !self.room_for(chain.len(), &text, span) {
            return;
        }
        if !once.contains(&text.name) {
            once.push(text.name.clone());
        }
        if !self.known.files.contains(&text.name) {
            self.known.files.push(text.name.clone());
        }
        let file = self.known.sources.add(&text.name, &text.bytes, Some(span));
        let Some(mut script) = self.parse(file) else { return };
        chain.push(text.name);
        self.expand(&mut script, chain, once);
        chain.pop();
        let block = Block { statements: script.statements, span: statement.span };
        statement.kind = StatementKind::Block(block);
    }

    pub(super) fn room_for(&mut self, depth: usize, text: &SourceText, span: Span) -> bool {
        self.bytes += text.bytes.len();
        if depth >= MAX_SOURCE_DEPTH {
            self.error(
                span,
                format!("files may include and import each other at most {MAX_SOURCE_DEPTH} deep"),
            );
        } else if self.known.sources.files().len() >= MAX_SOURCES {
            self.error(span, format!("a program has at most {MAX_SOURCES} inclusions and modules"));
        } else if self.bytes > MAX_PROGRAM_BYTES {
            self.error(span, format!("the sources of a program exceed {MAX_PROGRAM_BYTES} bytes"));
        } else {
            return true;
        }
        false
    }

    pub(super) fn load(&mut self, path: &str, from: &str, span: Span) -> Option<SourceText> {
        if let Some(source) = self.library.module_source(path) {
            return Some(SourceText { name: path.to_owned(), bytes: source.as_bytes().to_vec() });
        }
        match self.loader.load(path, from) {
            Ok(text) => Some(text),
            Err(LoadError(reason)) => {
                self.error(span, format!("cannot load \"{path}\": {reason}"));
                None
            }
        }
    }

    /// Compiles the statements of a main script or a module. Returns its function and what it exports.
    pub(super) fn file(&mut self, script: Script, name: &str, is_main: bool) -> (u32, Exports) {
        let imports = self.imports(&script.statements);
        let was_main = std::mem::replace(&mut self.is_main, is_main);
        let (file, mut exports, scope) = self.file_scope(&script.statements, &imports);
        let wildcards = scope.wildcards.clone();
        let id = self.reserve(Arc::from(name), &Parameters::default(), Span::default());
        let mut jobs = Vec::new();
        let declared = declarations(&script.statements);
        let scope = Rc::new(self.declare(&declared, Some(Rc::new(scope)), None));
        self.queue_declared(&declared, &scope, None, &mut jobs);
        let statements = &script.statements;
        jobs.push(Job {
            id,
            kind: JobKind::File { statements, name: Arc::from(name) },
            scope: scope.clone(),
            class: None,
        });
        while let Some(job) = jobs.pop() {
            let id = job.id;
            let proto = emit::compile(self, &file, job, &mut jobs);
            self.known.protos[id as usize] = Some(Arc::new(proto));
        }
        exports.functions.extend(scope.names.iter().map(|(name, callee)| (name.clone(), *callee)));
        if is_main && self.is_session {
            self.known
                .functions
                .extend(exports.functions.iter().map(|(name, callee)| (name.clone(), *callee)));
            self.known.wildcards.extend(wildcards);
            self.known
                .variables
                .extend(file.variables.iter().map(|(name, variable)| (name.clone(), *variable)));
        }
        self.is_main = was_main;
        (id, exports)
    }
}
