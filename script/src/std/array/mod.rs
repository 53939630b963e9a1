//! Arrays: hsl-stdlib 3. Nothing here changes its argument.

mod each;
mod reduce;
mod sort;

use crate::compat::IN_ARRAY_IS_LOOSE;
use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, Native};
use crate::ops;
use crate::value::{Array, Key, OrderedMap, StrictKey, Value};

pub(super) static NATIVES: &[Native] = &[
    Native::inline(
        "array_combine",
        "array keys, array values [, any default]",
        (2, Some(3)),
        "Pairs keys with values. A default stands in for missing values; without it the lengths must be the same.",
        combine,
    ),
    Native::frame(
        "array_every",
        "function test, array",
        (2, Some(2)),
        "Whether `test(value)` is true for each item; true for an empty array.",
        |call| each::start(call, each::Kind::Every),
    ),
    Native::frame(
        "array_filter",
        "function test, array",
        (2, Some(2)),
        "The items for which `test(value)` is true, with their keys.",
        |call| each::start(call, each::Kind::Filter),
    ),
    Native::frame(
        "array_find",
        "function test, array",
        (2, Some(2)),
        "The first value for which `test(value)` is true; none if there is none.",
        |call| each::start(call, each::Kind::Find),
    ),
    Native::frame(
        "array_includes",
        "any needle, array",
        (2, Some(2)),
        "Whether an item equals the needle (`===`) or, if the needle is a function, makes it true.",
        each::includes,
    ),
    Native::inline(
        "in_array",
        "any needle, array",
        (2, Some(2)),
        "Whether an item equals the needle (`==`).",
        in_array,
    ),
    Native::inline(
        "array_join",
        "array [, string separator]",
        (1, Some(2)),
        "The text forms of the items, with the separator between them.",
        |call| {
            let separator = call.opt_str(1)?.unwrap_or_default();
            join(call.array(0)?, &separator)
        },
    ),
    Native::inline(
        "implode",
        "string separator, array",
        (2, Some(2)),
        "Old form of `array_join`, with the separator first.",
        |call| join(call.array(1)?, call.bytes(0)?),
    ),
    Native::inline("array_keys", "array", (1, Some(1)), "The keys, as a list.", |call| {
        Ok(call.array(0)?.iter().map(|(key, _)| key.into_value()).collect::<Array>().into())
    }),
    Native::frame(
        "array_map",
        "function change, array",
        (2, Some(2)),
        "The array with `change(value)` in place of each value; the keys stay.",
        |call| each::start(call, each::Kind::Map),
    ),
    Native::inline(
        "array_random",
        "array",
        (1, Some(1)),
        "A random item as a list of its key and value; none for an empty array.",
        random,
    ),
    Native::inline(
        "array_range",
        "number start, number stop [, number step = 1]",
        (2, Some(3)),
        "Numbers from `start` up to, and without, `stop`. A negative step counts down.",
        |call| range(call, false),
    ),
    Native::inline(
        "range",
        "number start, number stop [, number step = 1]",
        (2, Some(3)),
        "Old form of `array_range`, which includes `stop`.",
        |call| range(call, true),
    ),
    Native::frame(
        "array_reduce",
        "function join, array [, any initial]",
        (2, Some(3)),
        "Joins the values from left to right with `join(carry, value)`. Without `initial` the first value is the first \
         carry, and an empty array is an error.",
        reduce::start,
    ),
    Native::inline(
        "array_reverse",
        "array",
        (1, Some(1)),
        "The items in reverse order. Integer keys are numbered anew, other keys stay.",
        reverse,
    ),
    Native::frame(
        "array_sort",
        "function lessthan, array [, array options]",
        (2, Some(3)),
        "Sorts by `lessthan(a, b)`, which is true when `a` comes before `b`. Keys stay with their values. Option `keys` \
         (false): sorts by key. Items of which neither comes first keep their order.",
        sort::start,
    ),
    Native::inline(
        "array_shuffle",
        "array",
        (1, Some(1)),
        "The items in random order. Integer keys are numbered anew, other keys stay.",
        shuffle,
    ),
    Native::inline(
        "array_unique",
        "array",
        (1, Some(1)),
        "The items without those that equal an earlier one (`===`); the keys stay.",
        unique,
    ),
];

fn combine(call: &mut Call<'_>) -> Result<Value, Fault> {
    let default = (call.len() > 2).then(|| call.arg(2).clone());
    let (keys, values) = (call.array(0)?, call.array(1)?);
    if values.len() > keys.len() || (values.len() < keys.len() && default.is_none()) {
        return Err(call.error(format!("there are {} keys for {} values", keys.len(), values.len())));
    }
    let fill = std::iter::repeat_with(|| default.clone().unwrap_or_default());
    let pairs = keys.values().zip(values.values().chain(fill));
    Ok(pairs.map(|(key, value)| (Key::from_value(key), value)).collect::<Array>().into())
}

fn in_array(call: &mut Call<'_>) -> Result<Value, Fault> {
    let needle = call.arg(0);
    for value in call.array(1)?.values() {
        if if IN_ARRAY_IS_LOOSE { needle.loose_eq(&value)? } else { needle.strict_eq(&value)? } {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn join(array: &Array, separator: &[u8]) -> Result<Value, Fault> {
    let mut out = Vec::new();
    for (position, value) in array.values().enumerate() {
        if position > 0 {
            out.extend_from_slice(separator);
        }
        value.write_text(&mut out)?;
        ops::check_length(out.len())?;
    }
    Ok(out.into())
}

fn random(call: &mut Call<'_>) -> Result<Value, Fault> {
    let array = call.array(0)?.clone();
    if array.is_empty() {
        return Ok(Value::None);
    }
    let position = random_below(call.host(), array.len());
    Ok(array.at(position).map(|(key, value)| vec![key.into_value(), value]).into())
}

fn range(call: &mut Call<'_>, inclusive: bool) -> Result<Value, Fault> {
    let (start, stop, step) = (call.number(0)?, call.number(1)?, call.opt_number(2)?.unwrap_or(1.0));
    if step == 0.0 || !(start.is_finite() && stop.is_finite() && step.is_finite()) {
        return Err(call.error("the numbers must be finite, and the step not 0"));
    }
    let steps = (stop - start) / step;
    let count = if inclusive { steps.floor() + 1.0 } else { steps.ceil() }.max(0.0) as usize;
    ops::check_items(count)?;
    call.charge(count * size_of::<Value>())?;
    Ok((0..count).map(|at| Value::from(start + at as f64 * step)).collect::<Array>().into())
}

fn reverse(call: &mut Call<'_>) -> Result<Value, Fault> {
    let mut entries: Vec<(Key, Value)> = call.array(0)?.iter().collect();
    entries.reverse();
    Ok(renumbered(entries).into())
}

fn shuffle(call: &mut Call<'_>) -> Result<Value, Fault> {
    let mut entries: Vec<(Key, Value)> = call.array(0)?.iter().collect();
    for last in (1..entries.len()).rev() {
        entries.swap(last, random_below(call.host(), last + 1));
    }
    Ok(renumbered(entries).into())
}

/// Integer keys are numbered anew, other keys stay.
fn renumbered(entries: Vec<(Key, Value)>) -> Array {
    let mut array = Array::new();
    for (key, value) in entries {
        match key {
            Key::Int(_) => array.push(value),
            key => array.set(key, value),
        }
    }
    array
}

fn unique(call: &mut Call<'_>) -> Result<Value, Fault> {
    let mut seen = OrderedMap::new();
    let items =
        call.array(0)?.iter().filter(|(_, value)| seen.insert(StrictKey(value.clone()), ()).is_none());
    Ok(items.collect::<Array>().into())
}

/// A number below `bound`, which is not 0; the bias of 64 random bits is far below what anybody could measure.
fn random_below(host: &mut dyn Host, bound: usize) -> usize {
    let mut bytes = [0; 8];
    host.random(&mut bytes);
    ((u128::from(u64::from_le_bytes(bytes)) * bound as u128) >> 64) as usize
}
