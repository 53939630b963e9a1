//! Data types: hsl-stdlib 2.

use crate::fault::Fault;
use crate::native::{Call, Native};
use crate::value::Value;

pub(super) static NATIVES: &[Native] = &[
    Native::inline(
        "length",
        "any value",
        (1, Some(1)),
        "Items of an array or bytes of a string; none for anything else.",
        length,
    ),
    Native::inline("count", "array", (1, Some(1)), "Old name of `length`.", length),
    Native::inline("strlen", "string", (1, Some(1)), "Old name of `length`.", length),
    Native::inline("boolean", "any value", (1, Some(1)), "Whether the value counts as true.", |call| {
        Ok(call.arg(0).truthy().into())
    }),
    Native::inline(
        "number",
        "any value",
        (1, Some(1)),
        "The number that a text spells in decimal or, after `0x`, in hexadecimal; 1 and 0 for booleans; 0 for anything else.",
        |call| Ok(call.arg(0).to_number().into()),
    ),
    Native::inline(
        "string",
        "any value",
        (1, Some(1)),
        "The text form of a value, as `echo` prints it.",
        |call| call.take(0).to_text().map(Value::Str),
    ),
    test("is_array", "Whether the value is an array.", |call| {
        Ok(matches!(call.arg(0), Value::Array(_)).into())
    }),
    test("is_boolean", "Whether the value is a boolean.", |call| {
        Ok(matches!(call.arg(0), Value::Bool(_)).into())
    }),
    test("is_function", "Whether the value is a function, which includes classes.", |call| {
        Ok(matches!(call.arg(0), Value::Function(_)).into())
    }),
    test("is_number", "Whether the value is a number; booleans are not.", |call| {
        Ok(matches!(call.arg(0), Value::Number(_)).into())
    }),
    test("is_object", "Whether the value is an object.", |call| {
        Ok(matches!(call.arg(0), Value::Object(_)).into())
    }),
    test("is_string", "Whether the value is a string.", |call| {
        Ok(matches!(call.arg(0), Value::Str(_)).into())
    }),
];

const fn test(
    name: &'static str,
    doc: &'static str,
    run: fn(&mut Call<'_>) -> Result<Value, Fault>,
) -> Native {
    Native::inline(name, "any value", (1, Some(1)), doc, run)
}

fn length(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(match call.arg(0) {
        Value::Str(text) => text.len().into(),
        Value::Array(array) => array.len().into(),
        _ => Value::None,
    })
}
