//! What the compiler makes: immutable, shared by all shards.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::native::{Native, NativeClass};
use crate::source::{SourceMap, Span};
use crate::value::Frozen;

use super::op::{Op, Reg};
use super::reads::Reads;

/// A compiled script with everything that it includes and imports.
pub struct Program {
    pub(crate) protos: Vec<Arc<Proto>>,
    pub(crate) classes: Vec<Arc<ClassDef>>,
    pub(crate) natives: Vec<&'static Native>,
    pub(crate) modules: Vec<ModuleDef>,
    /// The variables that functions share, with what they hold before anybody assigns to them.
    pub(crate) globals: Vec<GlobalDef>,
    /// The function with the statements of the main script.
    pub(crate) main: u32,
    /// Where the host's variables go.
    pub(crate) inputs: HashMap<String, Input>,
    /// What is read of those that the main script mentions.
    pub(crate) reads: HashMap<String, Reads>,
    pub(crate) sources: Arc<SourceMap>,
    /// What `file:NAME`-like sources the program was made from, for the host that wants to know when to compile again.
    pub(crate) files: Vec<String>,
}

/// The code of one function.
pub(crate) struct Proto {
    /// As call stacks show it.
    pub(crate) name: Arc<str>,
    pub(crate) code: Box<[Op]>,
    /// Where each instruction comes from.
    pub(crate) spans: Box<[Span]>,
    pub(crate) constants: Box<[Constant]>,
    /// The numbers that the first number registers hold.
    pub(crate) numbers: Box<[f64]>,
    /// Numbers for [`Op::NumConst`].
    pub(crate) more_numbers: Box<[f64]>,
    pub(crate) paths: Box<[Path]>,
    pub(crate) handlers: Box<[Handler]>,
    /// For each [`Op::Closure`]: the registers whose variables it captures.
    pub(crate) capture_lists: Box<[Box<[Reg]>]>,
    /// Parameters with a place of their own, from register 0 (1 with `$this`); after them the array of the rest, if
    /// `variadic`, and then the captured variables.
    pub(crate) params: u16,
    /// Defaults of the last parameters, as constants.
    pub(crate) defaults: Box<[u16]>,
    pub(crate) variadic: bool,
    /// Register 0 is `$this`.
    pub(crate) has_this: bool,
    pub(crate) generator: bool,
    /// The class whose private members the function may touch.
    pub(crate) class: Option<u32>,
    /// Registers from here are temporaries.
    pub(crate) locals: Reg,
    pub(crate) registers: Reg,
    pub(crate) number_registers: u16,
    /// Names of the variables in the first registers.
    pub(crate) names: Box<[Arc<str>]>,
}

/// A constant of a function.
#[derive(Clone, Debug)]
pub(crate) enum Constant {
    Value(Frozen),
    Native(&'static Native),
    NativeClass(&'static NativeClass),
    Function(u32),
    Class(u32),
}

/// Steps of an assignment target.
pub(crate) type Path = Box<[PathStep]>;

/// One step of an assignment target.
#[derive(Clone, Debug)]
pub(crate) enum PathStep {
    Index(Reg),
    IndexConst(u16),
    Property(u16),
    Append,
    /// The first of three registers with the bounds.
    Slice(Reg),
}

/// Where an error in `start..end` goes on; the innermost range comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handler {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) target: u32,
    /// Where the caught value goes.
    pub(crate) register: Reg,
}

/// A class of a script.
pub(crate) struct ClassDef {
    pub(crate) name: Arc<str>,
    pub(crate) constructor: Option<u32>,
    /// Instance variables whose values are constants.
    pub(crate) fields: Vec<(Arc<str>, Frozen)>,
    /// The function that computes the other instance variables.
    pub(crate) initializer: Option<u32>,
    pub(crate) methods: HashMap<Arc<str>, Method>,
    pub(crate) statics: HashMap<Arc<str>, Method>,
    pub(crate) variables: HashMap<Arc<str>, StaticVariable>,
    /// Instance variables that not everybody may touch.
    pub(crate) restricted: HashMap<Arc<str>, Restriction>,
}

/// A function of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    pub(crate) proto: u32,
    pub(crate) private: bool,
}

/// A static variable of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StaticVariable {
    pub(crate) global: u32,
    pub(crate) private: bool,
}

/// Who may touch an instance variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restriction {
    Private,
    ReadOnly,
}

/// A module.
#[derive(Clone)]
pub(crate) struct ModuleDef {
    /// The function with its statements.
    pub(crate) main: u32,
}

/// A shared variable.
#[derive(Clone)]
pub(crate) struct GlobalDef {
    pub(crate) initial: Option<Frozen>,
}

/// Where a variable of the host lives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    Register(Reg),
    Global(u32),
}

impl Program {
    /// A program that does nothing, for sessions to begin with.
    pub(crate) fn empty() -> Program {
        Program {
            protos: Vec::new(),
            classes: Vec::new(),
            natives: Vec::new(),
            modules: Vec::new(),
            globals: Vec::new(),
            main: 0,
            inputs: HashMap::new(),
            reads: HashMap::new(),
            sources: Arc::default(),
            files: Vec::new(),
        }
    }

    /// The sources, for positions.
    pub fn sources(&self) -> &Arc<SourceMap> {
        &self.sources
    }

    /// Names of all sources, as the loader gave them: main script, inclusions, modules and data.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// What the script reads of a variable of the host. `None`: it does not mention it, and it need not be set.
    pub fn reads(&self, variable: &str) -> Option<&Reads> {
        self.inputs.get(variable).map(|_| self.reads.get(variable).unwrap_or(&Reads::All))
    }

    /// Whether the script or what it imports names a function of the library.
    pub fn names(&self, function: &str) -> bool {
        let called = self.natives.iter().any(|native| native.name == function);
        let is_it =
            |constant: &Constant| matches!(constant, Constant::Native(native) if native.name == function);
        called || self.protos.iter().any(|proto| proto.constants.iter().any(is_it))
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("functions", &self.protos.len()).field("files", &self.files).finish()
    }
}
