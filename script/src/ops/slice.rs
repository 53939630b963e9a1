//! Slices, assignment to slices, and destructuring.

use super::arrays::check_items;
use super::numeric;
use crate::compat::NEGATIVE_START_CLAMPS;
use crate::fault::Fault;
use crate::value::{Array, Str, Value};

/// `value[first:last:step]`, with `none` for a missing part. The result is a string or a list.
pub fn slice(value: &Value, first: &Value, last: &Value, step: &Value) -> Result<Value, Fault> {
    let step = bound(step)?.unwrap_or(1);
    match value {
        Value::Str(text) => {
            let positions = Range::new(text.len(), bound(first)?, bound(last)?, step)?;
            Ok(Value::Str(slice_bytes(text, &positions)))
        }
        Value::Array(array) => {
            let positions = Range::new(array.len(), bound(first)?, bound(last)?, step)?;
            Ok(Value::Array(slice_array(array, &positions)))
        }
        other => Err(Fault::error(format!("a slice does not apply to {}", other.type_name()))),
    }
}

/// `target[first:last] = values`: the addressed items make room for the values, and the keys are numbered anew.
pub fn assign_slice(target: &mut Value, first: &Value, last: &Value, values: &Value) -> Result<(), Fault> {
    let Value::Array(values) = values else {
        return Err(Fault::error(format!("a slice takes an array, not {}", values.type_name())));
    };
    let array = match target {
        Value::Array(array) => array,
        other => {
            return Err(Fault::error(format!(
                "assignment to a slice does not apply to {}",
                other.type_name()
            )));
        }
    };
    let range = Range::new(array.len(), bound(first)?, bound(last)?, 1)?;
    check_items(array.len() + values.len())?;
    let (start, end) = (range.start as usize, range.start as usize + range.count);
    if array.as_list_mut().is_none() {
        *array = array.values().collect();
    }
    if let Some(list) = array.as_list_mut() {
        list.splice(start..end, values.values());
    }
    Ok(())
}

/// `unset(target[first:last:step])`: removes the addressed items and says whether there were any; the keys stay.
pub fn unset_slice(target: &mut Value, first: &Value, last: &Value, step: &Value) -> Result<bool, Fault> {
    let array = match target {
        Value::Array(array) => array,
        Value::None | Value::Undefined => return Ok(false),
        other => {
            return Err(Fault::error(format!("unset of a slice does not apply to {}", other.type_name())));
        }
    };
    let step = bound(step)?.unwrap_or(1);
    let range = Range::new(array.len(), bound(first)?, bound(last)?, step)?;
    if range.count == 0 {
        return Ok(false);
    }
    let mut doomed = vec![false; array.len()];
    range.positions().for_each(|position| doomed[position] = true);
    let kept = array.iter().zip(doomed).filter(|(_, doomed)| !doomed).map(|(item, _)| item);
    *array = kept.collect();
    Ok(true)
}

/// The item that a positional element of a destructuring reads: by key in lists, by order in other arrays.
pub fn destructure_at(value: &Value, position: usize) -> Option<Value> {
    value.as_array()?.at(position).map(|(_, value)| value)
}

/// What the rest element of a destructuring gets: always an array.
pub fn destructure_rest(value: &Value, from: usize) -> Array {
    match value {
        Value::Array(array) => array.values().skip(from).collect(),
        _ => Array::new(),
    }
}

fn slice_bytes(text: &Str, range: &Range) -> Str {
    let start = range.start.max(0) as usize;
    if range.count == text.len() && range.step == 1 {
        text.clone()
    } else if range.step == 1 {
        Str::new(&text[start..start + range.count])
    } else {
        Str::from_vec(range.positions().map(|at| text[at]).collect())
    }
}

fn slice_array(array: &Array, range: &Range) -> Array {
    let start = range.start.max(0) as usize;
    if let Some(list) = array.as_list() {
        if range.count == list.len() && range.step == 1 {
            return array.clone();
        }
        if range.step == 1 {
            return Array::from_list(list[start..start + range.count].to_vec());
        }
        return range.positions().map(|at| list[at].clone()).collect();
    }
    if range.step == 1 {
        return array.values().skip(start).take(range.count).collect();
    }
    let all: Vec<Value> = array.values().collect();
    range.positions().map(|at| all[at].clone()).collect()
}

fn bound(value: &Value) -> Result<Option<i64>, Fault> {
    match value {
        Value::None => Ok(None),
        other => match numeric(other) {
            Some(number) => Ok(Some(number as i64)),
            None => {
                Err(Fault::error(format!("the bounds of a slice are numbers, not {}", other.type_name())))
            }
        },
    }
}

/// Positions that a slice addresses, all within the length.
struct Range {
    start: i64,
    step: i64,
    count: usize,
}

impl Range {
    fn new(length: usize, first: Option<i64>, last: Option<i64>, step: i64) -> Result<Range, Fault> {
        if step == 0 {
            return Err(Fault::error("the step of a slice is 0"));
        }
        let length = length as i64;
        let from_end = |position: i64| if position < 0 { position.saturating_add(length) } else { position };
        // Below the start is -1 for a walk backwards, which goes on to and including position 0.
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let default = if step > 0 { (0, length) } else { (length - 1, -1) };
        let start = match first.map(from_end) {
            Some(start) if start < 0 && !NEGATIVE_START_CLAMPS => high,
            Some(start) => start.clamp(low, high),
            None => default.0,
        };
        let end = last.map_or(default.1, |last| from_end(last).clamp(low, high));
        let distance = if step > 0 { end - start } else { start - end };
        let count = if distance <= 0 { 0 } else { (distance as u64).div_ceil(step.unsigned_abs()) as usize };
        Ok(Range { start, step, count })
    }

    fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.count as i64).map(|step| (self.start + step * self.step) as usize)
    }
}
