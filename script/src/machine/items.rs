//! Instructions on items and properties where the common case does not apply.

use crate::compile::op::{CONSTANT, NO_REG, Operator, Reg};
use crate::fault::Fault;
use crate::value::Value;

use super::iterate;
use super::object;
use super::operate::{Surroundings, put};
use super::path;
use super::registers::{set, set_number};

#[inline(never)]
pub(super) fn index_number(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (to, base, key): (Reg, Reg, f64),
) -> Result<(), Fault> {
    let value = object::index(env, env.read(regs, base)?, &Value::Number(key))?;
    put(regs, to, value);
    Ok(())
}

#[inline(never)]
pub(super) fn set_index_number(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    base: Reg,
    key: f64,
    value: Value,
) -> Result<(), Fault> {
    path::set_index(env, regs, base, Value::Number(key), value)
}

#[inline(never)]
pub(super) fn index(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (to, base, key): (Reg, Reg, Reg),
) -> Result<(), Fault> {
    let value = match peek(&regs[usize::from(base)], &regs[usize::from(key)]) {
        Some(value) => value.clone(),
        None => object::index(env, env.read(regs, base)?, env.read(regs, key)?)?,
    };
    if key >= env.function.locals && key != to {
        put(regs, key, Value::Undefined);
    }
    put(regs, to, value);
    Ok(())
}

/// The item of an array where it is stored, for keys that are texts.
#[inline]
pub(super) fn peek<'r>(base: &'r Value, key: &Value) -> Option<&'r Value> {
    match (base, key) {
        (Value::Array(array), Value::Str(text)) => array.peek_text(text),
        _ => None,
    }
}

/// The same for a constant key.
#[inline]
pub(super) fn peek_const<'r>(env: &Surroundings<'_>, base: &'r Value, key: u16) -> Option<&'r Value> {
    let at = usize::from(key);
    match base {
        Value::Array(array) => array.peek_at(&env.function.keys[at], &env.function.hints.positions[at]),
        _ => None,
    }
}

/// The item of an array that nobody shares, to be replaced.
#[inline]
pub(super) fn slot_const<'r>(env: &Surroundings<'_>, base: &'r mut Value, key: u16) -> Option<&'r mut Value> {
    let at = usize::from(key);
    match base {
        Value::Array(array) => array.own_slot_at(&env.function.keys[at], &env.function.hints.positions[at]),
        _ => None,
    }
}

#[inline(never)]
pub(super) fn index_const(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (to, base, key): (Reg, Reg, u16),
) -> Result<(), Fault> {
    if let Value::Array(array) = &regs[usize::from(base)] {
        match peek_const(env, &regs[usize::from(base)], key) {
            Some(Value::Number(number)) => {
                let number = *number;
                set_number(regs, to, number);
            }
            Some(value) => {
                let value = value.clone();
                set(regs, to, value);
            }
            None => {
                let value = array.get(&env.function.keys[usize::from(key)]).unwrap_or_default();
                set(regs, to, value);
            }
        }
        return Ok(());
    }
    let value = object::index(env, env.read(regs, base)?, env.constant(key))?;
    put(regs, to, value);
    Ok(())
}

#[inline(never)]
pub(super) fn property(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (to, base, name): (Reg, Reg, u16),
) -> Result<(), Fault> {
    let at = usize::from(name);
    if let (Value::Object(object), Value::Str(text)) = (&regs[usize::from(base)], &env.function.constants[at])
        && let Some(instance) = object.as_instance()
    {
        object::check(env, instance, text, false)?;
        let fields = instance.fields.borrow();
        if let Some(value) = fields.get_at(text, &env.function.hints.positions[at])
            && !value.is_none()
        {
            let value = value.clone();
            drop(fields);
            set(regs, to, value);
            return Ok(());
        }
    }
    let value = object::property(env, env.read(regs, base)?, env.constant(name))?;
    put(regs, to, value);
    Ok(())
}

#[inline(never)]
pub(super) fn index_set(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (base, key, from): (Reg, Reg, Reg),
) -> Result<(), Fault> {
    let value = env.take(regs, from)?;
    let key = env.take(regs, key)?;
    path::set_index(env, regs, base, key, value)
}

#[inline(never)]
pub(super) fn index_set_const(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (base, key, from): (Reg, u16, Reg),
) -> Result<(), Fault> {
    let value = env.take(regs, from)?;
    if let Some(slot) = slot_const(env, &mut regs[usize::from(base)], key) {
        *slot = value;
        return Ok(());
    }
    let key = env.constant(key).clone();
    path::set_index(env, regs, base, key, value)
}

#[inline(never)]
pub(super) fn property_set(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (base, name, from): (Reg, u16, Reg),
) -> Result<(), Fault> {
    let value = env.take(regs, from)?;
    let function = env.function;
    let constants = &function.constants;
    let at = usize::from(name);
    if let (Value::Object(object), Value::Str(text)) = (&regs[usize::from(base)], &constants[at])
        && let Some(instance) = object.as_instance()
    {
        object::check(env, instance, text, true)?;
        let mut fields = instance.fields.borrow_mut();
        if let Some(slot) = fields.get_mut_at(text, &env.function.hints.positions[at]) {
            let old = std::mem::replace(slot, value);
            // What it frees may look at the object.
            drop(fields);
            drop(old);
            return Ok(());
        }
    }
    path::set_property(env, regs, base, &constants[at], value)
}

/// `$object->name op= value`
#[inline(never)]
pub(super) fn property_update(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    operator: Operator,
    (base, name, from): (Reg, u16, Reg),
) -> Result<(), Fault> {
    let function = env.function;
    let constants = &function.constants;
    let at = usize::from(name);
    let right =
        if from >= CONSTANT { &constants[usize::from(from - CONSTANT)] } else { &regs[usize::from(from)] };
    if let (Value::Object(object), Value::Str(name), Value::Number(right)) =
        (&regs[usize::from(base)], &constants[at], right)
        && let (Some(instance), Operator::Add | Operator::Subtract | Operator::Step) =
            (object.as_instance(), operator)
    {
        object::check(env, instance, name, true)?;
        let hint = &env.function.hints.positions[at];
        if let Some(Value::Number(left)) = instance.fields.borrow_mut().get_mut_at(name, hint) {
            *left += if operator == Operator::Subtract { -right } else { *right };
            return Ok(());
        }
    }
    let right = env.take(regs, from)?;
    path::compute_item(env, regs, base, constants[at].clone(), operator, right)
}

#[inline(never)]
pub(super) fn append(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    base: Reg,
    from: Reg,
) -> Result<(), Fault> {
    let value = env.take(regs, from)?;
    env.heap.charge(32);
    if let Value::Array(array) = &mut regs[usize::from(base)]
        && let Some(list) = array.as_list_mut()
    {
        list.push(value);
        return Ok(());
    }
    path::append(env, regs, base, value)
}

/// A round of `foreach`: whether there is an item; `None` if a generator has to be asked.
#[inline(never)]
pub(super) fn foreach_next(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (iterator, value, key): (Reg, Reg, Reg),
) -> Result<Option<bool>, Fault> {
    let _ = env;
    let at = usize::from(iterator);
    match &regs[at] {
        Value::Array(array) => {
            let cursor = regs[at + 1].as_number().unwrap_or(0.0) as usize;
            let next = match array.as_list() {
                Some(list) if key == NO_REG => list.get(cursor).map(|item| (None, item.clone(), cursor + 1)),
                _ => array.next_from(cursor).map(|(key, item, next)| (Some(key), item, next)),
            };
            let Some((item_key, item, next)) = next else { return Ok(Some(false)) };
            regs[at + 1] = Value::Number(next as f64);
            put(regs, value, item);
            if let (Some(item_key), true) = (item_key, key != NO_REG) {
                put(regs, key, item_key.into_value());
            }
            Ok(Some(true))
        }
        Value::Object(object) => match iterate::next(object) {
            iterate::Round::Generator => Ok(None),
            iterate::Round::End => Ok(Some(false)),
            iterate::Round::Item(item_key, item) => {
                put(regs, value, item);
                if key != NO_REG {
                    put(regs, key, item_key);
                }
                Ok(Some(true))
            }
        },
        _ => Ok(Some(false)),
    }
}
