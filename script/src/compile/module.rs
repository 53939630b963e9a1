//! The whole program, and the order in which its files are compiled.

mod files;
mod imports;
mod names;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::native::{Library, Native};
use crate::source::{SourceMap, Span};
use crate::syntax::Names;
use crate::syntax::ast::{ExprKind, Script, Statement, StatementKind};
use crate::value::Frozen;

use super::analyze::Variables;
use super::program::{ClassDef, GlobalDef, Input, ModuleDef, Program, Proto};
use super::reads::{self, Reads};
use super::scope::{Callee, Exports, FileVariable, Signature};
use super::{BreakPoints, CompileOptions, Compiled, Diagnostics, Loader, SourceText};

/// What is known of a module while the program is compiled.
#[derive(Clone)]
struct Module {
    exports: Exports,
}

/// What a program consists of so far: a session adds to it with every input.
#[derive(Clone, Default)]
pub(crate) struct Known {
    pub(crate) sources: SourceMap,
    names: Names,
    protos: Vec<Option<Arc<Proto>>>,
    signatures: Vec<Signature>,
    classes: Vec<Arc<ClassDef>>,
    class_signatures: Vec<Signature>,
    natives: Vec<&'static Native>,
    native_index: HashMap<usize, u16>,
    globals: Vec<GlobalDef>,
    modules: Vec<Module>,
    module_defs: Vec<ModuleDef>,
    /// Finished modules by the name of their source.
    module_index: HashMap<String, usize>,
    inputs: HashMap<String, Input>,
    reads: HashMap<String, Reads>,
    files: Vec<String>,
    /// Functions, classes, wildcard imports and variables of the inputs of a session.
    functions: HashMap<Arc<str>, Callee>,
    wildcards: HashMap<Arc<str>, usize>,
    variables: HashMap<Arc<str>, FileVariable>,
    /// Texts of constants: equal ones share their bytes, so that comparing them at run time is quick.
    texts: HashSet<Arc<[u8]>>,
}

/// Compiles one program.
pub(super) struct Compiler<'c> {
    loader: &'c mut dyn Loader,
    library: Arc<Library>,
    options: CompileOptions,
    known: Known,
    diagnostics: Vec<Diagnostic>,
    /// Sources that are being compiled, outermost first.
    in_progress: Vec<String>,
    /// Modules and data by the place of their import.
    imported: HashMap<Span, usize>,
    data: HashMap<Span, Frozen>,
    bytes: usize,
    /// Names of functions that an import did not bring: that is reported once, with the import.
    missing: HashSet<Arc<str>>,
    /// Whether the file being compiled is the main script.
    is_main: bool,
    /// Whether the main script is an input of a session, whose variables outlive it.
    is_session: bool,
}

/// What a session gets for an input.
pub(crate) struct SessionProgram {
    pub(crate) known: Known,
    pub(crate) program: Arc<Program>,
    /// Whether the input ends in an expression, whose value is the result of running it.
    pub(crate) has_value: bool,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl<'c> Compiler<'c> {
    pub(super) fn new(
        loader: &'c mut dyn Loader,
        library: &Arc<Library>,
        options: &CompileOptions,
    ) -> Compiler<'c> {
        Compiler {
            loader,
            library: library.clone(),
            options: options.clone(),
            known: Known::default(),
            diagnostics: Vec::new(),
            in_progress: Vec::new(),
            imported: HashMap::new(),
            data: HashMap::new(),
            bytes: 0,
            missing: HashSet::new(),
            is_main: false,
            is_session: false,
        }
    }

    /// Compiles the main script and everything that it needs.
    pub(super) fn program(mut self, main: SourceText) -> Result<Compiled, Diagnostics> {
        let name = main.name.clone();
        self.in_progress.push(name.clone());
        let mut main_proto = 0;
        if let Some(script) = self.source(main, None) {
            main_proto = self.file(script, &name, true).0;
        }
        if self.has_errors() {
            return Err(self.failed());
        }
        let program = Arc::new(self.known.program(main_proto));
        Ok(Compiled { program, warnings: self.diagnostics })
    }

    /// Compiles an input of a session on top of the earlier ones.
    pub(super) fn input(mut self, known: &Known, input: SourceText) -> Result<SessionProgram, Diagnostics> {
        self.known = known.clone();
        self.is_session = true;
        let name = input.name.clone();
        self.in_progress.push(name.clone());
        let (mut main_proto, mut has_value) = (0, false);
        if let Some(mut script) = self.source(input, None) {
            has_value = return_last(&mut script);
            main_proto = self.file(script, &name, true).0;
        }
        if self.has_errors() {
            return Err(self.failed());
        }
        let program = Arc::new(self.known.program(main_proto));
        Ok(SessionProgram { known: self.known, program, has_value, warnings: self.diagnostics })
    }

    fn failed(self) -> Diagnostics {
        Diagnostics { all: self.diagnostics, sources: Arc::new(self.known.sources) }
    }

    pub(super) fn break_points(&self) -> BreakPoints {
        self.options.break_points
    }

    /// The bytes that all equal constants share.
    pub(super) fn intern(&mut self, text: &Arc<[u8]>) -> Arc<[u8]> {
        if let Some(known) = self.known.texts.get(text) {
            return known.clone();
        }
        self.known.texts.insert(text.clone());
        text.clone()
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(span, message));
    }

    pub(super) fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::warning(span, message));
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        // Folding tries some expressions more than once.
        let known = self
            .diagnostics
            .iter()
            .any(|other| other.span == diagnostic.span && other.message == diagnostic.message);
        if !known && self.diagnostics.len() < crate::limits::MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The variables of the host, if the main script is being compiled.
    pub(super) fn input_names(&self) -> Vec<String> {
        if !self.is_main {
            return Vec::new();
        }
        self.options.predefined.iter().map(|variable| variable.name.clone()).collect()
    }

    /// The variables of the host that the main script may change and mentions.
    fn writable_inputs(&self, statements: &[Statement]) -> Vec<Arc<str>> {
        let is_writable = |name: &str| {
            self.options.predefined.iter().any(|variable| !variable.read_only && variable.name == name)
        };
        if !self.options.predefined.iter().any(|variable| !variable.read_only) {
            return Vec::new();
        }
        let mentioned = Variables::of([], &[], statements).list.into_iter().map(|variable| variable.name);
        mentioned.filter(|name| is_writable(name)).collect()
    }

    pub(super) fn is_read_only(&self, name: &str) -> bool {
        self.is_main
            && self.options.predefined.iter().any(|variable| variable.read_only && variable.name == name)
    }

    /// Notes where a variable of the host lives.
    pub(super) fn place_input(&mut self, name: &str, place: Input) {
        if self.is_main && self.options.predefined.iter().any(|variable| variable.name == name) {
            self.known.inputs.insert(name.to_owned(), place);
        }
    }

    /// Notes what the main script reads of those variables of the host that it may not change and shares with no function.
    pub(super) fn note_reads(&mut self, statements: &[Statement]) {
        if !self.is_main {
            return;
        }
        let own = self.options.predefined.iter().filter(|variable| variable.read_only);
        let own = own.map(|variable| variable.name.as_str());
        let own = own.filter(|name| matches!(self.known.inputs.get(*name), Some(Input::Register(_))));
        self.known.reads = reads::of_variables(own, statements);
    }
}

impl Known {
    fn program(&self, main: u32) -> Program {
        let protos = self
            .protos
            .iter()
            .map(|proto| proto.clone().expect("every function that was declared is compiled"));
        Program {
            protos: protos.collect(),
            classes: self.classes.clone(),
            natives: self.natives.clone(),
            modules: self.module_defs.clone(),
            globals: self.globals.clone(),
            main,
            inputs: self.inputs.clone(),
            reads: self.reads.clone(),
            sources: Arc::new(self.sources.clone()),
            files: self.files.clone(),
        }
    }
}

/// Makes the value of a last expression the result of the script; assignments have none.
fn return_last(script: &mut Script) -> bool {
    let Some(statement) = script.statements.last_mut() else { return false };
    match std::mem::replace(&mut statement.kind, StatementKind::Empty) {
        StatementKind::Expression(expr)
            if !matches!(
                expr.kind,
                ExprKind::Assign { .. }
                    | ExprKind::Destructure { .. }
                    | ExprKind::Step { .. }
                    | ExprKind::Unset(_)
            ) =>
        {
            statement.kind = StatementKind::Return(Some(expr));
            true
        }
        kind => {
            statement.kind = kind;
            false
        }
    }
}

/// Functions and classes among the statements, not those within functions.
pub(super) fn declarations(statements: &[Statement]) -> Vec<&Statement> {
    let mut found = Vec::new();
    super::analyze::for_each_statement(statements, &mut |statement| {
        if matches!(statement.kind, StatementKind::Function(_) | StatementKind::Class(_)) {
            found.push(statement);
        }
    });
    found
}
