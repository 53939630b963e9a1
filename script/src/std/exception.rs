//! The class `Exception`: hsl-stdlib 25.

use crate::fault::{Fault, FaultKind, Position};
use crate::native::{Call, HostObject, Native, NativeClass};
use crate::value::{Object, Str, Value};

/// An error that scripts can catch, and look at.
pub struct Exception {
    message: Str,
    position: Option<Position>,
}

pub(super) static CLASS: NativeClass = NativeClass {
    name: "Exception",
    doc: "An error. The engine and the library throw exceptions; scripts throw them, or any other value.",
    extends: None,
    constructor: Some(Native::inline(
        "Exception",
        "string message",
        (1, Some(1)),
        "An exception of a script; it has no position.",
        |call| Ok(Exception::value(call.str(0)?, None)),
    )),
    methods: &[
        method("message", "The text alone.", |call| Ok(this(call)?.message.clone().into())),
        method("toString", "The text with file, line and column where they are known.", |call| {
            Ok(this(call)?.text().into())
        }),
        method(
            "file",
            "The file where the engine raised the error; none for exceptions of scripts.",
            |call| Ok(this(call)?.position.as_ref().map(|position| &*position.file).into()),
        ),
        method(
            "line",
            "The line where the engine raised the error; none for exceptions of scripts.",
            |call| Ok(this(call)?.position.as_ref().map(|position| position.line).into()),
        ),
        method(
            "column",
            "The column where the engine raised the error; none for exceptions of scripts.",
            |call| Ok(this(call)?.position.as_ref().map(|position| position.column).into()),
        ),
    ],
    statics: &[],
};

const fn method(
    name: &'static str,
    doc: &'static str,
    run: fn(&mut Call<'_>) -> Result<Value, Fault>,
) -> Native {
    Native::inline(name, "", (0, Some(0)), doc, run)
}

fn this<'a>(call: &Call<'a>) -> Result<&'a Exception, Fault> {
    call.this()
}

impl Exception {
    /// A new exception.
    pub fn value(message: Str, position: Option<Position>) -> Value {
        Value::Object(Object::host(Exception { message, position }))
    }

    /// The text alone.
    pub fn message(&self) -> &Str {
        &self.message
    }

    fn text(&self) -> String {
        let message = self.message.to_string_lossy();
        match &self.position {
            Some(Position { file, line, column }) => {
                format!("{message} in {file} on line {line}, column {column}")
            }
            None => message.into_owned(),
        }
    }
}

impl Fault {
    /// What `catch` gets: the thrown value, or an `Exception` for an error. Faults that cannot be caught come back.
    pub fn into_caught(self) -> Result<Value, Fault> {
        if !self.is_catchable() {
            return Err(self);
        }
        Ok(match self.into_parts() {
            (FaultKind::Thrown(value), _) => value,
            (FaultKind::Error(message), position) => {
                Exception::value(Str::from_vec(message.into_bytes()), position)
            }
            (FaultKind::Limit(_) | FaultKind::Finished(_), _) => unreachable!("these cannot be caught"),
        })
    }
}

impl HostObject for Exception {
    fn class(&self) -> &'static NativeClass {
        &CLASS
    }

    fn size_bytes(&self) -> usize {
        size_of::<Exception>() + self.message.len()
    }

    fn describe(&self) -> Option<String> {
        Some(self.message.to_string_lossy().into_owned())
    }
}
