//! What instructions do where the common case does not apply.

use crate::compile::op::{CONSTANT, Num, Operator, Reg};
use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, NativeRun, exceeds};
use crate::ops;
use crate::value::Value;

use super::heap::Heap;
use super::loaded::{Loaded, LoadedProto};
use super::path;
use super::registers::Numbers;

/// What an instruction may need beside registers.
pub(super) struct Surroundings<'s> {
    /// The function that runs.
    pub(super) function: &'s LoadedProto,
    pub(super) loaded: &'s Loaded,
    pub(super) heap: &'s mut Heap,
    pub(super) host: &'s mut dyn Host,
    /// What ended the loop.
    pub(super) fault: Option<Fault>,
}

impl<'s> Surroundings<'s> {
    /// The error of reading an undefined variable.
    #[cold]
    pub(super) fn undefined(&self, reg: Reg) -> Fault {
        match self.function.proto.names.get(usize::from(reg)) {
            Some(name) => Fault::error(format!("undefined variable ${name}")),
            None => Fault::error("undefined variable"),
        }
    }

    /// An operand; an undefined variable is an error.
    #[inline]
    pub(super) fn read<'r>(&self, regs: &'r [Value], reg: Reg) -> Result<&'r Value, Fault> {
        match &regs[usize::from(reg)] {
            Value::Undefined => Err(self.undefined(reg)),
            value => Ok(value),
        }
    }

    /// The same by value: that of a temporary is taken.
    #[inline]
    pub(super) fn take(&self, regs: &mut [Value], reg: Reg) -> Result<Value, Fault> {
        if reg >= CONSTANT {
            return Ok(self.function.constants[usize::from(reg - CONSTANT)].clone());
        }
        let slot = &mut regs[usize::from(reg)];
        let value = if reg >= self.function.locals {
            std::mem::replace(slot, Value::Undefined)
        } else {
            slot.clone()
        };
        if matches!(value, Value::Undefined) { Err(self.undefined(reg)) } else { Ok(value) }
    }

    #[inline]
    pub(super) fn constant(&self, index: u16) -> &Value {
        &self.function.constants[usize::from(index)]
    }
}

pub(super) fn put(regs: &mut [Value], to: Reg, value: Value) {
    regs[usize::from(to)] = value;
}

/// The bytes that a new value may have taken.
#[inline]
pub(super) fn weight(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.len() + 64,
        Value::Array(array) => array.len() * 16 + 64,
        Value::Object(_) | Value::Function(_) => 128,
        _ => 0,
    }
}

#[inline(never)]
pub(super) fn less(env: &Surroundings<'_>, regs: &[Value], a: Reg, b: Reg) -> Result<bool, Fault> {
    ops::less(env.read(regs, a)?, env.read(regs, b)?)
}

#[inline(never)]
pub(super) fn less_equal(env: &Surroundings<'_>, regs: &[Value], a: Reg, b: Reg) -> Result<bool, Fault> {
    ops::less_equal(env.read(regs, a)?, env.read(regs, b)?)
}

#[inline(never)]
pub(super) fn equal(env: &Surroundings<'_>, regs: &[Value], a: Reg, b: Reg) -> Result<bool, Fault> {
    env.read(regs, a)?.loose_eq(env.read(regs, b)?)
}

#[inline(never)]
pub(super) fn identical(env: &Surroundings<'_>, regs: &[Value], a: Reg, b: Reg) -> Result<bool, Fault> {
    env.read(regs, a)?.strict_eq(env.read(regs, b)?)
}

/// `=~`; none if it is for another thread.
#[inline(never)]
pub(super) fn matches(
    env: &mut Surroundings<'_>,
    regs: &[Value],
    a: Reg,
    b: Reg,
) -> Result<Option<bool>, Fault> {
    ops::matches(env.read(regs, a)?, env.read(regs, b)?, env.host.patterns())
}

/// An operator on two registers.
#[inline(never)]
pub(super) fn binary(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    operator: Operator,
    (to, a, b): (Reg, Reg, Reg),
) -> Result<(), Fault> {
    env.read(regs, a)?;
    let right = env.take(regs, b)?;
    let left = env.take(regs, a)?;
    let value = operate(operator, left, right)?;
    env.heap.charge(weight(&value));
    put(regs, to, value);
    Ok(())
}

#[inline(never)]
pub(super) fn binary_const(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    operator: Operator,
    (to, a, constant): (Reg, Reg, u16),
) -> Result<(), Fault> {
    let left = env.take(regs, a)?;
    let right = env.constant(constant).clone();
    let value = operate(operator, left, right)?;
    env.heap.charge(weight(&value));
    put(regs, to, value);
    Ok(())
}

/// Any operator.
pub(super) fn operate(operator: Operator, left: Value, right: Value) -> Result<Value, Fault> {
    match operator {
        Operator::Add => ops::add(left, right),
        Operator::Subtract => ops::sub(left, &right),
        Operator::Multiply => ops::mul(&left, &right),
        Operator::Divide => ops::div(&left, &right),
        Operator::Modulo => ops::rem(&left, &right),
        Operator::Power => ops::pow(&left, &right),
        Operator::Concat => ops::concat(left, &right),
        Operator::ShiftLeft => ops::shift_left(&left, &right),
        Operator::ShiftRight => ops::shift_right(&left, &right),
        Operator::ShiftRightZero => ops::shift_right_zero(&left, &right),
        Operator::BitAnd => ops::bit_and(&left, &right),
        Operator::BitOr => ops::bit_or(&left, &right),
        Operator::BitXor => ops::bit_xor(&left, &right),
        Operator::Less => ops::less(&left, &right).map(Value::Bool),
        Operator::LessEqual => ops::less_equal(&left, &right).map(Value::Bool),
        Operator::Equal => left.loose_eq(&right).map(Value::Bool),
        Operator::Identical => left.strict_eq(&right).map(Value::Bool),
        Operator::Step => match right {
            Value::Number(by) if by < 0.0 => ops::decrement(&left),
            _ => ops::increment(&left),
        },
    }
}

/// An operator on numbers that is not common, or fails.
#[inline(never)]
pub(super) fn number_operation(
    operator: Operator,
    nums: &mut Numbers,
    to: Num,
    a: Num,
    b: Num,
) -> Result<(), Fault> {
    let (left, right) = (Value::Number(nums[usize::from(a)]), Value::Number(nums[usize::from(b)]));
    let result = match operator {
        Operator::Divide => ops::div(&left, &right)?,
        Operator::Modulo => ops::rem(&left, &right)?,
        _ => ops::pow(&left, &right)?,
    };
    nums[usize::from(to)] = result.as_number().unwrap_or(f64::NAN);
    Ok(())
}

/// A value that is not a number where one is needed.
#[inline(never)]
pub(super) fn unbox(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    nums: &mut Numbers,
    (to, operator, from, left): (Num, Operator, Reg, bool),
) -> Result<(), Fault> {
    let value = env.read(regs, from)?.clone();
    if let (Value::Bool(flag), false) = (&value, matches!(operator, Operator::Less | Operator::LessEqual)) {
        nums[usize::from(to)] = f64::from(u8::from(*flag));
        return Ok(());
    }
    // The operator knows what is wrong.
    let number = Value::Number(1.0);
    let result = if left { operate(operator, number, value) } else { operate(operator, value, number) };
    match result {
        Err(fault) => Err(fault),
        Ok(_) => Err(Fault::error("a number is needed here")),
    }
}

/// The limit of a loop is not a number.
#[cold]
pub(super) fn no_limit(env: &Surroundings<'_>, regs: &[Value], or_equal: bool, limit: Reg) -> Fault {
    let checked = env.read(regs, limit).and_then(|limit| {
        let number = Value::Number(0.0);
        if or_equal { ops::less_equal(&number, limit) } else { ops::less(&number, limit) }
    });
    checked.err().unwrap_or_else(|| Fault::error("a number is needed here"))
}

#[inline(never)]
pub(super) fn increment(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    place: Reg,
    by: i16,
) -> Result<(), Fault> {
    path::update(env, regs, place, |value| {
        let next = if by < 0 { ops::decrement(value) } else { ops::increment(value) };
        next.map(|next| *value = next)
    })
}

/// Calls a native that runs at once; `false` if it does not.
#[inline(never)]
pub(super) fn call_native(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (count, to, start, native): (u8, Reg, Reg, u16),
) -> Result<bool, Fault> {
    let native = env.loaded.natives[usize::from(native)];
    let args = &mut regs[usize::from(start)..usize::from(start) + usize::from(count)];
    let run = match native.run {
        NativeRun::Inline(run) => run,
        NativeRun::Sized { above_bytes, run } if !exceeds(args, None, above_bytes) => run,
        _ => return Ok(false),
    };
    let result = run(&mut Call::new(native, None, args, env.host).with_memory(env.heap.left()));
    args.iter_mut().for_each(|arg| *arg = Value::Undefined);
    let value = result?;
    env.heap.charge(weight(&value));
    put(regs, to, value);
    Ok(true)
}
