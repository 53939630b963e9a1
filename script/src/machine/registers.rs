//! Registers: how values and numbers are put into them. All of it is part of the loop that runs instructions.

use crate::compile::op::Reg;
use crate::value::Value;

/// A window of number registers.
pub(super) type Numbers = [f64; 256];

/// Sets a register; the old value is freed.
#[inline(always)]
pub(super) fn set(regs: &mut [Value], to: Reg, value: Value) {
    put(&mut regs[to as usize], value);
}

/// Replaces a value.
#[inline(always)]
pub(super) fn put(slot: &mut Value, value: Value) {
    if is_plain(slot) {
        // There is nothing to free, which the compiler cannot know.
        std::mem::forget(std::mem::replace(slot, value));
    } else {
        *slot = value;
    }
}

/// Whether freeing the value does nothing.
#[inline(always)]
pub(super) fn is_plain(value: &Value) -> bool {
    matches!(value, Value::Undefined | Value::None | Value::Bool(_) | Value::Number(_))
}

/// Makes a register undefined.
#[inline(always)]
pub(super) fn wipe(slot: &mut Value) {
    put(slot, Value::Undefined);
}

/// The number registers of a function.
#[inline(always)]
pub(super) fn window(numbers: &mut [f64], base: usize) -> &mut Numbers {
    let window = &mut numbers[base..base + 256];
    window.try_into().expect("256 numbers were reserved when the function was entered")
}

/// The same for a number.
#[inline(always)]
pub(super) fn set_number(regs: &mut [Value], to: Reg, number: f64) {
    put_number(&mut regs[to as usize], number);
}

/// Puts a number where mostly one is already.
#[inline(always)]
pub(super) fn put_number(slot: &mut Value, number: f64) {
    if let Value::Number(old) = slot {
        *old = number;
    } else {
        put(slot, Value::Number(number));
    }
}
