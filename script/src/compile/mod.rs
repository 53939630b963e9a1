//! From sources to a [`Program`]: names, modules, constants, types of variables, instructions.

mod analyze;
mod assigned;
mod constant;
mod declare;
mod emit;
mod include;
mod module;
pub(crate) mod op;
pub(crate) mod program;
mod reads;
mod scope;

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::native::Library;
use crate::source::SourceMap;

pub(crate) use module::Known;
pub use program::Program;
pub use reads::Reads;
pub(crate) use scope::arity_message;

/// Finds the sources that scripts name.
pub trait Loader {
    /// The source that `path` means in the source named `from`.
    fn load(&mut self, path: &str, from: &str) -> Result<SourceText, LoadError>;
}

/// A source.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// Its name in errors, such as `file:policy`. Sources of the same name are the same source: a module is run once however
    /// it is spelled, and `include_once` goes by it.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why there is no such source: one line that completes `cannot load "x": `.
#[derive(Clone, Debug)]
pub struct LoadError(pub String);

/// A loader that knows nothing, for scripts without `include` and `import`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLoader;

impl Loader for NoLoader {
    fn load(&mut self, _path: &str, _from: &str) -> Result<SourceText, LoadError> {
        Err(LoadError("no files are available here".to_owned()))
    }
}

/// What the compiler is told about the surroundings.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// The variables that the host sets before the script runs.
    pub predefined: Vec<Predefined>,
    /// Whether a function that the library knows to be absent is an error where it is named. Else it is a warning, and an
    /// exception where it is called: the rest of a module works.
    pub forbid_absent: bool,
    /// What `__debug` is.
    pub break_points: BreakPoints,
}

/// Whether a debugger may look into a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakPoints {
    /// It may not: `__debug` is an error.
    #[default]
    Refused,
    /// It may: the program stops where it is told to ([`Context::debug`](crate::machine::Context::debug)), and keeps all
    /// variables where they can be seen, at the price of some speed.
    Allowed,
}

/// A variable of the host.
#[derive(Clone, Debug)]
pub struct Predefined {
    /// Without the `$`.
    pub name: String,
    /// Whether assigning to it is an error.
    pub read_only: bool,
}

/// A program, and what can hardly be meant in it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The program.
    pub program: Arc<Program>,
    /// The warnings.
    pub warnings: Vec<Diagnostic>,
}

/// Why there is no program.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// All findings; at least one is an error.
    pub all: Vec<Diagnostic>,
    /// The sources they are about.
    pub sources: Arc<SourceMap>,
}

/// Compiles an input of a session on top of the earlier ones.
pub(crate) fn compile_input(
    known: &Known,
    input: SourceText,
    loader: &mut dyn Loader,
    library: &Arc<Library>,
    options: &CompileOptions,
) -> Result<module::SessionProgram, Diagnostics> {
    module::Compiler::new(loader, library, options).input(known, input)
}

/// Compiles a script.
pub fn compile(
    main: SourceText,
    loader: &mut dyn Loader,
    library: &Arc<Library>,
    options: &CompileOptions,
) -> Result<Compiled, Diagnostics> {
    module::Compiler::new(loader, library, options).program(main)
}
