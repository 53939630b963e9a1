//! Function values.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use super::{CellRef, Object, Value};
use crate::native::{Native, NativeClass};

/// A function that scripts can pass around.
#[derive(Clone)]
pub struct Function(Rc<FunctionBuf>);

/// The kinds of functions.
pub enum FunctionBuf {
    /// A builtin.
    Native(&'static Native),
    /// A method of a builtin class, with its object.
    BoundNative(&'static Native, Object),
    /// A builtin class: calling it constructs.
    NativeClass(&'static NativeClass),
    /// A function, closure, method or class of a script.
    Script(ScriptFunction),
}

/// A function of a script: the machine knows what the numbers mean.
pub struct ScriptFunction {
    /// The loaded program that the function belongs to.
    pub home: Rc<dyn Any>,
    /// The number of the function, or of the class, in the program.
    pub index: u32,
    /// Whether `index` is a class, which a call constructs.
    pub is_class: bool,
    /// The captured variables.
    pub captures: Box<[CellRef]>,
    /// The object of a bound method.
    pub this: Option<Object>,
}

impl Function {
    /// A function value.
    pub fn new(buf: FunctionBuf) -> Function {
        Function(Rc::new(buf))
    }

    /// What kind it is.
    #[inline]
    pub fn kind(&self) -> &FunctionBuf {
        &self.0
    }

    /// Whether both are the same function: the same builtin, or the same closure.
    pub fn same(&self, other: &Function) -> bool {
        if Rc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        match (&*self.0, &*other.0) {
            (FunctionBuf::Native(a), FunctionBuf::Native(b)) => std::ptr::eq(*a, *b),
            (FunctionBuf::NativeClass(a), FunctionBuf::NativeClass(b)) => std::ptr::eq(*a, *b),
            (FunctionBuf::BoundNative(a, x), FunctionBuf::BoundNative(b, y)) => {
                std::ptr::eq(*a, *b) && x.same(y)
            }
            (FunctionBuf::Script(a), FunctionBuf::Script(b)) => a.same(b),
            _ => false,
        }
    }

    /// An address that identifies this value while it lives.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    /// Calls `visit` with each value that the function keeps alive.
    pub fn for_each_value(&self, visit: &mut dyn FnMut(&Value)) {
        match &*self.0 {
            FunctionBuf::BoundNative(_, object) => visit(&Value::Object(object.clone())),
            FunctionBuf::Script(function) => {
                for cell in &function.captures {
                    visit(&Value::Cell(cell.clone()));
                }
                if let Some(this) = &function.this {
                    visit(&Value::Object(this.clone()));
                }
            }
            FunctionBuf::Native(_) | FunctionBuf::NativeClass(_) => {}
        }
    }

    /// Moves what only this function holds into `out`.
    pub(super) fn take_values(&mut self, out: &mut Vec<Value>) {
        if let Some(FunctionBuf::Script(function)) = Rc::get_mut(&mut self.0) {
            function.take_values(out);
        }
    }
}

impl ScriptFunction {
    fn same(&self, other: &ScriptFunction) -> bool {
        let this = match (&self.this, &other.this) {
            (None, None) => true,
            (Some(a), Some(b)) => a.same(b),
            _ => false,
        };
        let captures = self.captures.len() == other.captures.len()
            && self.captures.iter().zip(&other.captures).all(|(a, b)| a.same(b));
        this && captures
            && self.index == other.index
            && self.is_class == other.is_class
            && Rc::ptr_eq(&self.home, &other.home)
    }

    fn take_values(&mut self, out: &mut Vec<Value>) {
        out.extend(std::mem::take(&mut self.captures).into_iter().map(Value::Cell));
        out.extend(self.this.take().map(Value::Object));
    }
}

impl Drop for ScriptFunction {
    fn drop(&mut self) {
        if self.captures.is_empty() && self.this.is_none() {
            return;
        }
        let held = (std::mem::take(&mut self.captures), self.this.take());
        super::drop::nested(held, |(captures, this), pending| {
            pending.extend(captures.into_iter().map(Value::Cell));
            pending.extend(this.map(Value::Object));
        });
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            FunctionBuf::Native(native) => write!(f, "Function({})", native.name),
            FunctionBuf::BoundNative(native, _) => write!(f, "Function(->{})", native.name),
            FunctionBuf::NativeClass(class) => write!(f, "Class({})", class.name),
            FunctionBuf::Script(function) => write!(f, "Function(#{})", function.index),
        }
    }
}
