//! Assignment targets: changes in place, through arrays, objects and shared variables.

use crate::compile::op::{Operator, Reg};
use crate::compile::program::PathStep;
use crate::fault::Fault;
use crate::ops;
use crate::value::{Instance, Str, Value};

use super::object;
use super::operate::{Surroundings, operate, weight};

/// A step with its key evaluated.
enum Step {
    Key(Value),
    Append,
    Slice([Value; 3]),
}

/// What happens at the end of a path.
type Change<'c> = &'c mut dyn FnMut(&mut Surroundings<'_>, &mut Value) -> Result<(), Fault>;

/// Notes the copy that a change of a shared value makes.
#[inline]
fn charge_copy(env: &mut Surroundings<'_>, value: &Value) {
    match value {
        Value::Array(array) if array.is_shared() => env.heap.charge(array.len() * 48),
        Value::Str(text) if text.is_shared() => env.heap.charge(text.len()),
        _ => {}
    }
}

/// The same for a variable, in its register or its cell.
#[inline]
pub(super) fn charge_variable(env: &mut Surroundings<'_>, regs: &[Value], place: Reg) {
    match &regs[usize::from(place)] {
        Value::Cell(cell) => cell.with(|value| charge_copy(env, value)),
        value => charge_copy(env, value),
    }
}

/// Changes a variable, in its register or its cell.
#[inline]
pub(super) fn update(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    place: Reg,
    change: impl FnOnce(&mut Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    match &mut regs[usize::from(place)] {
        Value::Undefined => Err(env.undefined(place)),
        Value::Cell(cell) => {
            let cell = cell.clone();
            let mut value = cell.take();
            if matches!(value, Value::Undefined) {
                return Err(env.undefined(place));
            }
            let result = change(&mut value);
            cell.set(value);
            result
        }
        value => change(value),
    }
}

/// The same for a variable that may be undefined.
#[inline]
fn change(
    regs: &mut [Value],
    place: Reg,
    change: impl FnOnce(&mut Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    match &mut regs[usize::from(place)] {
        Value::Cell(cell) => {
            let cell = cell.clone();
            let mut value = cell.take();
            let result = change(&mut value);
            cell.set(value);
            result
        }
        value => change(value),
    }
}

/// `$variable op= right`
pub(super) fn compute(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    place: Reg,
    operator: Operator,
    right: Value,
) -> Result<(), Fault> {
    if matches!(regs[usize::from(place)], Value::Undefined) {
        return Err(env.undefined(place));
    }
    let mut right = Some(right);
    let mut undefined = false;
    change(regs, place, |value| {
        undefined = matches!(value, Value::Undefined);
        if undefined { Ok(()) } else { apply(env, operator, value, right.take().unwrap_or_default()) }
    })?;
    if undefined { Err(env.undefined(place)) } else { Ok(()) }
}

/// Replaces a value by the result of an operator; an error leaves it as it was.
fn apply(
    env: &mut Surroundings<'_>,
    operator: Operator,
    value: &mut Value,
    right: Value,
) -> Result<(), Fault> {
    charge_copy(env, value);
    if operator == Operator::Concat {
        env.heap.charge(right.as_bytes().map_or(16, <[u8]>::len) * 2);
        return ops::append(value, &right);
    }
    // Arrays are taken, so that they grow in place; what can fail with an array at the left is only its size.
    let in_place = matches!((&*value, &right), (Value::Array(left), right)
        if operator == Operator::Add && left.len() + right.as_array().map_or(1, crate::value::Array::len) < crate::limits::MAX_ARRAY_ITEMS);
    let left = if in_place { std::mem::take(value) } else { value.clone() };
    env.heap.charge(weight(&right));
    let result = operate(operator, left, right)?;
    if !in_place {
        env.heap.charge(weight(&result));
    }
    *value = result;
    Ok(())
}

/// `$variable[key] = value`
#[inline]
pub(super) fn set_index(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    base: Reg,
    key: Value,
    value: Value,
) -> Result<(), Fault> {
    env.heap.charge(48);
    charge_variable(env, regs, base);
    change(regs, base, |target| set_item(env, target, key, value))
}

fn set_item(env: &Surroundings<'_>, target: &mut Value, key: Value, value: Value) -> Result<(), Fault> {
    if let Value::Object(object) = target {
        return match object.as_instance() {
            Some(instance) => set_field(env, instance, &object::property_name(key)?, value),
            None => Err(Fault::error(format!("properties of {} cannot be assigned", object.class_name()))),
        };
    }
    ops::set_index(target, key, value)
}

fn set_field(env: &Surroundings<'_>, instance: &Instance, name: &Str, value: Value) -> Result<(), Fault> {
    object::check(env, instance, name, true)?;
    let old = instance.fields.borrow_mut().insert(name.clone(), value);
    drop(old);
    Ok(())
}

/// `$variable->name = value`
#[inline]
pub(super) fn set_property(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    base: Reg,
    name: &Value,
    value: Value,
) -> Result<(), Fault> {
    env.heap.charge(48);
    let Value::Str(name) = name else { unreachable!("names of properties are strings") };
    let name = name.clone();
    let target = match &regs[usize::from(base)] {
        Value::Object(object) => object.clone(),
        Value::Cell(cell) => match cell.get() {
            Value::Object(object) => object,
            other => return Err(no_properties(&other)),
        },
        Value::Undefined => return Err(env.undefined(base)),
        other => return Err(no_properties(other)),
    };
    match target.as_instance() {
        Some(instance) => set_field(env, instance, &name, value),
        None => Err(Fault::error(format!("properties of {} cannot be assigned", target.class_name()))),
    }
}

fn no_properties(value: &Value) -> Fault {
    Fault::error(format!("a {} has no properties to assign", value.type_name()))
}

/// `$variable[] = value`
#[inline]
pub(super) fn append(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    base: Reg,
    value: Value,
) -> Result<(), Fault> {
    charge_variable(env, regs, base);
    change(regs, base, |target| ops::push_item(target, value))
}

/// The keys of a path.
fn steps(env: &Surroundings<'_>, regs: &[Value], path: u16) -> Result<Vec<Step>, Fault> {
    let path = &env.function.proto.paths[usize::from(path)];
    path.iter()
        .map(|step| {
            Ok(match step {
                PathStep::Index(reg) => Step::Key(env.read(regs, *reg)?.clone()),
                PathStep::IndexConst(constant) | PathStep::Property(constant) => {
                    Step::Key(env.constant(*constant).clone())
                }
                PathStep::Append => Step::Append,
                PathStep::Slice(first) => {
                    let at = usize::from(*first);
                    let bound = |at: usize| match &regs[at] {
                        Value::Undefined => Value::None,
                        value => value.clone(),
                    };
                    Step::Slice([bound(at), bound(at + 1), bound(at + 2)])
                }
            })
        })
        .collect()
}

/// The value at the end of a path; none where there is nothing.
pub(super) fn get(env: &Surroundings<'_>, regs: &[Value], root: Reg, path: u16) -> Result<Value, Fault> {
    let mut value = match &regs[usize::from(root)] {
        Value::Cell(cell) => cell.get(),
        value => value.clone(),
    };
    for step in steps(env, regs, path)? {
        value = match step {
            Step::Key(key) => object::index(env, &value, &key)?,
            Step::Append => return Err(Fault::error("[] without a key can only be assigned to")),
            Step::Slice([first, last, step]) => ops::slice(&value, &first, &last, &step)?,
        };
    }
    Ok(value)
}

/// `path = value`
pub(super) fn set(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    root: Reg,
    path: u16,
    value: Value,
) -> Result<(), Fault> {
    let mut steps = steps(env, regs, path)?;
    let last = steps.pop();
    let mut value = Some(value);
    change(regs, root, |target| {
        walk(env, target, &steps, &mut |env, target| {
            let value = value.take().unwrap_or_default();
            charge_copy(env, target);
            match &last {
                Some(Step::Key(key)) => set_item(env, target, key.clone(), value),
                Some(Step::Append) => ops::push_item(target, value),
                Some(Step::Slice([first, last, step])) => {
                    if !step.is_none() {
                        return Err(Fault::error("a slice that is assigned to has no step"));
                    }
                    ops::assign_slice(target, first, last, &value)
                }
                None => {
                    *target = value;
                    Ok(())
                }
            }
        })
    })
}

/// `$variable[key] op= right`, and the same of a property.
pub(super) fn compute_item(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    root: Reg,
    key: Value,
    operator: Operator,
    right: Value,
) -> Result<(), Fault> {
    let mut right = Some(right);
    let step = [Step::Key(key)];
    change(regs, root, |target| {
        walk(env, target, &step, &mut |env, target| {
            apply(env, operator, target, right.take().unwrap_or_default())
        })
    })
}

/// `path op= right`
pub(super) fn compute_path(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    root: Reg,
    path: u16,
    operator: Operator,
    right: Value,
) -> Result<(), Fault> {
    let steps = steps(env, regs, path)?;
    let mut right = Some(right);
    let mut reader = |env: &mut Surroundings<'_>, target: &mut Value| {
        if matches!(target, Value::Undefined) {
            *target = Value::None;
        }
        apply(env, operator, target, right.take().unwrap_or_default())
    };
    if steps.is_empty() {
        return compute_static(env, regs, root, &mut reader);
    }
    change(regs, root, |target| walk(env, target, &steps, &mut reader))
}

fn compute_static(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    root: Reg,
    change_it: Change<'_>,
) -> Result<(), Fault> {
    change(regs, root, |target| change_it(env, target))
}

/// Goes down a path, making arrays where there is nothing yet.
fn walk(
    env: &mut Surroundings<'_>,
    target: &mut Value,
    steps: &[Step],
    change: Change<'_>,
) -> Result<(), Fault> {
    let Some((step, rest)) = steps.split_first() else { return change(env, target) };
    charge_copy(env, target);
    match step {
        Step::Key(key) => {
            if let Value::Object(object) = target {
                let object = object.clone();
                let Some(instance) = object.as_instance() else {
                    return Err(Fault::error(format!(
                        "properties of {} cannot be assigned",
                        object.class_name()
                    )));
                };
                let name = object::property_name(key.clone())?;
                // An object behind a property is reached by reading; everything else changes the property.
                let inner = instance.fields.borrow().get(&name).cloned();
                let through = matches!(inner, Some(Value::Object(_))) && !rest.is_empty();
                object::check(env, instance, &name, !through)?;
                drop(inner);
                // The value is taken out meanwhile: nothing that happens below may find the fields borrowed.
                let mut value = match instance.fields.borrow_mut().get_mut(&name) {
                    Some(slot) => std::mem::take(slot),
                    None => Value::None,
                };
                let result = walk(env, &mut value, rest, change);
                let old = instance.fields.borrow_mut().insert(name, value);
                drop(old);
                return result;
            }
            walk(env, ops::place(target, key.clone())?, rest, change)
        }
        Step::Append => walk(env, ops::place_new(target)?, rest, change),
        Step::Slice(_) => Err(Fault::error("a slice can only be the last step of an assignment")),
    }
}

/// `isset(path)`
pub(super) fn isset(env: &Surroundings<'_>, regs: &[Value], root: Reg, path: u16) -> Result<bool, Fault> {
    let mut steps = steps(env, regs, path)?;
    let last = steps.pop();
    let mut value = match &regs[usize::from(root)] {
        Value::Cell(cell) => cell.get(),
        value => value.clone(),
    };
    for step in steps {
        value = match step {
            Step::Key(key) => object::index(env, &value, &key)?,
            Step::Append | Step::Slice(_) => return Ok(false),
        };
    }
    let Some(Step::Key(key)) = last else { return Ok(false) };
    match &value {
        Value::Object(object) => match object.as_instance() {
            Some(instance) => {
                let name = object::property_name(key)?;
                object::check(env, instance, &name, false)?;
                let found = instance.fields.borrow().get(&name).is_some();
                Ok(found || env.loaded.classes[instance.class as usize].methods.get(&name).is_some())
            }
            None => Ok(ops::is_set(&value, &key)),
        },
        _ => Ok(ops::is_set(&value, &key)),
    }
}

/// `unset(path)`: whether there was something.
pub(super) fn unset(
    env: &mut Surroundings<'_>,
    regs: &mut [Value],
    root: Reg,
    path: u16,
) -> Result<bool, Fault> {
    let mut steps = steps(env, regs, path)?;
    let last = steps.pop();
    let mut removed = false;
    change(regs, root, |target| {
        removed = unset_in(env, target, &steps, last.as_ref())?;
        Ok(())
    })?;
    Ok(removed)
}

fn unset_in(
    env: &mut Surroundings<'_>,
    target: &mut Value,
    steps: &[Step],
    last: Option<&Step>,
) -> Result<bool, Fault> {
    charge_copy(env, target);
    let Some((step, rest)) = steps.split_first() else { return unset_last(env, target, last) };
    let Step::Key(key) = step else { return Ok(false) };
    if let Value::Object(object) = target {
        let object = object.clone();
        let Some(instance) = object.as_instance() else { return Ok(false) };
        let name = object::property_name(key.clone())?;
        object::check(env, instance, &name, false)?;
        let Some(mut value) = instance.fields.borrow_mut().get_mut(&name).map(std::mem::take) else {
            return Ok(false);
        };
        let result = unset_in(env, &mut value, rest, last);
        let old = instance.fields.borrow_mut().insert(name, value);
        drop(old);
        return result;
    }
    match ops::place_existing(target, key.clone()) {
        Some(inner) => unset_in(env, inner, rest, last),
        None => Ok(false),
    }
}

fn unset_last(env: &Surroundings<'_>, target: &mut Value, last: Option<&Step>) -> Result<bool, Fault> {
    match last {
        Some(Step::Key(key)) => {
            if let Value::Object(object) = target {
                let object = object.clone();
                let Some(instance) = object.as_instance() else { return Ok(false) };
                let name = object::property_name(key.clone())?;
                object::check(env, instance, &name, true)?;
                let old = instance.fields.borrow_mut().remove(&name);
                return Ok(old.is_some());
            }
            ops::unset_index(target, key.clone())
        }
        Some(Step::Slice([first, last, step])) => ops::unset_slice(target, first, last, step),
        Some(Step::Append) | None => Ok(false),
    }
}
