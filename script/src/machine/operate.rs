//! What instructions do where the common case does not apply.

use crate::compile::op::{CONSTANT, NO_REG, Num, Operator, Reg};
use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, NativeRun};
use crate::ops;
use crate::value::Value;

use super::heap::Heap;
use super::iterate;
use super::loaded::{Loaded, LoadedProto};
use super::object;
use super::path;
use super::registers::{Numbers, set, set_number};

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
    let value = operate(env, operator, left, right)?;
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
    let value = operate(env, operator, left, right)?;
    env.heap.charge(weight(&value));
    put(regs, to, value);
    Ok(())
}

/// Any operator.
pub(super) fn operate(
    env: &mut Surroundings<'_>,
    operator: Operator,
    left: Value,
    right: Value,
) -> Result<Value, Fault> {
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
        Operator::Matches => ops::matches(&left, &right, env.host.patterns()).map(Value::Bool),
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
    let result =
        if left { operate(env, operator, number, value) } else { operate(env, operator, value, number) };
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

/// Calls a native that runs at once; `false` if it does not.
#[inline(never)]
pub(super) fn call_native(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    (count, to, start, native): (u8, Reg, Reg, u16),
) -> Result<bool, Fault> {
    let native = env.loaded.natives[usize::from(native)];
    let NativeRun::Inline(run) = native.run else { return Ok(false) };
    let args = &mut regs[usize::from(start)..usize::from(start) + usize::from(count)];
    let result = run(&mut Call::new(native, None, args, env.host).with_memory(env.heap.left()));
    args.iter_mut().for_each(|arg| *arg = Value::Undefined);
    let value = result?;
    env.heap.charge(weight(&value));
    put(regs, to, value);
    Ok(true)
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
