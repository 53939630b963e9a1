//! The instructions that the loop leaves to a match of its own.

use crate::compile::op::{Op, Operator, Reg};
use crate::fault::Fault;
use crate::ops;
use crate::value::{Array, Key, Value};

use super::iterate;
use super::operate::{Surroundings, binary, equal, identical, less_equal, put, weight};
use super::path;

/// Everything that concerns one function only and is not done in the loop itself.
#[inline(never)]
pub(super) fn other(env: &mut Surroundings<'_>, regs: &mut [Value], op: Op) -> Result<(), Fault> {
    match op {
        Op::Divide { to, a, b } => binary(env, regs, Operator::Divide, (to, a, b)),
        Op::Binary { operator, to, a, b } => binary(env, regs, operator, (to, a, b)),
        Op::ConcatMany { count, to, start } => {
            let parts = &mut regs[usize::from(start)..usize::from(start) + usize::from(count)];
            let joined = ops::join(parts);
            parts.iter_mut().for_each(|part| *part = Value::Undefined);
            let value = Value::Str(joined?);
            env.heap.charge(weight(&value));
            put(regs, to, value);
            Ok(())
        }
        Op::Update { operator, place, from } => {
            let right = env.take(regs, from)?;
            path::compute(env, regs, place, operator, right)
        }
        Op::Negate { to, from } => unary(env, regs, to, from, ops::neg),
        Op::Plus { to, from } => unary(env, regs, to, from, ops::plus),
        Op::BitNot { to, from } => unary(env, regs, to, from, ops::bit_not),
        Op::Not { to, from } => unary(env, regs, to, from, |value| Ok(Value::Bool(!value.truthy()))),
        Op::LessEqual { to, a, b } => {
            let truth = less_equal(env, regs, a, b)?;
            put(regs, to, Value::Bool(truth));
            Ok(())
        }
        Op::Equal { negate, to, a, b } => {
            let truth = equal(env, regs, a, b)?;
            put(regs, to, Value::Bool(truth != negate));
            Ok(())
        }
        Op::Identical { negate, to, a, b } => {
            let truth = identical(env, regs, a, b)?;
            put(regs, to, Value::Bool(truth != negate));
            Ok(())
        }
        Op::Echo { from } => {
            let value = env.take(regs, from)?;
            match value.as_bytes() {
                Some(text) => env.host.echo(text),
                None => env.host.echo(&value.to_text()?),
            }
            Ok(())
        }
        Op::Copy { to, from } => {
            let value = env.read(regs, from)?.clone();
            put(regs, to, value);
            Ok(())
        }
        Op::MoveQuiet { to, from } => {
            let value = match &regs[usize::from(from)] {
                Value::Undefined => Value::None,
                value => value.clone(),
            };
            put(regs, to, value);
            Ok(())
        }
        _ => cells(env, regs, op),
    }
}

fn unary(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    to: Reg,
    from: Reg,
    operate: impl FnOnce(&Value) -> Result<Value, Fault>,
) -> Result<(), Fault> {
    let value = operate(env.read(regs, from)?)?;
    if from >= env.function.locals {
        put(regs, from, Value::Undefined);
    }
    put(regs, to, value);
    Ok(())
}

/// `$variable .= value`, in place.
#[inline(never)]
pub(super) fn concat_to(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    place: Reg,
    from: Reg,
) -> Result<(), Fault> {
    let right = env.take(regs, from)?;
    let bytes = right.as_bytes().map_or(16, <[u8]>::len);
    // Growth doubles the buffer now and then.
    env.heap.charge(bytes * 2);
    path::charge_variable(env, regs, place);
    path::update(env, regs, place, |value| ops::append(value, &right))
}

/// Instructions for variables that may be shared.
fn cells(env: &mut Surroundings<'_>, regs: &mut [Value], op: Op) -> Result<(), Fault> {
    match op {
        Op::CellGet { to, cell } => {
            let value = match &regs[usize::from(cell)] {
                Value::Cell(cell) => cell.get(),
                value => value.clone(),
            };
            if matches!(value, Value::Undefined) {
                return Err(env.undefined(cell));
            }
            put(regs, to, value);
        }
        Op::CellQuiet { to, cell } | Op::CellRaw { to, cell } => {
            let value = match &regs[usize::from(cell)] {
                Value::Cell(cell) => cell.get(),
                value => value.clone(),
            };
            let quiet = matches!(op, Op::CellQuiet { .. }) && matches!(value, Value::Undefined);
            put(regs, to, if quiet { Value::None } else { value });
        }
        Op::CellSet { cell, from } => {
            let slot = &mut regs[usize::from(from)];
            let value = if from >= env.function.locals {
                std::mem::replace(slot, Value::Undefined)
            } else {
                slot.clone()
            };
            match &regs[usize::from(cell)] {
                Value::Cell(shared) => shared.clone().set(value),
                _ => put(regs, cell, value),
            }
        }
        Op::CellUnset { to, cell } => {
            let old = match &regs[usize::from(cell)] {
                Value::Cell(shared) => shared.clone().take(),
                _ => std::mem::replace(&mut regs[usize::from(cell)], Value::Undefined),
            };
            put(regs, to, Value::Bool(!matches!(old, Value::Undefined)));
        }
        Op::CellIsset { to, cell } => {
            let defined = match &regs[usize::from(cell)] {
                Value::Cell(shared) => shared.with(|value| !matches!(value, Value::Undefined)),
                value => !matches!(value, Value::Undefined),
            };
            put(regs, to, Value::Bool(defined));
        }
        _ => return items(env, regs, op),
    }
    Ok(())
}

/// Instructions for items of arrays and members of objects.
fn items(env: &mut Surroundings<'_>, regs: &mut [Value], op: Op) -> Result<(), Fault> {
    match op {
        Op::IndexUpdate { operator, base, key, from } => {
            let right = env.take(regs, from)?;
            let key = env.read(regs, key)?.clone();
            path::compute_item(env, regs, base, key, operator, right)?;
        }
        Op::IndexUpdateConst { operator, base, key, from } => {
            let right = env.take(regs, from)?;
            let key = env.constant(key).clone();
            path::compute_item(env, regs, base, key, operator, right)?;
        }
        Op::PathGet { to, root, path } => {
            let value = path::get(env, regs, root, path)?;
            put(regs, to, value);
        }
        Op::PathSet { root, path, from } => {
            let value = env.take(regs, from)?;
            env.heap.charge(64);
            path::set(env, regs, root, path, value)?;
        }
        Op::PathUpdate { operator, root, path, from } => {
            let right = env.take(regs, from)?;
            path::compute_path(env, regs, root, path, operator, right)?;
        }
        Op::PathIsset { to, root, path } => {
            let found = path::isset(env, regs, root, path)?;
            put(regs, to, Value::Bool(found));
        }
        Op::PathUnset { to, root, path } => {
            let found = path::unset(env, regs, root, path)?;
            put(regs, to, Value::Bool(found));
        }
        _ => return arrays(env, regs, op),
    }
    Ok(())
}

/// Instructions that make arrays or take them apart.
fn arrays(env: &mut Surroundings<'_>, regs: &mut [Value], op: Op) -> Result<(), Fault> {
    match op {
        Op::Slice { to, base, bounds } => {
            let at = usize::from(bounds);
            for bound in &mut regs[at..at + 3] {
                if matches!(bound, Value::Undefined) {
                    *bound = Value::None;
                }
            }
            let value = ops::slice(env.read(regs, base)?, &regs[at], &regs[at + 1], &regs[at + 2])?;
            env.heap.charge(weight(&value));
            put(regs, to, value);
        }
        Op::NewArray { count, to, start } => {
            let items = &mut regs[usize::from(start)..usize::from(start) + usize::from(count)];
            let list: Vec<Value> =
                items.iter_mut().map(|item| std::mem::replace(item, Value::Undefined)).collect();
            env.heap.charge(list.len() * 16 + 64);
            put(regs, to, Value::Array(Array::from_list(list)));
        }
        Op::ArrayBegin { to, capacity } => {
            env.heap.charge(usize::from(capacity) * 16 + 64);
            put(regs, to, Value::Array(Array::new()));
        }
        Op::ArrayPush { array, from } => {
            let value = env.take(regs, from)?;
            with_array(regs, array, |array| {
                array.push(value);
                Ok(())
            })?;
        }
        Op::ArrayPut { array, key, from } => {
            let value = env.take(regs, from)?;
            let key = Key::from_value(env.take(regs, key)?);
            env.heap.charge(64);
            with_array(regs, array, |array| {
                array.set(key, value);
                Ok(())
            })?;
        }
        Op::ArraySpread { array, from } => {
            let value = env.take(regs, from)?;
            env.heap.charge(weight(&value) * 3);
            with_array(regs, array, |array| ops::spread_into(array, &value))?;
        }
        Op::ArgumentSpread { array, from } => {
            let value = env.take(regs, from)?;
            env.heap.charge(weight(&value));
            with_array(regs, array, |array| {
                let mut items = Vec::new();
                ops::spread_args(&mut items, &value)?;
                items.into_iter().for_each(|item| array.push(item));
                Ok(())
            })?;
        }
        Op::ItemAt { to, from, position } => {
            let item = ops::destructure_at(&regs[usize::from(from)], usize::from(position));
            put(regs, to, item.unwrap_or(Value::Undefined));
        }
        Op::ItemOf { to, from, key } => {
            let key = Key::from_value(env.take(regs, key)?);
            let item = regs[usize::from(from)].as_array().and_then(|array| array.get(&key));
            put(regs, to, item.unwrap_or(Value::Undefined));
        }
        Op::ItemsFrom { to, from, position } => {
            let rest = ops::destructure_rest(&regs[usize::from(from)], usize::from(position));
            env.heap.charge(rest.len() * 16);
            put(regs, to, Value::Array(rest));
        }
        Op::ForeachBegin { iterator, from } => {
            let value = env.take(regs, from)?;
            let iterator = usize::from(iterator);
            regs[iterator] = iterate::begin(value)?;
            regs[iterator + 1] = Value::Number(0.0);
        }
        other => unreachable!("{other:?} concerns other functions"),
    }
    Ok(())
}

fn with_array(
    regs: &mut [Value],
    reg: Reg,
    change: impl FnOnce(&mut Array) -> Result<(), Fault>,
) -> Result<(), Fault> {
    match &mut regs[usize::from(reg)] {
        Value::Array(array) => change(array),
        _ => unreachable!("the compiler has begun an array in this register"),
    }
}
