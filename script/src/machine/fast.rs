//! The loop that runs instructions.
//!
//! What is common is done here; what is rare is a call of a function that is not inlined, so that this one stays small
//! enough for the compiler to keep its state in machine registers. Around it is a loop for plain calls and returns; whatever
//! else concerns other functions goes back to the caller.

use crate::compile::op::{Op, Operator, Relation};
use crate::value::Value;

use super::frame::Entry;
use super::items;
use super::loaded::{Loaded, Stacks};
use super::numbers::{bits, holds, int32, item, list, slot, small_remainder};
use super::operate::{self, Surroundings};
use super::plain::{self, Stack};
use super::rare;
use super::registers::{put, put_number, set, set_number, window, wipe};

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
    let loaded: &'s Loaded = surroundings.loaded;
    let Some(Entry::Script(frame)) = entries.last() else { return Exit::Op };
    let mut pc = frame.pc as usize;
    let mut code = &*surroundings.function.proto.code;
    let mut regs = &mut stacks.values[frame.base as usize..frame.end as usize];
    let mut nums = window(&mut stacks.numbers, frame.nums as usize);
    let mut left = *budget;
    macro_rules! stop {
        ($exit:expr) => {
            break $exit
        };
    }
    macro_rules! fail {
        ($fault:expr) => {{
            let fault = $fault;
            surroundings.fault = Some(fault);
            stop!(Exit::Fault);
        }};
    }
    // Goes on with the function at the top of the call stack, which is another one now.
    macro_rules! switch_if {
        ($switched:expr) => {
            if !$switched {
                stop!(Exit::Op);
            }
            let Some(Entry::Script(frame)) = entries.last() else { stop!(Exit::Op) };
            pc = frame.pc as usize;
            code = &surroundings.function.proto.code;
            regs = &mut stacks.values[frame.base as usize..frame.end as usize];
            nums = window(&mut stacks.numbers, frame.nums as usize);
        };
    }
    // Does what is not common: an error ends the loop.
    macro_rules! attempt {
        ($result:expr) => {
            if let Err(fault) = $result {
                fail!(fault);
            }
        };
    }
    macro_rules! checked {
        ($result:expr) => {
            match $result {
                Ok(value) => value,
                Err(fault) => fail!(fault),
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
    macro_rules! attempt_and_count {
        ($result:expr) => {{
            attempt!($result);
            count_memory!();
        }};
    }
    macro_rules! jump_if {
        ($relation:ident, $a:expr, $b:expr, $to:expr) => {
            if holds(Relation::$relation, $a, $b) {
                pc = $to;
                branch();
            }
        };
    }
    macro_rules! loop_if {
        ($relation:ident, $a:expr, $b:expr, $to:expr) => {{
            spend!();
            jump_if!($relation, $a, $b, $to);
        }};
    }
    // The second half of a fused instruction: goes past it, or as far as it says.
    macro_rules! step_if {
        ($relation:ident, $a:expr, $b:expr, $by:expr) => {
            if holds(Relation::$relation, $a, $b) {
                pc = pc.wrapping_add_signed(isize::from($by));
                branch();
            } else {
                pc += 1;
            }
        };
    }
    macro_rules! for_if {
        ($relation:tt, $a:expr, $step:expr, $limit:expr, $to:expr) => {{
            spend!();
            let next = n!($a) + n!($step);
            n!($a) = next;
            if next $relation n!($limit) {
                pc = $to as usize;
                branch();
            }
        }};
    }
    // The same, where the condition is known.
    macro_rules! jump_by {
        ($condition:expr, $by:expr) => {
            if $condition {
                pc = pc.wrapping_add_signed(isize::from($by));
                branch();
            }
        };
    }
    // Two operations on numbers, one after the other.
    macro_rules! two {
        ($to:expr, $first:expr; $to2:expr, $second:expr) => {{
            n!($to) = $first;
            n!($to2) = $second;
            pc += 1;
        }};
    }
    // An operation on numbers, and a step.
    macro_rules! then_step {
        ($to:expr, $result:expr, $relation:ident, $left:expr, $right:expr, $by:expr) => {{
            n!($to) = $result;
            step_if!($relation, n!($left), n!($right), $by);
        }};
    }
    // Takes a number out of a value, and a step.
    macro_rules! unbox_step {
        ($unbox:expr, $value:ident, $relation:ident, $a:expr, $b:expr, $by:expr) => {{
            let (number, _, from, _) = $unbox;
            if let Value::Number($value) = r!(from) {
                n!(number) = $value;
                step_if!($relation, $a, $b, $by);
            } else {
                attempt!(operate::unbox(surroundings, regs, nums, $unbox));
            }
        }};
    }
    // An operator on two values; what is not two numbers is done elsewhere.
    macro_rules! arithmetic {
        ($to:expr, $left:expr, $operator:tt, $right:expr, $otherwise:expr) => {
            match ($left, $right) {
                (Value::Number(left), Value::Number(right)) => {
                    let result = left $operator right;
                    set_number(regs, $to, result);
                }
                _ => attempt!($otherwise),
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
    let exit = loop {
        // By reference: operands are loaded where they are used.
        let op = &code[pc];
        pc += 1;
        match *op {
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
            Op::NumConst { to, constant } => {
                n!(to) = surroundings.function.proto.more_numbers[constant as usize]
            }
            Op::NumBits { to, a, b, operator } => n!(to) = bits(operator, n!(a), n!(b)),
            Op::NumBitNot { to, from } => n!(to) = f64::from(!int32(n!(from))),
            Op::NumJumpLess { a, b, to } => jump_if!(Less, n!(a), n!(b), to as usize),
            Op::NumJumpLessEqual { a, b, to } => jump_if!(LessEqual, n!(a), n!(b), to as usize),
            Op::NumJumpEqual { a, b, to } => jump_if!(Equal, n!(a), n!(b), to as usize),
            Op::NumJumpNotLess { a, b, to } => jump_if!(NotLess, n!(a), n!(b), to as usize),
            Op::NumJumpNotLessEqual { a, b, to } => jump_if!(NotLessEqual, n!(a), n!(b), to as usize),
            Op::NumJumpNotEqual { a, b, to } => jump_if!(NotEqual, n!(a), n!(b), to as usize),
            Op::NumLoopLess { a, b, to } => loop_if!(Less, n!(a), n!(b), to as usize),
            Op::NumLoopLessEqual { a, b, to } => loop_if!(LessEqual, n!(a), n!(b), to as usize),
            Op::NumLoopEqual { a, b, to } => loop_if!(Equal, n!(a), n!(b), to as usize),
            Op::NumLoopNotLess { a, b, to } => loop_if!(NotLess, n!(a), n!(b), to as usize),
            Op::NumLoopNotLessEqual { a, b, to } => loop_if!(NotLessEqual, n!(a), n!(b), to as usize),
            Op::NumLoopNotEqual { a, b, to } => loop_if!(NotEqual, n!(a), n!(b), to as usize),
            Op::NumAddAdd { to, a, b, to2, a2, b2 } => two!(to, n!(a) + n!(b); to2, n!(a2) + n!(b2)),
            Op::NumAddSubtract { to, a, b, to2, a2, b2 } => two!(to, n!(a) + n!(b); to2, n!(a2) - n!(b2)),
            Op::NumAddMultiply { to, a, b, to2, a2, b2 } => two!(to, n!(a) + n!(b); to2, n!(a2) * n!(b2)),
            Op::NumAddMove { to, a, b, to2, from } => two!(to, n!(a) + n!(b); to2, n!(from)),
            Op::NumSubtractAdd { to, a, b, to2, a2, b2 } => two!(to, n!(a) - n!(b); to2, n!(a2) + n!(b2)),
            Op::NumSubtractSubtract { to, a, b, to2, a2, b2 } => {
                two!(to, n!(a) - n!(b); to2, n!(a2) - n!(b2))
            }
            Op::NumSubtractMultiply { to, a, b, to2, a2, b2 } => {
                two!(to, n!(a) - n!(b); to2, n!(a2) * n!(b2))
            }
            Op::NumSubtractMove { to, a, b, to2, from } => two!(to, n!(a) - n!(b); to2, n!(from)),
            Op::NumMultiplyAdd { to, a, b, to2, a2, b2 } => two!(to, n!(a) * n!(b); to2, n!(a2) + n!(b2)),
            Op::NumMultiplySubtract { to, a, b, to2, a2, b2 } => {
                two!(to, n!(a) * n!(b); to2, n!(a2) - n!(b2))
            }
            Op::NumMultiplyMultiply { to, a, b, to2, a2, b2 } => {
                two!(to, n!(a) * n!(b); to2, n!(a2) * n!(b2))
            }
            Op::NumMultiplyMove { to, a, b, to2, from } => two!(to, n!(a) * n!(b); to2, n!(from)),
            Op::NumModuloJumpEqual { to, a, b, left, right, by } => match small_remainder(n!(a), n!(b)) {
                Some(result) => then_step!(to, result, Equal, left, right, by),
                // The jump follows.
                None => attempt!(operate::number_operation(Operator::Modulo, nums, to, a, b)),
            },
            Op::NumModuloJumpNotEqual { to, a, b, left, right, by } => match small_remainder(n!(a), n!(b)) {
                Some(result) => then_step!(to, result, NotEqual, left, right, by),
                // The jump follows.
                None => attempt!(operate::number_operation(Operator::Modulo, nums, to, a, b)),
            },
            Op::NumAddJumpNotLess { to, a, b, left, right, by } => {
                then_step!(to, n!(a) + n!(b), NotLess, left, right, by);
            }
            Op::NumAddJumpNotLessEqual { to, a, b, left, right, by } => {
                then_step!(to, n!(a) + n!(b), NotLessEqual, left, right, by);
            }
            Op::NumAddLoopLess { to, a, b, left, right, by } => {
                spend!();
                then_step!(to, n!(a) + n!(b), Less, left, right, by);
            }
            Op::NumAddLoopLessEqual { to, a, b, left, right, by } => {
                spend!();
                then_step!(to, n!(a) + n!(b), LessEqual, left, right, by);
            }
            Op::NumSubtractLoopLess { to, a, b, left, right, by } => {
                spend!();
                then_step!(to, n!(a) - n!(b), Less, left, right, by);
            }
            Op::NumSubtractLoopLessEqual { to, a, b, left, right, by } => {
                spend!();
                then_step!(to, n!(a) - n!(b), LessEqual, left, right, by);
            }
            Op::NumForLess { a, step, limit, to } => for_if!(<, a, step, limit, to),
            Op::NumForLessEqual { a, step, limit, to } => for_if!(<=, a, step, limit, to),
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
            Op::UnboxJumpNotLess { number, other, operator, from, by } => {
                unbox_step!((number, operator, from, false), value, NotLess, value, n!(other), by);
            }
            Op::UnboxJumpNotLessRight { number, other, operator, from, by } => {
                unbox_step!((number, operator, from, true), value, NotLess, n!(other), value, by);
            }
            Op::UnboxJumpNotLessEqual { number, other, operator, from, by } => {
                unbox_step!((number, operator, from, false), value, NotLessEqual, value, n!(other), by);
            }
            Op::UnboxJumpNotLessEqualRight { number, other, operator, from, by } => {
                unbox_step!((number, operator, from, true), value, NotLessEqual, n!(other), value, by);
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
                    _ => checked!(operate::less(surroundings, regs, a, b)),
                };
                jump_by!(truth == when, by);
            }
            Op::LessEqualJump { when, a, b, by } => {
                let truth = match (&r!(a), &r!(b)) {
                    (Value::Number(a), Value::Number(b)) => a <= b,
                    _ => checked!(operate::less_equal(surroundings, regs, a, b)),
                };
                jump_by!(truth == when, by);
            }
            Op::EqualConstJump { when, a, constant, by } => {
                let truth = match (&r!(a), &surroundings.function.constants[constant as usize]) {
                    (Value::Number(a), Value::Number(b)) => a == b,
                    (Value::Str(a), Value::Str(b)) => a == b,
                    (Value::Undefined, _) => fail!(surroundings.undefined(a)),
                    (left, right) => checked!(left.loose_eq(right)),
                };
                jump_by!(truth == when, by);
            }
            Op::EqualJump { when, a, b, by } => {
                let truth = match (&r!(a), &r!(b)) {
                    (Value::Number(a), Value::Number(b)) => a == b,
                    (Value::Str(a), Value::Str(b)) => a == b,
                    _ => checked!(operate::equal(surroundings, regs, a, b)),
                };
                jump_by!(truth == when, by);
            }
            Op::IdenticalJump { when, a, b, by } => match operate::identical(surroundings, regs, a, b) {
                Ok(truth) => {
                    jump_by!(truth == when, by);
                }
                Err(fault) => fail!(fault),
            },
            Op::IdenticalConstJump { when, a, constant, by } => {
                let truth = match (&r!(a), &surroundings.function.constants[constant as usize]) {
                    (Value::None, right) => right.is_none(),
                    (Value::Undefined, _) => fail!(surroundings.undefined(a)),
                    (left, right) => checked!(left.strict_eq(right)),
                };
                jump_by!(truth == when, by);
            }

            Op::Const { to, constant } => {
                set(regs, to, surroundings.function.constants[constant as usize].clone())
            }
            Op::Move { to, from } => {
                if let Value::Number(number) = r!(from) {
                    set_number(regs, to, number);
                } else {
                    let value = if from >= surroundings.function.locals {
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
            Op::Add { to, a, b } => arithmetic!(to, &r!(a), +, &r!(b), {
                operate::binary(surroundings, regs, Operator::Add, (to, a, b))
            }),
            Op::Subtract { to, a, b } => arithmetic!(to, &r!(a), -, &r!(b), {
                operate::binary(surroundings, regs, Operator::Subtract, (to, a, b))
            }),
            Op::Multiply { to, a, b } => arithmetic!(to, &r!(a), *, &r!(b), {
                operate::binary(surroundings, regs, Operator::Multiply, (to, a, b))
            }),
            Op::AddConst { to, a, constant } => arithmetic!(to, &r!(a), +, surroundings.constant(constant), {
                operate::binary_const(surroundings, regs, Operator::Add, (to, a, constant))
            }),
            Op::SubtractConst { to, a, constant } => {
                arithmetic!(to, &r!(a), -, surroundings.constant(constant), {
                    operate::binary_const(surroundings, regs, Operator::Subtract, (to, a, constant))
                })
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
                None => attempt!(items::index_number(surroundings, regs, (to, base, n!(key)))),
            },
            Op::IndexSetNum { key, base, from } => {
                let value = checked!(surroundings.take(regs, from));
                match slot(&mut r!(base), n!(key)) {
                    Some(slot) => put(slot, value),
                    None => attempt!(items::set_index_number(surroundings, regs, base, n!(key), value)),
                }
            }
            Op::NumIndexNum { number, key, to, base } => match item(&r!(base), n!(key)) {
                Some(Value::Number(item)) => {
                    n!(number) = *item;
                    pc += 1;
                }
                _ => attempt!(items::index_number(surroundings, regs, (to, base, n!(key)))),
            },
            Op::NumIndex { number, to, base, key } => match items::peek(&r!(base), &r!(key)) {
                Some(Value::Number(item)) => {
                    n!(number) = *item;
                    pc += 1;
                    if key >= surroundings.function.locals {
                        wipe(&mut r!(key));
                    }
                }
                _ => attempt!(items::index(surroundings, regs, (to, base, key))),
            },
            Op::NumIndexConst { number, to, base, key } => {
                match items::peek_const(surroundings, &r!(base), key) {
                    Some(Value::Number(item)) => {
                        n!(number) = *item;
                        pc += 1;
                    }
                    _ => attempt!(items::index_const(surroundings, regs, (to, base, key))),
                }
            }
            Op::BoxIndexSetNum { from, key, to, base } => match slot(&mut r!(base), n!(key)) {
                Some(slot) => {
                    let number = n!(from);
                    put_number(slot, number);
                    pc += 1;
                }
                None => set_number(regs, to, n!(from)),
            },
            Op::BoxIndexSetConst { from, to, base, key } => {
                match items::slot_const(surroundings, &mut r!(base), key) {
                    Some(slot) => {
                        put_number(slot, n!(from));
                        pc += 1;
                    }
                    None => set_number(regs, to, n!(from)),
                }
            }
            Op::BoxAppend { from, to, base } => match list(&mut r!(base)) {
                Some(list) if list.len() < list.capacity() => {
                    list.push(Value::Number(n!(from)));
                    surroundings.heap.charge(32);
                    pc += 1;
                    count_memory!();
                }
                _ => set_number(regs, to, n!(from)),
            },
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
                attempt!(items::index_const(surroundings, regs, (to, base, key)));
            }
            Op::Index { to, base, key } => attempt!(items::index(surroundings, regs, (to, base, key))),
            Op::Append { base, from } => {
                attempt_and_count!(items::append(surroundings, regs, base, from))
            }
            Op::IndexSet { base, key, from } => {
                attempt_and_count!(items::index_set(surroundings, regs, (base, key, from)))
            }
            Op::ConcatTo { place, from } => {
                attempt_and_count!(rare::concat_to(surroundings, regs, place, from))
            }
            Op::Concat { to, a, b } => {
                attempt_and_count!(operate::binary(surroundings, regs, Operator::Concat, (to, a, b)))
            }
            Op::IndexSetConst { base, key, from } => {
                attempt_and_count!(items::index_set_const(surroundings, regs, (base, key, from)))
            }
            Op::PropertySet { base, name, from } => {
                attempt_and_count!(items::property_set(surroundings, regs, (base, name, from)))
            }
            Op::PropertyUpdate { operator, base, name, from } => {
                attempt_and_count!(items::property_update(surroundings, regs, operator, (base, name, from)))
            }
            Op::Property { to, base, name } => {
                attempt!(items::property(surroundings, regs, (to, base, name)))
            }
            Op::CallNative { count, to, start, native } => {
                spend!();
                match operate::call_native(surroundings, regs, (count, to, start, native)) {
                    Ok(true) => count_memory!(),
                    Ok(false) => stop!(Exit::Op),
                    Err(fault) => fail!(fault),
                }
            }
            Op::Matches { negate, to, a, b } => match operate::matches(surroundings, regs, a, b) {
                Ok(Some(truth)) => set(regs, to, Value::Bool(truth != negate)),
                Ok(None) => stop!(Exit::Op),
                Err(fault) => fail!(fault),
            },
            Op::CallProto { count, to, start, proto } => {
                spend!();
                let stack = Stack { stacks, entries, depth };
                switch_if!(plain::call(surroundings, stack, pc, (count, to, start), u32::from(proto)));
            }
            Op::CallMethod { count, to, start, name } => {
                spend!();
                let stack = Stack { stacks, entries, depth };
                switch_if!(plain::call_method(surroundings, stack, pc, (count, to, start), name));
            }
            Op::Return { from } => {
                switch_if!(plain::leave(surroundings, loaded, stacks, entries, from));
            }
            Op::CallClass { .. }
            | Op::CallValue { .. }
            | Op::CallSpread { .. }
            | Op::CallMethodSpread { .. }
            | Op::RunModule { .. } => {
                spend!();
                stop!(Exit::Op);
            }
            Op::ReturnNone
            | Op::Throw { .. }
            | Op::Rethrow { .. }
            | Op::NoMatch { .. }
            | Op::Yield { .. }
            | Op::Closure { .. }
            | Op::BreakPoint { .. }
            | Op::BindGlobal { .. } => stop!(Exit::Op),
            Op::ForeachNext { iterator, value, key } => {
                match items::foreach_next(surroundings, regs, (iterator, value, key)) {
                    Ok(Some(true)) => {}
                    Ok(Some(false)) => pc += 1,
                    Ok(None) => stop!(Exit::Op),
                    Err(fault) => fail!(fault),
                }
            }
            // All are named, so that the jump table needs no default.
            #[rustfmt::skip] // a list
            Op::Copy { .. } | Op::MoveQuiet { .. } | Op::CellGet { .. } | Op::CellQuiet { .. }
            | Op::CellRaw { .. } | Op::CellSet { .. } | Op::CellUnset { .. } | Op::CellIsset { .. }
            | Op::Divide { .. } | Op::Binary { .. } | Op::ConcatMany { .. } | Op::Negate { .. }
            | Op::Plus { .. } | Op::BitNot { .. } | Op::Not { .. } | Op::LessEqual { .. }
            | Op::Equal { .. } | Op::Identical { .. } | Op::Echo { .. }
            | Op::Update { .. } | Op::PathGet { .. } | Op::PathSet { .. } | Op::PathUpdate { .. }
            | Op::IndexUpdate { .. } | Op::IndexUpdateConst { .. } | Op::PathIsset { .. }
            | Op::PathUnset { .. } | Op::Slice { .. } | Op::NewArray { .. } | Op::ArrayBegin { .. }
            | Op::ArrayPush { .. } | Op::ArrayPut { .. } | Op::ArraySpread { .. }
            | Op::ArgumentSpread { .. } | Op::ItemAt { .. } | Op::ItemOf { .. } | Op::ItemsFrom { .. }
            | Op::ForeachBegin { .. } => attempt_and_count!(rare::other(surroundings, regs, *op)),
        }
    };
    *budget = left;
    if let Some(Entry::Script(frame)) = entries.last_mut() {
        frame.pc = pc as u32;
    }
    exit
}

/// Keeps a conditional jump a branch. As a conditional move, which the compiler likes here, the program counter would wait
/// for the condition in each round, and loops take five times as long.
#[inline(always)]
fn branch() {
    std::hint::black_box(());
}
