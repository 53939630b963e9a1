//! Calls and returns that concern nothing but registers: most of them. Whatever is special is left to [`super::call`].

use crate::compile::op::{NO_REG, Reg};
use crate::value::Value;

use super::frame::{Entry, Frame, Mode};
use super::loaded::{Loaded, LoadedProto, MethodHint, Stacks};
use super::operate::Surroundings;
use super::registers::{put, put_number, wipe};

/// What a call needs beside the function.
pub(super) struct Stack<'r> {
    pub(super) stacks: &'r mut Stacks,
    pub(super) entries: &'r mut Vec<Entry>,
    /// The most entries.
    pub(super) depth: usize,
}

/// The operands of a call: how many arguments, where the result goes, the first register.
pub(super) type Operands = (u8, Reg, Reg);

/// Enters a function; false if that is not plain, and nothing has been done.
#[inline(never)]
pub(super) fn call(
    env: &mut Surroundings<'_>,
    stack: Stack<'_>,
    pc: usize,
    operands: Operands,
    proto: u32,
) -> bool {
    let callee = &env.loaded.protos[proto as usize];
    enter(env, stack, pc, operands, proto, callee, 0)
}

/// The same for a method of an object in the first register.
#[inline(never)]
pub(super) fn call_method(
    env: &mut Surroundings<'_>,
    stack: Stack<'_>,
    pc: usize,
    operands: Operands,
    name: u16,
) -> bool {
    let Some(Entry::Script(frame)) = stack.entries.last() else { return false };
    let Value::Object(object) = &stack.stacks.values[frame.base as usize + usize::from(operands.2)] else {
        return false;
    };
    let Some(instance) = object.as_instance() else { return false };
    let hint = &env.function.hints.methods[usize::from(name)];
    let known = hint.get();
    let proto = if known.class == instance.class {
        known.proto
    } else {
        let class = &env.loaded.classes[instance.class as usize];
        let Value::Str(text) = &env.function.constants[usize::from(name)] else { return false };
        let Some(method) = class.methods.get(text) else { return false };
        if method.private && env.function.proto.class != Some(instance.class) {
            return false;
        }
        hint.set(MethodHint { class: instance.class, proto: method.proto });
        method.proto
    };
    let callee = &env.loaded.protos[proto as usize];
    enter(env, stack, pc, operands, proto, callee, 1)
}

/// `before` registers come before the arguments.
#[inline(always)]
fn enter<'s>(
    env: &mut Surroundings<'s>,
    stack: Stack<'_>,
    pc: usize,
    (count, to, start): Operands,
    proto: u32,
    callee: &'s LoadedProto,
    before: usize,
) -> bool {
    let Stack { stacks, entries, depth } = stack;
    if !callee.is_plain || u16::from(count) != callee.params || entries.len() >= depth {
        return false;
    }
    let Some(Entry::Script(frame)) = entries.last_mut() else { return false };
    let base = frame.base as usize + usize::from(start);
    let end = base + usize::from(callee.registers);
    let nums = frame.nums_end as usize;
    let Some(numbers) = stacks.numbers.get_mut(nums..nums + 256) else { return false };
    let Some(registers) = stacks.values.get_mut(base..end) else { return false };
    frame.pc = pc as u32;
    frame.to = to;
    // Temporaries of the caller that are registers of the function now.
    let used = before + usize::from(count);
    let temporaries = (frame.end as usize).min(end).saturating_sub(base);
    if let Some(temporaries) = registers.get_mut(used..temporaries) {
        temporaries.iter_mut().for_each(wipe);
    }
    match &*callee.numbers {
        [] => {}
        [number] => numbers[0] = *number,
        all => numbers[..all.len()].copy_from_slice(all),
    }
    entries.push(Entry::Script(Frame {
        proto,
        pc: 0,
        base: base as u32,
        nums: nums as u32,
        end: end as u32,
        nums_end: nums as u32 + u32::from(callee.number_registers),
        to: NO_REG,
        mode: Mode::Plain,
        generator: None,
    }));
    env.function = callee;
    true
}

/// Returns to the caller; false if that is not plain, and nothing has been done.
#[inline(never)]
pub(super) fn leave<'s>(
    env: &mut Surroundings<'s>,
    loaded: &'s Loaded,
    stacks: &mut Stacks,
    entries: &mut Vec<Entry>,
    from: Reg,
) -> bool {
    let [.., Entry::Script(caller), Entry::Script(callee)] = &entries[..] else { return false };
    if callee.mode != Mode::Plain {
        return false;
    }
    let (below, registers) = stacks.values[..callee.end as usize].split_at_mut(callee.base as usize);
    let result = &mut registers[usize::from(from)];
    if matches!(result, Value::Undefined) {
        return false;
    }
    if caller.to == NO_REG {
        registers.iter_mut().for_each(wipe);
    } else if let Value::Number(number) = *result {
        // Numbers are not moved as values: a value is read in other pieces than it was written, which is slow.
        registers.iter_mut().for_each(wipe);
        put_result(below, caller, callee, registers, |slot| put_number(slot, number));
    } else {
        let value = std::mem::replace(result, Value::Undefined);
        registers.iter_mut().for_each(wipe);
        put_result(below, caller, callee, registers, |slot| put(slot, value));
    }
    env.function = &loaded.protos[caller.proto as usize];
    entries.pop();
    true
}

/// The register for the result may lie among those of the function, since arguments are temporaries of the caller.
#[inline(always)]
fn put_result(
    below: &mut [Value],
    caller: &Frame,
    callee: &Frame,
    registers: &mut [Value],
    put: impl FnOnce(&mut Value),
) {
    let target = caller.base as usize + usize::from(caller.to);
    match target.checked_sub(callee.base as usize) {
        None => put(&mut below[target]),
        Some(at) => put(&mut registers[at]),
    }
}
