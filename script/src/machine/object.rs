//! Members of objects: who may read and write them.

use crate::compile::program::Restriction;
use crate::fault::Fault;
use crate::ops;
use crate::value::{Instance, Key, Str, Value};

use super::operate::Surroundings;

/// `base[key]`
#[inline]
pub(super) fn index(env: &Surroundings<'_>, base: &Value, key: &Value) -> Result<Value, Fault> {
    match base {
        // hsl-language 10: the same as `base->key`, so that `$object["method"](..)` calls.
        Value::Object(_) => property(env, base, key),
        Value::Function(_) => Err(Fault::error("a function has no items")),
        Value::Cell(cell) => {
            let value = cell.get();
            index(env, &value, key)
        }
        _ => Ok(ops::index(base, key)),
    }
}

/// `base->name`
#[inline]
pub(super) fn property(env: &Surroundings<'_>, base: &Value, name: &Value) -> Result<Value, Fault> {
    match base {
        Value::Object(object) => match (object.as_instance(), name) {
            (Some(instance), Value::Str(name)) => match field(env, instance, name)? {
                Value::None => method_value(env, base, name),
                value => Ok(value),
            },
            (_, Value::Str(text)) => match ops::index(base, name) {
                Value::None => method_value(env, base, text),
                value => Ok(value),
            },
            _ => Ok(Value::None),
        },
        // hsl-language 3.1: members of nothing are nothing.
        Value::None | Value::Bool(_) | Value::Number(_) => Ok(Value::None),
        other => Err(Fault::error(format!("a {} has no properties", other.type_name()))),
    }
}

/// A variable of an instance.
fn field(env: &Surroundings<'_>, instance: &Instance, name: &Str) -> Result<Value, Fault> {
    check(env, instance, name, false)?;
    Ok(instance.fields.borrow().get(name).cloned().unwrap_or_default())
}

/// A method as a function value, bound to its object.
fn method_value(env: &Surroundings<'_>, base: &Value, name: &Str) -> Result<Value, Fault> {
    use crate::value::{Function, FunctionBuf, ScriptFunction};
    let Value::Object(object) = base else { return Ok(Value::None) };
    let function = match object.as_instance() {
        Some(instance) => {
            let class = &env.loaded.classes[instance.class as usize];
            let Some(method) = class.methods.get(name) else { return Ok(Value::None) };
            if method.private && env.function.proto.class != Some(instance.class) {
                return Err(private(&class.name, name));
            }
            FunctionBuf::Script(ScriptFunction {
                home: env.loaded.home.clone(),
                index: method.proto,
                is_class: false,
                captures: Box::default(),
                this: Some(object.clone()),
            })
        }
        None => match object.native_class().and_then(|class| class.method(name)) {
            Some(native) => FunctionBuf::BoundNative(native, object.clone()),
            None => return Ok(Value::None),
        },
    };
    Ok(Value::Function(Function::new(function)))
}

/// Whether the function that runs may touch a variable of an instance.
#[inline]
pub(super) fn check(
    env: &Surroundings<'_>,
    instance: &Instance,
    name: &Str,
    write: bool,
) -> Result<(), Fault> {
    if env.function.proto.class == Some(instance.class) {
        return Ok(());
    }
    let class = &env.loaded.classes[instance.class as usize];
    if class.restricted.is_empty() {
        return Ok(());
    }
    match class.restricted.get(name) {
        Some(Restriction::Private) => Err(private(&class.name, name)),
        Some(Restriction::ReadOnly) if write => Err(Fault::error(format!(
            "{} of class {} is read-only",
            name.to_string_lossy(),
            class.name.to_string_lossy()
        ))),
        _ => Ok(()),
    }
}

#[cold]
pub(super) fn private(class: &Str, name: &Str) -> Fault {
    Fault::error(format!("{} is private to class {}", name.to_string_lossy(), class.to_string_lossy()))
}

/// The name of a property that a key means.
pub(super) fn property_name(key: Value) -> Result<Str, Fault> {
    match Key::from_value(key) {
        Key::Str(name) => Ok(name),
        Key::Int(number) => Ok(Str::from(number.to_string().as_str())),
        Key::Other(other) => Err(Fault::error(format!("a {} does not name a property", other.type_name()))),
    }
}
