//! What stops the normal course of a script: thrown values, errors, exceeded limits and deliberate termination.

use std::fmt;
use std::rc::Rc;

use crate::value::Value;

/// Why a script does not go on at this point. One word, so that `Result<Value, Fault>` stays small.
pub struct Fault(Box<FaultBuf>);

struct FaultBuf {
    kind: FaultKind,
    position: Option<Position>,
}

/// Where the engine raised a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Display name of the source, such as `file:policy`.
    pub file: Rc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

/// The kinds of faults.
#[derive(Debug)]
pub enum FaultKind {
    /// `throw` of any value; `catch` gets it.
    Thrown(Value),
    /// Raised by the engine or by a native: `catch` gets an `Exception` object.
    Error(String),
    /// A limit of the execution is exceeded: ends the script, never caught.
    Limit(Limit),
    /// A terminating function of a hook was called: ends the script with this decision, never caught.
    Finished(Terminator),
}

/// The call of a terminating function: what a script has decided.
#[derive(Clone, Debug, Default)]
pub struct Terminator {
    /// The function.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Vec<Value>,
}

/// The limits that end a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Instructions executed.
    Steps,
    /// Memory held by the script.
    Memory,
    /// Wall-clock time.
    Time,
}

impl Fault {
    /// A fault of any kind, without a position.
    #[cold]
    pub fn new(kind: FaultKind) -> Fault {
        Fault(Box::new(FaultBuf { kind, position: None }))
    }

    /// An error that a script may catch.
    #[cold]
    pub fn error(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Error(message.into()))
    }

    /// Argument `index` (from 0) of the function `name` has the wrong type or value.
    #[cold]
    pub fn argument(name: &str, index: usize, expected: &str, got: &str) -> Fault {
        Fault::error(format!("{name}(): argument {} must be {expected}, not {got}", index + 1))
    }

    /// A terminating limit.
    #[cold]
    pub fn limit(limit: Limit) -> Fault {
        Fault::new(FaultKind::Limit(limit))
    }

    /// `throw value`.
    #[cold]
    pub fn thrown(value: Value) -> Fault {
        Fault::new(FaultKind::Thrown(value))
    }

    /// The script ends here with this decision. Nothing has gone wrong: most scripts of hooks end so.
    pub fn finished(decision: Terminator) -> Fault {
        Fault(Box::new(FaultBuf { kind: FaultKind::Finished(decision), position: None }))
    }

    /// What happened.
    pub fn kind(&self) -> &FaultKind {
        &self.0.kind
    }

    /// What happened, and where.
    pub fn into_parts(self) -> (FaultKind, Option<Position>) {
        (self.0.kind, self.0.position)
    }

    /// Whether `catch` may get this fault.
    pub fn is_catchable(&self) -> bool {
        matches!(self.0.kind, FaultKind::Thrown(_) | FaultKind::Error(_))
    }

    /// Where it was raised, once the machine has said so.
    pub fn position(&self) -> Option<&Position> {
        self.0.position.as_ref()
    }

    /// Notes where the fault was raised, unless an inner frame has done so.
    pub fn locate(&mut self, position: impl FnOnce() -> Position) {
        if self.0.position.is_none() {
            self.0.position = Some(position());
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("kind", &self.0.kind).field("position", &self.0.position).finish()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            FaultKind::Error(message) => f.write_str(message),
            FaultKind::Limit(limit) => limit.fmt(f),
            FaultKind::Finished(_) => f.write_str("the script has ended"),
            FaultKind::Thrown(value) => match value.describe() {
                Some(text) => f.write_str(&text),
                None => write!(f, "a value of type {} was thrown", value.type_name()),
            },
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Steps => "the script exceeded its limit of instructions",
            Limit::Memory => "the script exceeded its memory limit",
            Limit::Time => "the script exceeded its time limit",
        })
    }
}

impl std::error::Error for Fault {}
