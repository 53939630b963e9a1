//! The arguments of a native, and access to them with errors that name the function and the argument.

use std::borrow::Cow;

use super::{HostObject, Native};
use crate::fault::{Fault, Limit};
use crate::host::Host;
use crate::std::regex::Pattern;
use crate::value::{Array, Object, Str, Value};

/// One call of a native. Arguments count from 0. The functions named `opt_` give `None` for a missing argument and for
/// `none`.
pub struct Call<'a> {
    native: &'static Native,
    this: Option<&'a Object>,
    args: &'a mut [Value],
    host: &'a mut dyn Host,
    memory_left_bytes: usize,
}

impl<'a> Call<'a> {
    /// A call; the number of arguments is checked by [`Native::check_arity`].
    pub fn new(
        native: &'static Native,
        this: Option<&'a Object>,
        args: &'a mut [Value],
        host: &'a mut dyn Host,
    ) -> Call<'a> {
        Call { native, this, args, host, memory_left_bytes: usize::MAX }
    }

    /// The same, with a limit on what the native may allocate.
    pub fn with_memory(self, memory_left_bytes: usize) -> Call<'a> {
        Call { memory_left_bytes, ..self }
    }

    /// The function that is called.
    pub fn native(&self) -> &'static Native {
        self.native
    }

    /// The number of arguments.
    #[inline]
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty()
    }

    /// An argument; [`Value::None`] for a missing one.
    #[inline]
    pub fn arg(&self, index: usize) -> &Value {
        self.args.get(index).unwrap_or(&Value::None)
    }

    /// All arguments.
    pub fn args(&self) -> &[Value] {
        self.args
    }

    /// Takes an argument out, for work in place.
    #[inline]
    pub fn take(&mut self, index: usize) -> Value {
        self.args.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    /// The services of the host.
    pub fn host(&mut self) -> &mut dyn Host {
        self.host
    }

    /// Announces an allocation; fails when it exceeds what is left of the script's memory limit.
    pub fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.memory_left_bytes.checked_sub(bytes) {
            Some(left) => {
                self.memory_left_bytes = left;
                Ok(())
            }
            None => Err(Fault::limit(Limit::Memory)),
        }
    }

    /// An error about this call.
    #[cold]
    pub fn error(&self, message: impl std::fmt::Display) -> Fault {
        Fault::error(format!("{}(): {message}", self.native.name))
    }

    /// An argument has the wrong type or value.
    #[cold]
    pub fn wrong(&self, index: usize, expected: &str) -> Fault {
        let got = match self.arg(index) {
            Value::Object(object) => Cow::Owned(object.class_name()),
            Value::Resource(resource) => Cow::Borrowed(resource.kind()),
            other => Cow::Borrowed(other.type_name()),
        };
        Fault::argument(self.native.name, index, expected, &got)
    }

    /// A string; shares its bytes.
    #[inline]
    pub fn str(&self, index: usize) -> Result<Str, Fault> {
        self.arg(index).as_str().cloned().ok_or_else(|| self.wrong(index, "a string"))
    }

    /// The bytes of a string.
    #[inline]
    pub fn bytes(&self, index: usize) -> Result<&[u8], Fault> {
        self.arg(index).as_bytes().ok_or_else(|| self.wrong(index, "a string"))
    }

    /// A number; booleans are not.
    #[inline]
    pub fn number(&self, index: usize) -> Result<f64, Fault> {
        self.arg(index).as_number().ok_or_else(|| self.wrong(index, "a number"))
    }

    /// A number without its fraction, brought into the range of integers; not a number is 0.
    #[inline]
    pub fn integer(&self, index: usize) -> Result<i64, Fault> {
        self.number(index).map(|number| number as i64)
    }

    /// A boolean.
    pub fn boolean(&self, index: usize) -> Result<bool, Fault> {
        self.arg(index).as_bool().ok_or_else(|| self.wrong(index, "a boolean"))
    }

    /// An array.
    #[inline]
    pub fn array(&self, index: usize) -> Result<&Array, Fault> {
        self.arg(index).as_array().ok_or_else(|| self.wrong(index, "an array"))
    }

    /// Something to call.
    pub fn function(&self, index: usize) -> Result<Value, Fault> {
        match self.arg(index) {
            function @ Value::Function(_) => Ok(function.clone()),
            _ => Err(self.wrong(index, "a function")),
        }
    }

    fn given(&self, index: usize) -> bool {
        !self.arg(index).is_none()
    }

    /// A string that may be missing.
    pub fn opt_str(&self, index: usize) -> Result<Option<Str>, Fault> {
        if self.given(index) { self.str(index).map(Some) } else { Ok(None) }
    }

    /// The bytes of a string that may be missing.
    pub fn opt_bytes(&self, index: usize) -> Result<Option<&[u8]>, Fault> {
        if self.given(index) { self.bytes(index).map(Some) } else { Ok(None) }
    }

    /// A number that may be missing.
    pub fn opt_number(&self, index: usize) -> Result<Option<f64>, Fault> {
        if self.given(index) { self.number(index).map(Some) } else { Ok(None) }
    }

    /// An integer that may be missing.
    pub fn opt_integer(&self, index: usize) -> Result<Option<i64>, Fault> {
        if self.given(index) { self.integer(index).map(Some) } else { Ok(None) }
    }

    /// A boolean that may be missing.
    pub fn opt_boolean(&self, index: usize) -> Result<Option<bool>, Fault> {
        if self.given(index) { self.boolean(index).map(Some) } else { Ok(None) }
    }

    /// An array that may be missing.
    pub fn opt_array(&self, index: usize) -> Result<Option<&Array>, Fault> {
        if self.given(index) { self.array(index).map(Some) } else { Ok(None) }
    }

    /// A function that may be missing.
    pub fn opt_function(&self, index: usize) -> Result<Option<Value>, Fault> {
        if self.given(index) { self.function(index).map(Some) } else { Ok(None) }
    }

    /// A pattern: a `Regex`, or a string to compile.
    pub fn pattern(&mut self, index: usize) -> Result<Pattern, Fault> {
        let value = self.args.get(index).unwrap_or(&Value::None);
        match self.host.patterns().of_value(value)? {
            Some(pattern) => Ok(pattern),
            None => Err(self.wrong(index, "a Regex or a string")),
        }
    }

    /// An array of options that may be missing.
    pub fn options(&self, index: usize) -> Result<Options, Fault> {
        let array = self.opt_array(index)?.cloned();
        Ok(Options { function: self.native.name, array })
    }

    /// The object of a method call.
    pub fn this<T: HostObject>(&self) -> Result<&'a T, Fault> {
        self.this_object()?.downcast().ok_or_else(|| {
            self.error(format!("is not a method of {}", self.this.map_or(String::new(), Object::class_name)))
        })
    }

    /// The object of a method call, whatever its class.
    pub fn this_object(&self) -> Result<&'a Object, Fault> {
        self.this.ok_or_else(|| self.error("is a method and needs an object"))
    }

    /// An argument that is an object of this class.
    pub fn object<T: HostObject>(&self, index: usize, class: &str) -> Result<&T, Fault> {
        self.arg(index)
            .as_object()
            .and_then(Object::downcast)
            .ok_or_else(|| self.wrong(index, &format!("a {class}")))
    }
}

/// An array of options. Keys that nobody asks for are ignored; `none` counts as not given.
#[derive(Clone, Debug)]
pub struct Options {
    function: &'static str,
    array: Option<Array>,
}

impl Options {
    /// Options of the function `function`.
    pub fn new(function: &'static str, array: Option<Array>) -> Options {
        Options { function, array }
    }

    /// The value of an option, if given.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.array.as_ref()?.get_str(name).filter(|value| !value.is_none())
    }

    /// A boolean.
    pub fn boolean(&self, name: &str, default: bool) -> Result<bool, Fault> {
        self.typed(name, "a boolean", Value::as_bool).map(|value| value.unwrap_or(default))
    }

    /// A number.
    pub fn number(&self, name: &str) -> Result<Option<f64>, Fault> {
        self.typed(name, "a number", Value::as_number)
    }

    /// A string.
    pub fn str(&self, name: &str) -> Result<Option<Str>, Fault> {
        self.typed(name, "a string", |value| value.as_str().cloned())
    }

    /// An array.
    pub fn array(&self, name: &str) -> Result<Option<Array>, Fault> {
        self.typed(name, "an array", |value| value.as_array().cloned())
    }

    /// A function.
    pub fn function(&self, name: &str) -> Result<Option<Value>, Fault> {
        self.typed(name, "a function", |value| value.as_function().cloned().map(Value::Function))
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        if cfg!(debug_assertions) && !crate::lint::is_option(self.function, name) {
            let function = self.function;
            return Err(Fault::error(format!("{function}(): {name} is not in script/src/lint/options.txt")));
        }
        let Some(value) = self.get(name) else { return Ok(None) };
        convert(&value).map(Some).ok_or_else(|| self.wrong(name, expected, &value))
    }

    fn wrong(&self, name: &str, expected: &str, value: &Value) -> Fault {
        let function = self.function;
        Fault::error(format!("{function}(): option \"{name}\" must be {expected}, not {}", value.type_name()))
    }
}
