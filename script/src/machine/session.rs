//! Input by input, as in a REPL: variables, functions and classes stay.

use std::rc::Rc;
use std::sync::Arc;

use crate::compile::{CompileOptions, Diagnostics, Known, Loader, Program, SourceText, compile_input};
use crate::diagnostic::Diagnostic;
use crate::native::Library;
use crate::source::SourceMap;

use super::context::{Context, Limits};
use super::loaded::{Home, Loaded};

/// Runs inputs one after the other, each on top of the earlier ones.
pub struct ReplSession {
    library: Arc<Library>,
    options: CompileOptions,
    known: Known,
    home: Rc<Home>,
    context: Context,
}

/// An input that was compiled.
#[derive(Debug)]
pub struct ReplInput {
    /// Whether it ends in an expression other than an assignment: [`Run::Done`](super::Run::Done) then has its value.
    pub has_value: bool,
    /// What can hardly be meant.
    pub warnings: Vec<Diagnostic>,
}

impl ReplSession {
    /// A session without anything in it. The limits are those of each input.
    pub fn new(library: &Arc<Library>, limits: Limits) -> ReplSession {
        let known = Known::default();
        let home = Rc::new(Home);
        let loaded = Loaded::with_home(&Arc::new(Program::empty()), home.clone());
        let context = Context::for_session(&loaded, limits);
        ReplSession { library: library.clone(), options: CompileOptions::default(), known, home, context }
    }

    /// Compiles an input, to be run by [`context`](Self::context) until it has ended. An input with errors changes nothing.
    /// Inputs whose names differ are told apart in errors.
    pub fn input(&mut self, text: SourceText, loader: &mut dyn Loader) -> Result<ReplInput, Diagnostics> {
        let compiled = compile_input(&self.known, text, loader, &self.library, &self.options)?;
        self.known = compiled.known;
        self.context.go_on(Loaded::with_home(&compiled.program, self.home.clone()));
        Ok(ReplInput { has_value: compiled.has_value, warnings: compiled.warnings })
    }

    /// All texts so far, for showing where errors are.
    pub fn sources(&self) -> &SourceMap {
        &self.known.sources
    }

    /// Where the last input runs.
    pub fn context(&mut self) -> &mut Context {
        &mut self.context
    }
}
