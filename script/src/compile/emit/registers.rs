//! Registers, labels and constants of the function that is being made.

use std::collections::HashMap;
use std::sync::Arc;

use crate::compile::op::{Num, Op, Reg};
use crate::compile::program::{Constant, Handler, Path};
use crate::source::Span;
use crate::value::Frozen;

use super::fuse::fuse;

/// Number registers for variables and temporaries come first while code is made; those of constants from here.
pub(super) const FIRST_NUMBER_CONSTANT: u8 = 192;
const MAX_NUMBER_CONSTANTS: usize = 256 - FIRST_NUMBER_CONSTANT as usize;
/// Registers of one function: 64 KiB of values.
const MAX_REGISTERS: usize = 4096;

/// A place in the code that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Label(u32);

/// What must be given back: see [`Code::mark`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    reg: usize,
    num: usize,
}

/// A key that finds an equal constant.
#[derive(PartialEq, Eq, Hash)]
enum ConstantKey {
    None,
    Bool(bool),
    Number(u64),
    Str(Arc<[u8]>),
    Native(usize),
    NativeClass(usize),
    Function(u32),
    Class(u32),
}

/// The code of one function, as far as it is made.
#[derive(Default)]
pub(super) struct Code {
    pub(super) ops: Vec<Op>,
    pub(super) spans: Vec<Span>,
    pub(super) constants: Vec<Constant>,
    known: HashMap<ConstantKey, u16>,
    pub(super) numbers: Vec<f64>,
    number_index: HashMap<u64, Num>,
    pub(super) more_numbers: Vec<f64>,
    pub(super) paths: Vec<Path>,
    pub(super) capture_lists: Vec<Box<[Reg]>>,
    pub(super) handlers: Vec<Handler>,
    labels: Vec<u32>,
    patches: Vec<(u32, Label)>,
    handler_labels: Vec<Label>,
    pub(super) locals: usize,
    next_reg: usize,
    pub(super) max_reg: usize,
    next_num: usize,
    pub(super) max_num: usize,
    /// Jumps reach anywhere, at the price of one more instruction.
    pub(super) long: bool,
    /// Why the function cannot be compiled.
    pub(super) overflow: Option<&'static str>,
}

impl Code {
    /// Variables have their registers; temporaries come after them.
    pub(super) fn begin(&mut self, locals: usize, number_variables: usize) {
        self.locals = locals;
        self.next_reg = locals;
        self.max_reg = locals;
        self.next_num = number_variables;
        self.max_num = number_variables;
        if locals > MAX_REGISTERS {
            self.overflow = Some("the function has too many variables");
        }
    }

    pub(super) fn emit(&mut self, op: Op, span: Span) {
        self.ops.push(op);
        self.spans.push(span);
    }

    /// The temporaries in use.
    pub(super) fn mark(&self) -> Mark {
        Mark { reg: self.next_reg, num: self.next_num }
    }

    /// Gives back the temporaries taken since the mark.
    pub(super) fn release(&mut self, mark: Mark) {
        self.next_reg = mark.reg;
        self.next_num = mark.num;
    }

    /// A temporary.
    pub(super) fn temp(&mut self) -> Reg {
        let reg = self.next_reg;
        self.next_reg += 1;
        self.max_reg = self.max_reg.max(self.next_reg);
        if self.next_reg > MAX_REGISTERS {
            self.overflow = Some("the function is too complex");
            return (MAX_REGISTERS - 1) as Reg;
        }
        reg as Reg
    }

    /// Several temporaries in a row.
    pub(super) fn temps(&mut self, count: usize) -> Reg {
        let first = self.temp();
        for _ in 1..count {
            self.temp();
        }
        first
    }

    /// A temporary for a number.
    pub(super) fn num_temp(&mut self) -> Num {
        let num = self.next_num;
        if num >= usize::from(FIRST_NUMBER_CONSTANT) {
            self.overflow = Some("an expression is too complex");
            return FIRST_NUMBER_CONSTANT - 1;
        }
        self.next_num += 1;
        self.max_num = self.max_num.max(self.next_num);
        num as Num
    }

    /// Whether the register is a temporary.
    pub(super) fn is_temp(&self, reg: Reg) -> bool {
        usize::from(reg) >= self.locals
    }

    /// A number register that holds a constant.
    pub(super) fn number(&mut self, number: f64, span: Span) -> Num {
        if let Some(num) = self.number_index.get(&number.to_bits()) {
            return *num;
        }
        if self.numbers.len() < MAX_NUMBER_CONSTANTS {
            let num = FIRST_NUMBER_CONSTANT + self.numbers.len() as u8;
            self.numbers.push(number);
            self.number_index.insert(number.to_bits(), num);
            return num;
        }
        let to = self.num_temp();
        let constant = self.more_numbers.len();
        if constant > usize::from(u16::MAX) {
            self.overflow = Some("the function has too many constants");
            return to;
        }
        self.more_numbers.push(number);
        self.emit(Op::NumConst { to, constant: constant as u16 }, span);
        to
    }

    /// The number in a register of constants.
    pub(super) fn number_of(&self, num: Num) -> Option<f64> {
        self.numbers.get(usize::from(num.checked_sub(FIRST_NUMBER_CONSTANT)?)).copied()
    }

    /// The index of a constant.
    pub(super) fn constant(&mut self, constant: Constant) -> u16 {
        let key = match &constant {
            Constant::Value(Frozen::None) => Some(ConstantKey::None),
            Constant::Value(Frozen::Bool(flag)) => Some(ConstantKey::Bool(*flag)),
            Constant::Value(Frozen::Number(number)) => Some(ConstantKey::Number(number.to_bits())),
            Constant::Value(Frozen::Str(text)) => Some(ConstantKey::Str(text.clone())),
            Constant::Native(native) => Some(ConstantKey::Native(std::ptr::from_ref(*native).addr())),
            Constant::NativeClass(class) => Some(ConstantKey::NativeClass(std::ptr::from_ref(*class).addr())),
            Constant::Function(id) => Some(ConstantKey::Function(*id)),
            Constant::Class(id) => Some(ConstantKey::Class(*id)),
            Constant::Value(_) => None,
        };
        if let Some(index) = key.as_ref().and_then(|key| self.known.get(key)) {
            return *index;
        }
        if self.constants.len() > usize::from(u16::MAX) {
            self.overflow = Some("the function has too many constants");
            return 0;
        }
        let index = self.constants.len() as u16;
        self.constants.push(constant);
        if let Some(key) = key {
            self.known.insert(key, index);
        }
        index
    }

    pub(super) fn path(&mut self, path: Path) -> u16 {
        if self.paths.len() > usize::from(u16::MAX) {
            self.overflow = Some("the function is too large");
            return 0;
        }
        self.paths.push(path);
        (self.paths.len() - 1) as u16
    }

    pub(super) fn capture_list(&mut self, registers: Box<[Reg]>) -> u16 {
        if self.capture_lists.len() > usize::from(u16::MAX) {
            self.overflow = Some("the function is too large");
            return 0;
        }
        self.capture_lists.push(registers);
        (self.capture_lists.len() - 1) as u16
    }

    /// A label to be placed later.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(u32::MAX);
        Label(self.labels.len() as u32 - 1)
    }

    /// A label here.
    pub(super) fn here(&mut self) -> Label {
        let label = self.label();
        self.place(label);
        label
    }

    /// Places a label here.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.ops.len() as u32;
    }

    /// A jump whose target is filled in at the end.
    pub(super) fn jump(&mut self, op: Op, label: Label, span: Span) {
        self.patches.push((self.ops.len() as u32, label));
        self.emit(op, span);
    }

    /// Errors in `start..` go on at `target`.
    pub(super) fn handle(&mut self, start: usize, target: Label, register: Reg) {
        self.handlers.push(Handler { start: start as u32, end: self.ops.len() as u32, target: 0, register });
        self.handler_labels.push(target);
    }

    /// Fills in targets and gives number registers their final places.
    pub(super) fn finish(&mut self) {
        for (at, label) in std::mem::take(&mut self.patches) {
            let target = self.labels[label.0 as usize];
            let by = i64::from(target) - i64::from(at) - 1;
            if !set_target(&mut self.ops[at as usize], target, i16::try_from(by).ok()) {
                self.overflow = Some("the function is too large");
            }
        }
        for (handler, label) in self.handlers.iter_mut().zip(&self.handler_labels) {
            handler.target = self.labels[label.0 as usize];
        }
        let constants = self.numbers.len() as u8;
        for op in &mut self.ops {
            place_numbers(op, constants);
        }
        fuse(&mut self.ops, self.locals);
    }
}

/// Sets where a jump goes; false if it cannot reach that far.
fn set_target(op: &mut Op, target: u32, distance: Option<i16>) -> bool {
    match op {
        Op::Jump { to }
        | Op::Loop { to }
        | Op::JumpIf { to, .. }
        | Op::JumpSet { to, .. }
        | Op::JumpDefined { to, .. }
        | Op::NumJumpLess { to, .. }
        | Op::NumJumpLessEqual { to, .. }
        | Op::NumJumpEqual { to, .. }
        | Op::NumJumpNotLess { to, .. }
        | Op::NumJumpNotLessEqual { to, .. }
        | Op::NumJumpNotEqual { to, .. }
        | Op::NumLoopLess { to, .. }
        | Op::NumLoopLessEqual { to, .. }
        | Op::NumLoopEqual { to, .. }
        | Op::NumLoopNotLess { to, .. }
        | Op::NumLoopNotLessEqual { to, .. }
        | Op::NumLoopNotEqual { to, .. }
        | Op::NumForLess { to, .. }
        | Op::NumForLessEqual { to, .. } => *to = target,
        Op::LessJump { by, .. }
        | Op::LessEqualJump { by, .. }
        | Op::NumForReg { by, .. }
        | Op::EqualJump { by, .. }
        | Op::IdenticalJump { by, .. }
        | Op::EqualConstJump { by, .. }
        | Op::IdenticalConstJump { by, .. } => match distance {
            Some(distance) => *by = distance,
            None => return false,
        },
        other => unreachable!("{other:?} is not a jump"),
    }
    true
}

/// Constants take the first number registers; variables and temporaries come after them.
fn place_numbers(op: &mut Op, constants: u8) {
    let place = |num: &mut Num| {
        *num = match num.checked_sub(FIRST_NUMBER_CONSTANT) {
            Some(constant) => constant,
            None => num.saturating_add(constants),
        };
    };
    match op {
        Op::Box { from: a, .. } | Op::Unbox { to: a, .. } | Op::NumConst { to: a, .. } => place(a),
        Op::IndexNum { key, .. } | Op::IndexSetNum { key, .. } => place(key),
        Op::NumMove { to, from } | Op::NumNegate { to, from } | Op::NumBitNot { to, from } => {
            place(to);
            place(from);
        }
        Op::NumAdd { to, a, b }
        | Op::NumSubtract { to, a, b }
        | Op::NumMultiply { to, a, b }
        | Op::NumDivide { to, a, b }
        | Op::NumModulo { to, a, b }
        | Op::NumPower { to, a, b }
        | Op::NumBits { to, a, b, .. } => {
            place(to);
            place(a);
            place(b);
        }
        Op::NumCompare { a, b, .. }
        | Op::NumJumpLess { a, b, .. }
        | Op::NumJumpLessEqual { a, b, .. }
        | Op::NumJumpEqual { a, b, .. }
        | Op::NumJumpNotLess { a, b, .. }
        | Op::NumJumpNotLessEqual { a, b, .. }
        | Op::NumJumpNotEqual { a, b, .. }
        | Op::NumLoopLess { a, b, .. }
        | Op::NumLoopLessEqual { a, b, .. }
        | Op::NumLoopEqual { a, b, .. }
        | Op::NumLoopNotLess { a, b, .. }
        | Op::NumLoopNotLessEqual { a, b, .. }
        | Op::NumLoopNotEqual { a, b, .. } => {
            place(a);
            place(b);
        }
        Op::NumForReg { a, step, .. } => {
            place(a);
            place(step);
        }
        Op::NumForLess { a, step, limit, .. } | Op::NumForLessEqual { a, step, limit, .. } => {
            place(a);
            place(step);
            place(limit);
        }
        _ => {}
    }
}
