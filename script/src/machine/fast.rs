//! The loop that runs instructions.
//!
//! What is common is done here; what is rare is a call of a function that is not inlined, so that this one stays small
//! enough for the compiler to keep its state in machine registers. Around it is a loop for plain calls and returns; whatever
//! else concerns other functions goes back to the caller.

use crate::compile::op::{NO_REG, Op, Operator, Reg, Relation};
use crate::value::{Array, Value};

use super::frame::{Entry, Frame, Mode};
use super::loaded::{Loaded, Stacks};
use super::operate::{self, Surroundings};
use super::rare;

/// A window of number registers.
pub(super) type Numbers = [f64; 256];

/// Why the loop ended. Small, so that it comes back in a machine register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// The budget is used up; the instruction at the program counter has not run.
    Budget,
    /// [`Surroundings::fault`] says what is wrong.
    Fault,
    /// The instruction before the program counter is for the caller.
    Op,
    /// It is time to count memory.
    Memory,
}

/// Runs the function at the top of the call stack, and plain calls from there, until something is to be done elsewhere.
pub(super) fn run<'s>(
    surroundings: &mut Surroundings<'s>,
    stacks: &mut Stacks,
    entries: &mut Vec<Entry>,
    depth: usize,
    budget: &mut u32,
) -> Exit {
    let Some(Entry::Script(frame)) = entries.last() else { return Exit::Op };
    let loaded: &'s Loaded = surroundings.loaded;
    let mut pc = frame.pc as usize;
    let mut base = frame.base as usize;
    let mut end = frame.end as usize;
    let mut nums_base = frame.nums as usize;
    loop {
        let regs = &mut stacks.values[base..end];
        let nums = window(&mut stacks.numbers, nums_base);
        let exit;
        (pc, exit) = one_function(surroundings, pc, regs, nums, budget);
        let Some(Entry::Script(frame)) = entries.last_mut() else { return exit };
        frame.pc = pc as u32;
        if exit != Exit::Op {
            return exit;
        }
        match surroundings.code[pc - 1] {
            Op::CallProto { count, to, start, proto } => {
                let callee = &loaded.protos[usize::from(proto)];
                let first = base + usize::from(start);
                let last = first + usize::from(callee.proto.registers);
                let caller_end = end;
                let next_nums = frame.nums_end as usize;
                let plain = callee.is_plain && u16::from(count) == callee.proto.params;
                let fits = last <= stacks.values.len() && next_nums + 256 <= stacks.numbers.len();
                frame.to = to;
                if !plain || !fits || entries.len() >= depth {
                    return Exit::Op;
                }
                // Temporaries of the caller that are registers of the function now.
                let used = first + usize::from(count);
                if used < caller_end.min(last) {
                    stacks.values[used..caller_end.min(last)].iter_mut().for_each(wipe);
                }
                (pc, base, end, nums_base) = (0, first, last, next_nums);
                for (number, constant) in stacks.numbers[nums_base..].iter_mut().zip(&callee.proto.numbers) {
                    *number = *constant;
                }
                entries.push(Entry::Script(Frame {
                    proto: u32::from(proto),
                    pc: 0,
                    base: base as u32,
                    nums: nums_base as u32,
                    end: end as u32,
                    nums_end: (nums_base + usize::from(callee.proto.number_registers)) as u32,
                    to: NO_REG,
                    mode: Mode::Plain,
                    generator: None,
                }));
                surroundings.switch(callee);
            }
            Op::Return { from } => {
                let [.., Entry::Script(caller), Entry::Script(callee)] = &entries[..] else {
                    return Exit::Op;
                };
                let slot = base + usize::from(from);
                if callee.mode != Mode::Plain || matches!(stacks.values[slot], Value::Undefined) {
                    return Exit::Op;
                }
                let target = caller.base as usize + usize::from(caller.to);
                let is_wanted = caller.to != NO_REG;
                // Numbers are not moved as values: a value is read in other pieces than it was written, which is slow.
                if let (Value::Number(number), true) = (&stacks.values[slot], is_wanted) {
                    let number = *number;
                    stacks.values[base..end].iter_mut().for_each(wipe);
                    set_number(&mut stacks.values[target..], 0, number);
                } else {
                    let value = std::mem::replace(&mut stacks.values[slot], Value::Undefined);
                    stacks.values[base..end].iter_mut().for_each(wipe);
                    if is_wanted {
                        set(&mut stacks.values[target..], 0, value);
                    }
                }
                pc = caller.pc as usize;
                base = caller.base as usize;
                end = caller.end as usize;
                nums_base = caller.nums as usize;
                surroundings.switch(&loaded.protos[caller.proto as usize]);
                entries.pop();
            }
            _ => return Exit::Op,
        }
    }
}

/// Runs instructions of one function. Returns where it stopped.
fn one_function(
    surroundings: &mut Surroundings<'_>,
    mut pc: usize,
    regs: &mut [Value],
    nums: &mut Numbers,
    budget: &mut u32,
) -> (usize, Exit) {
    let code = surroundings.code;
    let mut left = *budget;
    macro_rules! stop {
        ($exit:expr) => {{
            *budget = left;
            return (pc, $exit);
        }};
    }
    macro_rules! fail {
        ($fault:expr) => {{
            let fault = $fault;
            surroundings.fault = Some(fault);
            stop!(Exit::Fault);
        }};
    }
    // Does what is not common: an error ends the loop.
    macro_rules! attempt {
        ($result:expr) => {
            if let Err(fault) = $result {
                fail!(fault);
            }
        };
    }
    macro_rules! spend {
        () => {
            if left == 0 {
                pc -= 1;
                stop!(Exit::Budget);
            }
            left -= 1;
        };
    }
    macro_rules! count_memory {
        () => {
            if surroundings.heap.is_over() {
                stop!(Exit::Memory);
            }
        };
    }
    macro_rules! r {
        ($reg:expr) => {
            regs[$reg as usize]
        };
    }
    macro_rules! n {
        ($num:expr) => {
            nums[$num as usize]
        };
    }
    loop {
        let op = code[pc];
        pc += 1;
        match op {
            Op::NumAdd { to, a, b } => n!(to) = n!(a) + n!(b),
            Op::NumSubtract { to, a, b } => n!(to) = n!(a) - n!(b),
            Op::NumMultiply { to, a, b } => n!(to) = n!(a) * n!(b),
            Op::NumDivide { to, a, b } => {
                if n!(b) == 0.0 {
                    attempt!(operate::number_operation(Operator::Divide, nums, to, a, b));
                } else {
                    n!(to) = n!(a) / n!(b);
                }
            }
            Op::NumModulo { to, a, b } => match small_remainder(n!(a), n!(b)) {
                Some(result) => n!(to) = result,
                None => attempt!(operate::number_operation(Operator::Modulo, nums, to, a, b)),
            },
            Op::NumPower { to, a, b } => attempt!(operate::number_operation(Operator::Power, nums, to, a, b)),
            Op::NumNegate { to, from } => n!(to) = -n!(from),
            Op::NumMove { to, from } => n!(to) = n!(from),
            Op::NumConst { to, constant } => n!(to) = surroundings.proto.more_numbers[constant as usize],
            Op::NumBits { to, a, b, operator } => n!(to) = bits(operator, n!(a), n!(b)),
            Op::NumBitNot { to, from } => n!(to) = f64::from(!int32(n!(from))),
            Op::NumJump { relation, a, b, to } => {
                if holds(relation, n!(a), n!(b)) {
                    pc = to as usize;
                    branch();
                }
            }
            Op::NumLoop { relation, a, b, to } => {
                spend!();
                if holds(relation, n!(a), n!(b)) {
                    pc = to as usize;
                    branch();
                }
            }
            Op::NumForLess { a, step, limit, to } => {
                spend!();
                let next = n!(a) + n!(step);
                n!(a) = next;
                if next < n!(limit) {
                    pc = to as usize;
                    branch();
                }
            }
            Op::NumForLessEqual { a, step, limit, to } => {
                spend!();
                let next = n!(a) + n!(step);
                n!(a) = next;
                if next <= n!(limit) {
                    pc = to as usize;
                    branch();
                }
            }
            Op::NumForReg { a, step, or_equal, limit, by } => {
                spend!();
                let Value::Number(limit) = r!(limit) else {
                    fail!(operate::no_limit(surroundings, regs, or_equal, limit));
                };
                let next = n!(a) + n!(step);
                n!(a) = next;
                if next < limit || (or_equal && next == limit) {
                    pc = pc.wrapping_add_signed(isize::from(by));
                    branch();
                }
            }
            Op::NumCompare { to, a, b, relation } => {
                let result = holds(relation, n!(a), n!(b));
                set(regs, to, Value::Bool(result));
            }
            Op::Box { to, from } => set_number(regs, to, n!(from)),
            Op::Unbox { to, operator, from, left } => match &r!(from) {
                Value::Number(number) => n!(to) = *number,
                _ => attempt!(operate::unbox(surroundings, regs, nums, (to, operator, from, left))),
            },

            Op::Jump { to } => pc = to as usize,
            Op::Loop { to } => {
                spend!();
                pc = to as usize;
            }
            Op::JumpIf { when, from, to } => {
                let truth = match &r!(from) {
                    Value::Bool(flag) => *flag,
                    Value::Undefined => fail!(surroundings.undefined(from)),
                    other => other.truthy(),
                };
                if truth == when {
                    pc = to as usize;
                    branch();
                }
            }
            Op::JumpSet { from, to } => {
                if !matches!(r!(from), Value::None | Value::Undefined) {
                    pc = to as usize;
                    branch();
                }
            }
            Op::JumpDefined { from, to } => {
                if !matches!(r!(from), Value::Undefined) {
                    pc = to as usize;
                    branch();
                }
            }
            Op::LessJump { when, a, b, by } => {
                let truth = match (&r!(a), &r!(b)) {
                    (Value::Number(a), Value::Number(b)) => a < b,
                    _ => match operate::less(surroundings, regs, a, b) {
                        Ok(truth) => truth,
                        Err(fault) => fail!(fault),
                    },
                };
                if truth == when {
                    pc = pc.wrapping_add_signed(isize::from(by));
                    branch();
                }
            }
            Op::LessEqualJump { when, a, b, by } => {
                let truth = match (&r!(a), &r!(b)) {
                    (Value::Number(a), Value::Number(b)) => a <= b,
                    _ => match operate::less_equal(surroundings, regs, a, b) {
                        Ok(truth) => truth,
                        Err(fault) => fail!(fault),
                    },
                };
                if truth == when {
                    pc = pc.wrapping_add_signed(isize::from(by));
                    branch();
                }
            }
            Op::EqualConstJump { when, a, constant, by } => {
                let truth = match (&r!(a), &surroundings.constants[constant as usize]) {
                    (Value::Number(a), Value::Number(b)) => a == b,
                    (Value::Str(a), Value::Str(b)) => a == b,
                    (Value::Undefined, _) => fail!(surroundings.undefined(a)),
                    (left, right) => match left.loose_eq(right) {
                        Ok(truth) => truth,
                        Err(fault) => fail!(fault),
                    },
                };
                if truth == when {
                    pc = pc.wrapping_add_signed(isize::from(by));
                    branch();
                }
            }
            Op::EqualJump { when, a, b, by } => {
                let truth = match (&r!(a), &r!(b)) {
                    (Value::Number(a), Value::Number(b)) => a == b,
                    (Value::Str(a), Value::Str(b)) => a == b,
                    _ => match operate::equal(surroundings, regs, a, b) {
                        Ok(truth) => truth,
                        Err(fault) => fail!(fault),
                    },
                };
                if truth == when {
                    pc = pc.wrapping_add_signed(isize::from(by));
                    branch();
                }
            }
            Op::IdenticalJump { when, a, b, by } => match operate::identical(surroundings, regs, a, b) {
                Ok(truth) => {
                    if truth == when {
                        pc = pc.wrapping_add_signed(isize::from(by));
                        branch();
                    }
                }
                Err(fault) => fail!(fault),
            },
            Op::IdenticalConstJump { when, a, constant, by } => {
                let truth = match (&r!(a), &surroundings.constants[constant as usize]) {
                    (Value::None, right) => right.is_none(),
                    (Value::Undefined, _) => fail!(surroundings.undefined(a)),
                    (left, right) => match left.strict_eq(right) {
                        Ok(truth) => truth,
                        Err(fault) => fail!(fault),
                    },
                };
                if truth == when {
                    pc = pc.wrapping_add_signed(isize::from(by));
                    branch();
                }
            }

            Op::Const { to, constant } => set(regs, to, surroundings.constants[constant as usize].clone()),
            Op::Move { to, from } => {
                if let Value::Number(number) = r!(from) {
                    set_number(regs, to, number);
                } else {
                    let value = if from >= surroundings.locals {
                        std::mem::replace(&mut r!(from), Value::Undefined)
                    } else {
                        r!(from).clone()
                    };
                    if matches!(value, Value::Undefined) {
                        fail!(surroundings.undefined(from));
                    }
                    set(regs, to, value);
                }
            }
            Op::Clear { reg } => set(regs, reg, Value::Undefined),
            Op::Add { to, a, b } => match (&r!(a), &r!(b)) {
                (Value::Number(x), Value::Number(y)) => {
                    let result = x + y;
                    set_number(regs, to, result);
                }
                _ => attempt!(operate::binary(surroundings, regs, Operator::Add, (to, a, b))),
            },
            Op::Subtract { to, a, b } => match (&r!(a), &r!(b)) {
                (Value::Number(x), Value::Number(y)) => {
                    let result = x - y;
                    set_number(regs, to, result);
                }
                _ => attempt!(operate::binary(surroundings, regs, Operator::Subtract, (to, a, b))),
            },
            Op::Multiply { to, a, b } => match (&r!(a), &r!(b)) {
                (Value::Number(x), Value::Number(y)) => {
                    let result = x * y;
                    set_number(regs, to, result);
                }
                _ => attempt!(operate::binary(surroundings, regs, Operator::Multiply, (to, a, b))),
            },
            Op::AddConst { to, a, constant } => match (&r!(a), &surroundings.constants[constant as usize]) {
                (Value::Number(x), Value::Number(y)) => {
                    let result = x + y;
                    set_number(regs, to, result);
                }
                _ => attempt!(operate::binary_const(surroundings, regs, Operator::Add, (to, a, constant))),
            },
            Op::SubtractConst { to, a, constant } => {
                match (&r!(a), &surroundings.constants[constant as usize]) {
                    (Value::Number(x), Value::Number(y)) => {
                        let result = x - y;
                        set_number(regs, to, result);
                    }
                    _ => attempt!(operate::binary_const(
                        surroundings,
                        regs,
                        Operator::Subtract,
                        (to, a, constant)
                    )),
                }
            }
            Op::Increment { place, by } => match &mut r!(place) {
                Value::Number(number) => *number += f64::from(by),
                _ => attempt!(operate::increment(surroundings, regs, place, by)),
            },
            Op::Less { to, a, b } => match operate::less(surroundings, regs, a, b) {
                Ok(truth) => set(regs, to, Value::Bool(truth)),
                Err(fault) => fail!(fault),
            },
            Op::IndexNum { to, base, key } => match item(&r!(base), n!(key)) {
                Some(Value::Number(number)) => {
                    let number = *number;
                    set_number(regs, to, number);
                }
                Some(Value::Bool(flag)) => {
                    let flag = *flag;
                    set(regs, to, Value::Bool(flag));
                }
                Some(value) => {
                    let value = value.clone();
                    set(regs, to, value);
                }
                None => attempt!(operate::index_number(surroundings, regs, (to, base, n!(key)))),
            },
            Op::IndexSetNum { key, base, from } => {
                let value = match surroundings.take(regs, from) {
                    Ok(value) => value,
                    Err(fault) => fail!(fault),
                };
                match slot(&mut r!(base), n!(key)) {
                    Some(slot) if is_plain(slot) => std::mem::forget(std::mem::replace(slot, value)),
                    Some(slot) => *slot = value,
                    None => attempt!(operate::set_index_number(surroundings, regs, base, n!(key), value)),
                }
            }
            Op::Length { to, from } => match &r!(from) {
                Value::Str(text) => {
                    let length = text.len() as f64;
                    set_number(regs, to, length);
                }
                Value::Array(array) => {
                    let length = array.len() as f64;
                    set_number(regs, to, length);
                }
                Value::Undefined => fail!(surroundings.undefined(from)),
                _ => set(regs, to, Value::None),
            },
            Op::IndexConst { to, base, key } => {
                attempt!(operate::index_const(surroundings, regs, (to, base, key)));
            }
            Op::Index { to, base, key } => attempt!(operate::index(surroundings, regs, (to, base, key))),
            Op::Append { base, from } => {
                attempt!(operate::append(surroundings, regs, base, from));
                count_memory!();
            }
            Op::IndexSet { base, key, from } => {
                attempt!(operate::index_set(surroundings, regs, (base, key, from)));
                count_memory!();
            }
            Op::ConcatTo { place, from } => {
                attempt!(rare::concat_to(surroundings, regs, place, from));
                count_memory!();
            }
            Op::Concat { to, a, b } => {
                attempt!(operate::binary(surroundings, regs, Operator::Concat, (to, a, b)));
                count_memory!();
            }
            Op::IndexSetConst { base, key, from } => {
                attempt!(operate::index_set_const(surroundings, regs, (base, key, from)));
                count_memory!();
            }
            Op::PropertySet { base, name, from } => {
                attempt!(operate::property_set(surroundings, regs, (base, name, from)));
                count_memory!();
            }
            Op::PropertyUpdate { operator, base, name, from } => {
                attempt!(operate::property_update(surroundings, regs, operator, (base, name, from)));
                count_memory!();
            }
            Op::Property { to, base, name } => {
                attempt!(operate::property(surroundings, regs, (to, base, name)))
            }
            Op::CallNative { count, to, start, native } => {
                spend!();
                match operate::call_native(surroundings, regs, (count, to, start, native)) {
                    Ok(true) => count_memory!(),
                    Ok(false) => stop!(Exit::Op),
                    Err(fault) => fail!(fault),
                }
            }
            Op::CallProto { .. }
            | Op::CallClass { .. }
            | Op::CallValue { .. }
            | Op::CallMethod { .. }
            | Op::CallSpread { .. }
            | Op::CallMethodSpread { .. }
            | Op::RunModule { .. } => {
                spend!();
                stop!(Exit::Op);
            }
            Op::Return { .. }
            | Op::ReturnNone
            | Op::Throw { .. }
            | Op::Rethrow { .. }
            | Op::NoMatch { .. }
            | Op::Yield { .. }
            | Op::Closure { .. }
            | Op::BindGlobal { .. } => stop!(Exit::Op),
            Op::ForeachNext { iterator, value, key } => {
                match operate::foreach_next(surroundings, regs, (iterator, value, key)) {
                    Ok(Some(true)) => {}
                    Ok(Some(false)) => pc += 1,
                    Ok(None) => stop!(Exit::Op),
                    Err(fault) => fail!(fault),
                }
            }
            _ => {
                attempt!(rare::other(surroundings, regs, op));
                count_memory!();
            }
        }
    }
}

/// Keeps a conditional jump a branch. As a conditional move, which the compiler likes here, the program counter would wait
/// for the condition in each round, and loops take five times as long.
#[inline(always)]
fn branch() {
    std::hint::black_box(());
}

/// Sets a register; the old value is freed.
#[inline(always)]
pub(super) fn set(regs: &mut [Value], to: Reg, value: Value) {
    let slot = &mut regs[to as usize];
    if is_plain(slot) {
        // There is nothing to free, which the compiler cannot know.
        std::mem::forget(std::mem::replace(slot, value));
    } else {
        *slot = value;
    }
}

/// Whether freeing the value does nothing.
#[inline(always)]
fn is_plain(value: &Value) -> bool {
    matches!(value, Value::Undefined | Value::None | Value::Bool(_) | Value::Number(_))
}

/// Makes a register undefined.
#[inline(always)]
fn wipe(slot: &mut Value) {
    if is_plain(slot) {
        std::mem::forget(std::mem::replace(slot, Value::Undefined));
    } else {
        *slot = Value::Undefined;
    }
}

/// The number registers of a function.
#[inline(always)]
fn window(numbers: &mut [f64], base: usize) -> &mut Numbers {
    let window = &mut numbers[base..base + 256];
    window.try_into().expect("256 numbers were reserved when the function was entered")
}

/// The same for a number, which mostly replaces a number.
#[inline(always)]
pub(super) fn set_number(regs: &mut [Value], to: Reg, number: f64) {
    match &mut regs[to as usize] {
        Value::Number(old) => *old = number,
        other => *other = Value::Number(number),
    }
}

#[inline(always)]
fn holds(relation: Relation, a: f64, b: f64) -> bool {
    match relation {
        Relation::Less => a < b,
        Relation::LessEqual => a <= b,
        Relation::Equal => a == b,
        #[expect(
            clippy::neg_cmp_op_on_partial_ord,
            reason = "NaN is neither less nor not less by any other operator"
        )]
        Relation::NotLess => !(a < b),
        #[expect(clippy::neg_cmp_op_on_partial_ord, reason = "as above")]
        Relation::NotLessEqual => !(a <= b),
        Relation::NotEqual => a != b,
    }
}

/// The remainder of integers that fit into 32 bits, without the slow general one. A result of -0 is left to that.
#[inline(always)]
fn small_remainder(a: f64, b: f64) -> Option<f64> {
    let (x, y) = (a as i32, b as i32);
    (x >= 0 && y > 0 && f64::from(x) == a && f64::from(y) == b).then(|| f64::from((x as u32) % (y as u32)))
}

/// The integer part modulo 2^32.
#[inline(always)]
fn int32(number: f64) -> i32 {
    let integer = number as i64;
    if integer.unsigned_abs() < 1 << 53 { integer as i32 } else { crate::ops::to_int32(number) }
}

#[inline(always)]
fn bits(operator: Operator, a: f64, b: f64) -> f64 {
    let (a, b) = (int32(a), int32(b));
    match operator {
        Operator::BitAnd => f64::from(a & b),
        Operator::BitOr => f64::from(a | b),
        Operator::BitXor => f64::from(a ^ b),
        Operator::ShiftLeft => f64::from(a.wrapping_shl(b as u32)),
        Operator::ShiftRight => f64::from(a.wrapping_shr(b as u32)),
        _ => f64::from((a as u32).wrapping_shr(b as u32)),
    }
}

/// The item of a list.
#[inline(always)]
fn item(base: &Value, key: f64) -> Option<&Value> {
    let Value::Array(array) = base else { return None };
    let at = usize::try_from(key as i64).ok()?;
    array.as_list()?.get(at)
}

/// The item of a list that nobody shares, to be replaced.
#[inline(always)]
fn slot(base: &mut Value, key: f64) -> Option<&mut Value> {
    let Value::Array(array) = base else { return None };
    let at = usize::try_from(key as i64).ok()?;
    Array::as_list_mut(array)?.get_mut(at)
}
