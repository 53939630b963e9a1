//! The arguments of a host call, with errors that name the function and the argument.

use script::fault::Fault;
use script::host::HostCall;
use script::native::{HostObject, Options};
use script::value::{Array, Object, Str, Value};

/// Access to what a [`HostCall`] brings. Arguments count from 0; `none` counts as missing for the functions named `opt_`.
pub trait Arguments {
    /// An argument; [`Value::None`] for a missing one.
    fn arg(&self, index: usize) -> &Value;
    /// An error about this call.
    fn error(&self, message: impl std::fmt::Display) -> Fault;
    /// An argument has the wrong type or value.
    fn wrong(&self, index: usize, expected: &str) -> Fault;
    /// A string.
    fn str(&self, index: usize) -> Result<Str, Fault>;
    /// A string that may be missing.
    fn opt_str(&self, index: usize) -> Result<Option<Str>, Fault>;
    /// A number.
    fn number(&self, index: usize) -> Result<f64, Fault>;
    /// A number that may be missing.
    fn opt_number(&self, index: usize) -> Result<Option<f64>, Fault>;
    /// A boolean that may be missing.
    fn opt_boolean(&self, index: usize) -> Result<Option<bool>, Fault>;
    /// An array that may be missing.
    fn opt_array(&self, index: usize) -> Result<Option<Array>, Fault>;
    /// An array of options that may be missing.
    fn options(&self, index: usize) -> Result<Options, Fault>;
    /// The object of a method call.
    fn this<T: HostObject>(&self) -> Result<&T, Fault>;
    /// The object of a method call, whatever its class.
    fn this_object(&self) -> Result<&Object, Fault>;
}

/// The name that scripts know: that of a function of a module, for what such a function runs.
fn shown(call: &HostCall) -> &'static str {
    call.name.trim_start_matches('_')
}

impl Arguments for HostCall {
    fn arg(&self, index: usize) -> &Value {
        self.args.get(index).unwrap_or(&Value::None)
    }

    fn error(&self, message: impl std::fmt::Display) -> Fault {
        Fault::error(format!("{}(): {message}", shown(self)))
    }

    fn wrong(&self, index: usize, expected: &str) -> Fault {
        let got = match self.arg(index) {
            Value::Object(object) => object.class_name(),
            other => other.type_name().to_owned(),
        };
        Fault::argument(shown(self), index, expected, &got)
    }

    fn str(&self, index: usize) -> Result<Str, Fault> {
        self.arg(index).as_str().cloned().ok_or_else(|| self.wrong(index, "a string"))
    }

    fn opt_str(&self, index: usize) -> Result<Option<Str>, Fault> {
        if self.arg(index).is_none() { Ok(None) } else { self.str(index).map(Some) }
    }

    fn number(&self, index: usize) -> Result<f64, Fault> {
        self.arg(index).as_number().ok_or_else(|| self.wrong(index, "a number"))
    }

    fn opt_number(&self, index: usize) -> Result<Option<f64>, Fault> {
        if self.arg(index).is_none() { Ok(None) } else { self.number(index).map(Some) }
    }

    fn opt_boolean(&self, index: usize) -> Result<Option<bool>, Fault> {
        match self.arg(index) {
            Value::None => Ok(None),
            value => value.as_bool().map(Some).ok_or_else(|| self.wrong(index, "a boolean")),
        }
    }

    fn opt_array(&self, index: usize) -> Result<Option<Array>, Fault> {
        match self.arg(index) {
            Value::None => Ok(None),
            value => value.as_array().cloned().map(Some).ok_or_else(|| self.wrong(index, "an array")),
        }
    }

    fn options(&self, index: usize) -> Result<Options, Fault> {
        Ok(Options::new(self.name, self.opt_array(index)?))
    }

    fn this<T: HostObject>(&self) -> Result<&T, Fault> {
        self.this_object()?.downcast().ok_or_else(|| self.error("is a method of another class"))
    }

    fn this_object(&self) -> Result<&Object, Fault> {
        self.this.as_ref().ok_or_else(|| self.error("is a method and needs an object"))
    }
}
