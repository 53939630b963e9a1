//! The whole program: files, inclusions, imports, and the order in which they are compiled.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, closest};
use crate::native::{Library, Native};
use crate::source::{FileId, SourceMap, Span};
use crate::syntax::ast::{
    Block, Expr, ExprKind, Import, ImportKind, Name, Parameters, Script, Statement, StatementKind,
};
use crate::syntax::{self, Names};
use crate::value::Frozen;

use super::analyze::Variables;
use super::emit::{self, Job, JobKind};
use super::include::{for_each_include, global_names};
use super::program::{ClassDef, GlobalDef, Input, ModuleDef, Program, Proto};
use super::scope::{Callee, Exports, FileScope, FileVariable, Scope, Signature};
use super::{CompileOptions, Compiled, Diagnostics, LoadError, Loader, SourceText};

/// Modules may import modules, and files include files, this deep.
const MAX_SOURCE_DEPTH: usize = 50;
/// Inclusions and modules of one program.
const MAX_SOURCES: usize = 5000;
/// Bytes of all of them: an included file counts each time.
const MAX_PROGRAM_BYTES: usize = 64 << 20;

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

    /// Parses a source and puts the statements of its inclusions in their place.
    fn source(&mut self, text: SourceText, included_from: Option<Span>) -> Option<Script> {
        self.known.files.push(text.name.clone());
        self.bytes += text.bytes.len();
        let file = self.known.sources.add(&text.name, &text.bytes, included_from);
        let mut script = self.parse(file)?;
        let mut once = vec![text.name.clone()];
        self.expand(&mut script, &mut vec![text.name], &mut once);
        Some(script)
    }

    fn parse(&mut self, file: FileId) -> Option<Script> {
        let parsed = syntax::parse(&self.known.sources, file, &mut self.known.names);
        let failed = parsed.has_errors();
        parsed.diagnostics.into_iter().for_each(|diagnostic| self.report(diagnostic));
        (!failed).then_some(parsed.script)
    }

    /// Replaces `include` by the statements of the file. `chain` are the files around, `once` those included so far.
    fn expand(&mut self, script: &mut Script, chain: &mut Vec<String>, once: &mut Vec<String>) {
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

    fn room_for(&mut self, depth: usize, text: &SourceText, span: Span) -> bool {
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

    fn load(&mut self, path: &str, from: &str, span: Span) -> Option<SourceText> {
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
    fn file(&mut self, script: Script, name: &str, is_main: bool) -> (u32, Exports) {
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

    /// The imports of a file, loaded and compiled.
    fn imports<'a>(&mut self, statements: &'a [Statement]) -> Vec<(&'a Import, Option<usize>)> {
        let mut found = Vec::new();
        super::analyze::for_each_statement(statements, &mut |statement| {
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

    fn import_module(&mut self, import: &Import) -> Option<usize> {
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
        let (main, exports) = compiled?;
        let module = self.known.modules.len();
        self.known.modules.push(Module { exports });
        self.known.module_defs.push(ModuleDef { main });
        self.known.module_index.insert(name, module);
        self.imported.insert(span, module);
        Some(module)
    }

    fn import_data(&mut self, import: &Import, options: Option<&Expr>) {
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
            Some((Some(super::program::Constant::Value(value)), _)) => {
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
    fn file_scope(
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

    fn import_symbol(
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

    pub(super) fn global(&mut self, initial: Option<Frozen>) -> u32 {
        self.known.globals.push(GlobalDef { initial });
        (self.known.globals.len() - 1) as u32
    }

    /// A number for a function to be compiled later.
    pub(super) fn reserve(&mut self, name: Arc<str>, parameters: &Parameters, span: Span) -> u32 {
        if self.known.protos.len() >= usize::from(u16::MAX) {
            self.error(span, "the script has too many functions");
            return 0;
        }
        self.known.protos.push(None);
        self.known.signatures.push(Signature::new(name, parameters));
        (self.known.protos.len() - 1) as u32
    }

    /// A number for a class, whose members are declared at once.
    pub(super) fn add_class(&mut self, def: ClassDef, signature: Signature) -> u32 {
        self.known.classes.push(Arc::new(def));
        self.known.class_signatures.push(signature);
        (self.known.classes.len() - 1) as u32
    }

    pub(super) fn class(&self, id: u32) -> &ClassDef {
        &self.known.classes[id as usize]
    }

    pub(super) fn class_name(&self, id: u32) -> Arc<str> {
        self.known.classes[id as usize].name.clone()
    }

    /// What the library has under this name.
    pub(super) fn builtin(&self, name: &str) -> Option<Callee> {
        let function = self.library.function(name).map(Callee::Native);
        function.or_else(|| self.library.class(name).map(Callee::NativeClass))
    }

    pub(super) fn native(&mut self, native: &'static Native) -> u16 {
        let address = std::ptr::from_ref(native).addr();
        *self.known.native_index.entry(address).or_insert_with(|| {
            self.known.natives.push(native);
            (self.known.natives.len() - 1) as u16
        })
    }

    /// The name of the library that is spelled almost like `text`.
    fn meant(&self, text: &str) -> Option<&'static str> {
        let functions = self.library.functions().into_iter().map(|native| native.name);
        closest(text, functions.chain(self.library.classes().into_iter().map(|class| class.name)))
    }

    /// What stands for a name that means nothing here, if the program can run without it; else reports it.
    pub(super) fn absent_name(&mut self, name: &Name) -> Option<Callee> {
        let stand_in = self.library.stand_in(&name.text).filter(|_| !self.options.forbid_absent);
        match (stand_in, self.library.why_absent(&name.text)) {
            (Some(native), Some(reason)) => {
                self.report(Diagnostic::warning(
                    name.span,
                    format!("{} is not available: {reason}", name.text),
                ));
                Some(Callee::Native(native))
            }
            _ => {
                self.unknown_name(name);
                None
            }
        }
    }

    /// Reports a name that means nothing.
    fn unknown_name(&mut self, name: &Name) {
        let text = &name.text;
        if self.missing.contains(text) {
            return;
        }
        let diagnostic = match self.library.why_absent(text) {
            Some(reason) => Diagnostic::error(name.span, format!("{text} is not available: {reason}")),
            None => {
                let diagnostic =
                    Diagnostic::error(name.span, format!("there is no function or class {text}"));
                match (syntax::advice_for_unknown_name(text), self.meant(text)) {
                    (Some(advice), _) => diagnostic.with_help(advice),
                    (None, Some(meant)) => diagnostic.with_help(format!("is `{meant}` meant?")),
                    (None, None) => diagnostic,
                }
            }
        };
        self.report(diagnostic);
    }

    /// Reports a wrong number of arguments.
    pub(super) fn check_arity(&mut self, callee: Callee, given: usize, span: Span) {
        let result = match callee {
            Callee::Function(id) => match self.known.signatures.get(id as usize) {
                Some(signature) => signature.check(given),
                None => Ok(()),
            },
            Callee::Class(id) => self.known.class_signatures[id as usize].check(given),
            Callee::Native(native) => native.check_arity(given).map_err(|fault| fault.to_string()),
            Callee::NativeClass(class) => match &class.constructor {
                Some(native) => native.check_arity(given).map_err(|fault| fault.to_string()),
                None => Ok(()),
            },
        };
        if let Err(message) = result {
            self.error(span, message);
        }
    }

    pub(super) fn export_function(&self, module: usize, name: &str) -> Option<Callee> {
        self.known.modules[module].exports.functions.get(name).copied()
    }

    pub(super) fn export_variable(&self, module: usize, name: &str) -> Option<u32> {
        self.known.modules[module].exports.variables.get(name).copied()
    }

    /// The module that an import at this place brings.
    pub(super) fn imported(&self, span: Span) -> Option<usize> {
        self.imported.get(&span).copied()
    }

    /// The data that an import at this place brings.
    pub(super) fn data(&self, span: Span) -> Option<Frozen> {
        self.data.get(&span).cloned()
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
