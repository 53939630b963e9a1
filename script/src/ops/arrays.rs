//! `+`, `-`, `*` and `...` on arrays.

use crate::compat::ARRAY_MINUS_IS_STRICT;
use crate::fault::Fault;
use crate::limits::MAX_ARRAY_ITEMS;
use crate::value::{Array, Key, OrderedMap, StrictKey, Value};

/// Items of `right` under integer keys are appended, under other keys they overwrite; any other value is appended.
pub(super) fn add(mut left: Array, right: Value) -> Result<Array, Fault> {
    let Value::Array(right) = right else {
        left.push(right);
        return Ok(left);
    };
    check_items(left.len() + right.len())?;
    if left.is_empty() && right.as_list().is_some() {
        return Ok(right);
    }
    spread_array(&mut left, &right);
    Ok(left)
}

/// `array - value`, `array - array`: what equals is dropped, keys stay.
pub(super) fn subtract(left: &Array, right: &Value) -> Result<Array, Fault> {
    let doomed: Vec<Value> = match right {
        Value::Array(values) => values.values().collect(),
        value => vec![value.clone()],
    };
    if ARRAY_MINUS_IS_STRICT {
        let mut set = OrderedMap::with_capacity(doomed.len());
        doomed.into_iter().for_each(|value| {
            set.insert(StrictKey(value), ());
        });
        return Ok(left.iter().filter(|(_, value)| set.get(&StrictKey(value.clone())).is_none()).collect());
    }
    let mut kept = Array::new();
    'items: for (key, value) in left.iter() {
        for doomed in &doomed {
            if value.loose_eq(doomed)? {
                continue 'items;
            }
        }
        kept.set(key, value);
    }
    Ok(kept)
}

/// `array * count`: the values, `count` times.
pub(super) fn repeat(array: &Array, count: f64) -> Result<Array, Fault> {
    let count = count.max(0.0) as usize;
    if count == 0 || array.is_empty() {
        return Ok(Array::new());
    }
    let total = array.len().saturating_mul(count);
    check_items(total)?;
    let once: Vec<Value> = array.values().collect();
    let mut items = Vec::with_capacity(total);
    for _ in 0..count {
        items.extend_from_slice(&once);
    }
    Ok(Array::from_list(items))
}

/// `[...value]`: integer keys are numbered anew, other keys are kept and override.
pub fn spread_into(target: &mut Array, value: &Value) -> Result<(), Fault> {
    let array = spreadable(value)?;
    check_items(target.len() + array.len())?;
    spread_array(target, array);
    Ok(())
}

/// `f(...value)`: only the values count.
pub fn spread_args(target: &mut Vec<Value>, value: &Value) -> Result<(), Fault> {
    target.extend(spreadable(value)?.values());
    Ok(())
}

fn spreadable(value: &Value) -> Result<&Array, Fault> {
    value
        .as_array()
        .ok_or_else(|| Fault::error(format!("operator ... does not apply to {}", value.type_name())))
}

fn spread_array(target: &mut Array, array: &Array) {
    for (key, value) in array.iter() {
        match key {
            Key::Int(_) => target.push(value),
            key => target.set(key, value),
        }
    }
}

pub(crate) fn check_items(items: usize) -> Result<(), Fault> {
    if items <= MAX_ARRAY_ITEMS {
        return Ok(());
    }
    Err(Fault::error(format!("an array would exceed {MAX_ARRAY_ITEMS} items")))
}
