//! Arrays: hsl-stdlib 3. Nothing here changes its argument.

mod each;
mod many;
mod reduce;
mod sort;

use hashbrown::HashTable;

use self::many::{Arrange, Cursor, How, Join, Keys, Nth, Range, Search};
use crate::compat::IN_ARRAY_IS_LOOSE;
use crate::fault::Fault;
use crate::host::Host;
use crate::native::{Call, Native, Step, in_slices};
use crate::ops;
use crate::value::Value;

pub(super) static NATIVES: &[Native] = &[
    Native::frame(
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
    Native::frame(
        "in_array",
        "any needle, array",
        (2, Some(2)),
        "Whether an item equals the needle (`==`).",
        in_array,
    ),
    Native::frame(
        "array_join",
        "array [, string separator]",
        (1, Some(2)),
        "The text forms of the items, with the separator between them.",
        |call| {
            let work = Join::new(call.array(0)?, call.opt_str(1)?.unwrap_or_default());
            in_slices(call, work)
        },
    ),
    Native::frame(
        "implode",
        "string separator, array",
        (2, Some(2)),
        "Old form of `array_join`, with the separator first.",
        |call| {
            let work = Join::new(call.array(1)?, call.str(0)?);
            in_slices(call, work)
        },
    ),
    Native::frame("array_keys", "array", (1, Some(1)), "The keys, as a list.", |call| {
        let work = Keys::new(call.array(0)?);
        in_slices(call, work)
    }),
    Native::frame(
        "array_map",
        "function change, array",
        (2, Some(2)),
        "The array with `change(value)` in place of each value; the keys stay.",
        |call| each::start(call, each::Kind::Map),
    ),
    Native::frame(
        "array_random",
        "array",
        (1, Some(1)),
        "A random item as a list of its key and value; none for an empty array.",
        random,
    ),
    Native::frame(
        "array_range",
        "number start, number stop [, number step = 1]",
        (2, Some(3)),
        "Numbers from `start` up to, and without, `stop`. A negative step counts down.",
        |call| range(call, false),
    ),
    Native::frame(
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
    Native::frame(
        "array_reverse",
        "array",
        (1, Some(1)),
        "The items in reverse order. Integer keys are numbered anew, other keys stay.",
        |call| arranged(call, How::Reverse),
    ),
    Native::frame(
        "array_sort",
        "function lessthan, array [, array options]",
        (2, Some(3)),
        "Sorts by `lessthan(a, b)`, which is true when `a` comes before `b`. Keys stay with their values. Option `keys` \
         (false): sorts by key. Items of which neither comes first keep their order.",
        sort::start,
    ),
    Native::frame(
        "array_shuffle",
        "array",
        (1, Some(1)),
        "The items in random order. Integer keys are numbered anew, other keys stay.",
        |call| arranged(call, How::Shuffle(None)),
    ),
    Native::frame(
        "array_unique",
        "array",
        (1, Some(1)),
        "The items without those that equal an earlier one (`===`); the keys stay.",
        |call| {
            let room = HashTable::with_capacity(call.array(0)?.len());
            arranged(call, How::Unique(room))
        },
    ),
];

fn combine(call: &mut Call<'_>) -> Result<Step, Fault> {
    let default = (call.len() > 2).then(|| call.arg(2).clone());
    let (keys, values) = (call.array(0)?, call.array(1)?);
    if values.len() > keys.len() || (values.len() < keys.len() && default.is_none()) {
        return Err(call.error(format!("there are {} keys for {} values", keys.len(), values.len())));
    }
    let how = How::Combine(Cursor::new(values), default.unwrap_or_default());
    let work = Arrange::new(keys, how);
    in_slices(call, work)
}

fn in_array(call: &mut Call<'_>) -> Result<Step, Fault> {
    let equal = if IN_ARRAY_IS_LOOSE { Value::loose_eq } else { Value::strict_eq };
    let work = Search { items: Cursor::new(call.array(1)?), wanted: call.arg(0).clone(), equal };
    in_slices(call, work)
}

fn random(call: &mut Call<'_>) -> Result<Step, Fault> {
    let array = call.array(0)?.clone();
    if array.is_empty() {
        return Ok(Step::Return(Value::None));
    }
    let position = random_below(call.host(), array.len());
    if array.as_list().is_some() {
        return Ok(Step::Return(array.at(position).map(|(key, value)| vec![key.into_value(), value]).into()));
    }
    in_slices(call, Nth { items: Cursor::new(&array), before: position })
}

fn range(call: &mut Call<'_>, inclusive: bool) -> Result<Step, Fault> {
    let (start, stop, step) = (call.number(0)?, call.number(1)?, call.opt_number(2)?.unwrap_or(1.0));
    if step == 0.0 || !(start.is_finite() && stop.is_finite() && step.is_finite()) {
        return Err(call.error("the numbers must be finite, and the step not 0"));
    }
    let steps = (stop - start) / step;
    let count = if inclusive { steps.floor() + 1.0 } else { steps.ceil() }.max(0.0) as usize;
    ops::check_items(count)?;
    call.charge(count * size_of::<Value>())?;
    in_slices(call, Range { start, step, count, made: Vec::with_capacity(count) })
}

/// The array of argument 0 in another order, or fewer items of it.
fn arranged(call: &mut Call<'_>, how: How) -> Result<Step, Fault> {
    let work = Arrange::new(call.array(0)?, how);
    in_slices(call, work)
}

/// A number below `bound`, which is not 0; the bias of 64 random bits is far below what anybody could measure.
fn random_below(host: &mut dyn Host, bound: usize) -> usize {
    let mut bytes = [0; 8];
    host.random(&mut bytes);
    ((u128::from(u64::from_le_bytes(bytes)) * bound as u128) >> 64) as usize
}
