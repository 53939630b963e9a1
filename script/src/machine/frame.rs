//! What runs: functions of the script and natives that wait for them.

use crate::compile::op::Reg;
use crate::native::NativeFrame;
use crate::value::Object;

/// One level of the call stack.
pub(super) enum Entry {
    Script(Frame),
    Native(Waiting),
}

/// A function of the script that runs.
pub(super) struct Frame {
    /// The number of the function.
    pub(super) proto: u32,
    /// The instruction to go on with.
    pub(super) pc: u32,
    /// The first register.
    pub(super) base: u32,
    /// The first number register.
    pub(super) nums: u32,
    /// The first register after its own.
    pub(super) end: u32,
    /// The first number register after its own.
    pub(super) nums_end: u32,
    /// Where the result of what it called goes.
    pub(super) to: Reg,
    pub(super) mode: Mode,
    /// The generator whose function runs.
    pub(super) generator: Option<Object>,
}

/// What becomes of the result of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It goes to the caller.
    Plain,
    /// The object goes to the caller instead.
    Construct,
    /// Nobody wants it.
    Discard,
    /// A round of `foreach` asks a generator.
    Foreach,
    /// `next()` asks a generator.
    Next,
}

/// A native that waits for what it called.
pub(super) struct Waiting {
    pub(super) frame: Box<dyn NativeFrame>,
    /// The first register that nobody below uses.
    pub(super) top: u32,
    /// The first number register that nobody below uses.
    pub(super) nums_top: u32,
}
