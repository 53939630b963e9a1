//! The values of a script: 16 bytes each, copy on write, shared within one thread.

mod array;
mod cell;
mod compare;
mod convert;
pub(crate) mod drop;
mod frozen;
mod function;
mod hash;
mod key;
mod object;
mod ordered_map;
mod resource;
mod str;
mod strict_key;
mod text;

pub use array::Array;
pub use cell::{CellRef, WeakCell};
pub(crate) use frozen::too_deep;
pub use frozen::{Freezer, Frozen, FrozenArray, FrozenKey, FrozenObject};
pub use function::{Function, FunctionBuf, ScriptFunction};
pub use hash::set_hash_seed;
pub use key::Key;
pub use object::{Instance, Object, ObjectBuf, WeakObject};
pub use ordered_map::{MapKey, OrderedMap};
pub use resource::Resource;
pub use str::Str;
pub(crate) use strict_key::StrictKey;
pub use text::write_number;

/// A value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    // What there is nothing to free for comes first: that is one comparison.
    /// `none`
    #[default]
    None,
    /// A variable not yet assigned; never leaves the machine.
    #[doc(hidden)]
    Undefined,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A byte string.
    Str(Str),
    /// An array: list and ordered map in one.
    Array(Array),
    /// A function.
    Function(Function),
    /// An object.
    Object(Object),
    /// An opaque handle.
    Resource(Resource),
    /// A variable that several functions share; never leaves the machine.
    #[doc(hidden)]
    Cell(CellRef),
}

impl Value {
    /// Truth: hsl-language 3.7.
    #[inline]
    pub fn truthy(&self) -> bool {
        match self {
            Value::Bool(flag) => *flag,
            Value::Number(number) => *number != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Array(array) => !array.is_empty(),
            Value::None | Value::Undefined => false,
            Value::Function(_) | Value::Object(_) | Value::Resource(_) | Value::Cell(_) => true,
        }
    }

    /// The name of the type, as messages spell it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::None => "none",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::Str(_) => "string",
            Value::Array(_) => "array",
            Value::Function(_) => "function",
            Value::Object(_) => "object",
            Value::Resource(_) => "resource",
            Value::Undefined => "undefined",
            Value::Cell(_) => "variable",
        }
    }

    /// Whether it is `none`.
    #[inline]
    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// The boolean, if it is one.
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The number, if it is one; booleans are not.
    #[inline]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The string, if it is one.
    #[inline]
    pub fn as_str(&self) -> Option<&Str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of the string, if it is one.
    #[inline]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.as_str().map(Str::as_bytes)
    }

    /// The array, if it is one.
    #[inline]
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The function, if it is one.
    pub fn as_function(&self) -> Option<&Function> {
        match self {
            Value::Function(function) => Some(function),
            _ => None,
        }
    }

    /// The object, if it is one.
    #[inline]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The handle, if it is one.
    pub fn as_resource(&self) -> Option<&Resource> {
        match self {
            Value::Resource(resource) => Some(resource),
            _ => None,
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
