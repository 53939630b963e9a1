//! A program on one shard: constants as values of this thread.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::compile::Program;
use crate::compile::op::Reg;
use crate::compile::program::{ClassDef, Constant, Method, Proto, Restriction};
use crate::native::Native;
use crate::value::{Frozen, Function, FunctionBuf, Key, OrderedMap, ScriptFunction, Str, Value};

use super::context::HostVariable;

/// A program on one shard.
pub struct Loaded {
    pub(super) program: Arc<Program>,
    pub(super) protos: Vec<LoadedProto>,
    pub(super) classes: Vec<LoadedClass>,
    pub(super) natives: Vec<&'static Native>,
    /// What functions and objects of this program carry.
    pub(super) home: Rc<dyn Any>,
}

/// A function with its constants.
pub(super) struct LoadedProto {
    pub(super) proto: Arc<Proto>,
    pub(super) constants: Box<[Value]>,
    /// Whether a call with the right number of arguments is nothing but a jump.
    pub(super) is_plain: bool,
    /// What the constants are as keys of arrays.
    pub(super) keys: Box<[Key]>,
    /// Where the names among the constants were found last.
    pub(super) hints: Hints,
    // From the function, within reach.
    /// Registers from here are temporaries.
    pub(super) locals: Reg,
    pub(super) params: u16,
    pub(super) registers: Reg,
    pub(super) number_registers: u16,
    pub(super) numbers: Box<[f64]>,
}

/// Where the constants of a function were found when they were looked up last: mostly they are there again.
pub(super) struct Hints {
    /// As methods.
    pub(super) methods: Box<[Cell<MethodHint>]>,
    /// As keys of arrays or names of properties: the position of the entry.
    pub(super) positions: Box<[Cell<u32>]>,
}

/// Where a method was found that the function may call.
#[derive(Clone, Copy)]
pub(super) struct MethodHint {
    pub(super) class: u32,
    /// The number of its function.
    pub(super) proto: u32,
}

impl Hints {
    fn new(constants: usize) -> Hints {
        let nothing = MethodHint { class: u32::MAX, proto: 0 };
        Hints {
            methods: vec![Cell::new(nothing); constants].into(),
            positions: vec![Cell::new(0); constants].into(),
        }
    }
}

/// A class with its names as values.
pub(super) struct LoadedClass {
    pub(super) name: Str,
    pub(super) constructor: Option<u32>,
    pub(super) initializer: Option<u32>,
    /// The instance variables that are constant.
    pub(super) template: OrderedMap<Str, Value>,
    pub(super) methods: OrderedMap<Str, Method>,
    pub(super) restricted: OrderedMap<Str, Restriction>,
}

/// The registers of a context.
#[derive(Default)]
pub(super) struct Stacks {
    pub(super) values: Vec<Value>,
    pub(super) numbers: Vec<f64>,
}

/// The identity of a program on a shard.
pub(super) struct Home;

impl Loaded {
    /// Makes the constants of this thread.
    pub fn new(program: &Arc<Program>) -> Rc<Loaded> {
        Loaded::with_home(program, Rc::new(Home))
    }

    /// The same with the functions and objects of an earlier form of the program.
    pub(super) fn with_home(program: &Arc<Program>, home: Rc<dyn Any>) -> Rc<Loaded> {
        let mut names = Names::default();
        let protos = program.protos.iter().map(|proto| {
            let constants: Box<[Value]> =
                proto.constants.iter().map(|constant| names.value_of(constant, &home)).collect();
            let keys = constants.iter().map(|constant| match constant {
                Value::Str(_) | Value::Number(_) | Value::Bool(_) => Key::from_value(constant.clone()),
                // Not hashed before somebody asks for it.
                other => Key::Other(other.clone()),
            });
            LoadedProto {
                proto: proto.clone(),
                keys: keys.collect(),
                is_plain: !proto.variadic && !proto.generator,
                hints: Hints::new(constants.len()),
                locals: proto.locals,
                params: proto.params,
                registers: proto.registers,
                number_registers: proto.number_registers,
                numbers: proto.numbers.clone(),
                constants,
            }
        });
        let protos = protos.collect();
        Rc::new(Loaded {
            program: program.clone(),
            protos,
            classes: program.classes.iter().map(|class| names.class(class)).collect(),
            natives: program.natives.clone(),
            home,
        })
    }

    /// Where it finds a variable of the host. `None`: it does not mention it.
    pub fn variable(&self, name: &str) -> Option<HostVariable> {
        self.program.inputs.get(name).map(|input| HostVariable(*input))
    }

    /// A text as a value: the one that the program has if it mentions it, because comparing one with itself is quick.
    pub fn text(&self, text: &str) -> Str {
        let constants = self.protos.iter().flat_map(|proto| &proto.constants);
        let mut texts = constants.filter_map(Value::as_str);
        texts.find(|own| own.as_bytes() == text.as_bytes()).cloned().unwrap_or_else(|| Str::from(text))
    }

    /// The program.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }
}

/// The texts of a program, each once: comparing one with itself is quick.
#[derive(Default)]
struct Names(HashMap<Arc<[u8]>, Str>);

impl Names {
    fn text(&mut self, bytes: &Arc<[u8]>) -> Str {
        self.0.entry(bytes.clone()).or_insert_with(|| Str::from_frozen(bytes.clone())).clone()
    }

    fn name(&mut self, name: &str) -> Str {
        match self.0.get(name.as_bytes()) {
            Some(text) => text.clone(),
            None => self.text(&Arc::from(name.as_bytes())),
        }
    }

    fn value_of(&mut self, constant: &Constant, home: &Rc<dyn Any>) -> Value {
        let function = match constant {
            Constant::Value(Frozen::Str(text)) => return Value::Str(self.text(text)),
            Constant::Value(value) => return Value::from_frozen(value),
            Constant::Native(native) => FunctionBuf::Native(native),
            Constant::NativeClass(class) => FunctionBuf::NativeClass(class),
            Constant::Function(index) | Constant::Class(index) => FunctionBuf::Script(ScriptFunction {
                home: home.clone(),
                index: *index,
                is_class: matches!(constant, Constant::Class(_)),
                captures: Box::default(),
                this: None,
            }),
        };
        Value::Function(Function::new(function))
    }

    fn class(&mut self, class: &ClassDef) -> LoadedClass {
        let mut template = OrderedMap::new();
        for (name, value) in &class.fields {
            template.insert(self.name(name), Value::from_frozen(value));
        }
        let mut methods = OrderedMap::new();
        for (name, method) in &class.methods {
            methods.insert(self.name(name), *method);
        }
        let mut restricted = OrderedMap::new();
        for (name, restriction) in &class.restricted {
            restricted.insert(self.name(name), *restriction);
        }
        LoadedClass {
            name: self.name(&class.name),
            constructor: class.constructor,
            initializer: class.initializer,
            template,
            methods,
            restricted,
        }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("program", &self.program).finish()
    }
}
