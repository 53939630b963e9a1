//! A program on one shard: constants as values of this thread.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::compile::Program;
use crate::compile::program::{ClassDef, Constant, Method, Proto, Restriction};
use crate::native::Native;
use crate::value::{Frozen, Function, FunctionBuf, Key, OrderedMap, ScriptFunction, Str, Value};

use super::frame::Entry;

/// Stacks that contexts hand on, so that most need not allocate.
const MAX_SPARE_STACKS: usize = 64;
/// Stacks that grew larger are not kept: 16 KiB of values.
const MAX_SPARE_REGISTERS: usize = 1024;

/// A program on one shard.
pub struct Loaded {
    pub(super) program: Arc<Program>,
    pub(super) protos: Vec<LoadedProto>,
    pub(super) classes: Vec<LoadedClass>,
    pub(super) natives: Vec<&'static Native>,
    /// What functions and objects of this program carry.
    pub(super) home: Rc<dyn Any>,
    spare: RefCell<Vec<Stacks>>,
}

/// A function with its constants.
pub(super) struct LoadedProto {
    pub(super) proto: Arc<Proto>,
    pub(super) constants: Box<[Value]>,
    /// Whether a call with the right number of arguments is nothing but a jump.
    pub(super) is_plain: bool,
    /// What the constants are as keys of arrays.
    pub(super) keys: Box<[Key]>,
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
    pub(super) entries: Vec<Entry>,
}

/// The identity of a program on a shard.
pub(super) struct Home;

impl Loaded {
    /// Makes the constants of this thread.
    pub fn new(program: &Arc<Program>) -> Rc<Loaded> {
        Loaded::with_home(program, Rc::new(Home))
    }

    /// Whether the script mentions this variable of the host: if not, its value need not be made.
    pub fn mentions(&self, name: &str) -> bool {
        self.program.inputs.contains_key(name)
    }

    /// The same with the functions and objects of an earlier form of the program.
    pub(super) fn with_home(program: &Arc<Program>, home: Rc<dyn Any>) -> Rc<Loaded> {
        let protos = program.protos.iter().map(|proto| {
            let constants: Box<[Value]> =
                proto.constants.iter().map(|constant| value_of(constant, &home)).collect();
            let keys = constants.iter().map(|constant| match constant {
                Value::Str(_) | Value::Number(_) | Value::Bool(_) => Key::from_value(constant.clone()),
                // Not hashed before somebody asks for it.
                other => Key::Other(other.clone()),
            });
            LoadedProto {
                proto: proto.clone(),
                keys: keys.collect(),
                is_plain: !proto.variadic && !proto.generator,
                constants,
            }
        });
        Rc::new(Loaded {
            program: program.clone(),
            protos: protos.collect(),
            classes: program.classes.iter().map(|class| LoadedClass::new(class)).collect(),
            natives: program.natives.clone(),
            home,
            spare: RefCell::default(),
        })
    }

    /// The program.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    pub(super) fn take_stacks(&self) -> Stacks {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes stacks back; all their registers are undefined.
    pub(super) fn give_stacks(&self, stacks: Stacks) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < MAX_SPARE_STACKS && stacks.values.len() <= MAX_SPARE_REGISTERS {
            spare.push(stacks);
        }
    }
}

fn value_of(constant: &Constant, home: &Rc<dyn Any>) -> Value {
    let function = match constant {
        Constant::Value(Frozen::Str(text)) => return Value::Str(Str::from_frozen(text.clone())),
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

impl LoadedClass {
    fn new(class: &ClassDef) -> LoadedClass {
        let mut template = OrderedMap::new();
        for (name, value) in &class.fields {
            template.insert(Str::from(name.as_ref()), Value::from_frozen(value));
        }
        let mut methods = OrderedMap::new();
        for (name, method) in &class.methods {
            methods.insert(Str::from(name.as_ref()), *method);
        }
        let mut restricted = OrderedMap::new();
        for (name, restriction) in &class.restricted {
            restricted.insert(Str::from(name.as_ref()), *restriction);
        }
        LoadedClass {
            name: Str::from(class.name.as_ref()),
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
