//! Numbers: hsl-stdlib 6. Domain errors give `nan` and `inf`, as in C.

use crate::fault::Fault;
use crate::native::{Call, Native};
use crate::value::Value;

pub(super) static NATIVES: &[Native] = &[
    Native::inline("abs", "number", (1, Some(1)), "The magnitude.", |call| Ok(call.number(0)?.abs().into())),
    Native::inline("ceil", "number", (1, Some(1)), "The next integer at or above.", |call| {
        Ok(call.number(0)?.ceil().into())
    }),
    Native::inline("floor", "number", (1, Some(1)), "The next integer at or below.", |call| {
        Ok(call.number(0)?.floor().into())
    }),
    Native::inline("sqrt", "number", (1, Some(1)), "The square root.", |call| {
        Ok(call.number(0)?.sqrt().into())
    }),
    Native::inline(
        "log",
        "number [, number base]",
        (1, Some(2)),
        "The logarithm, natural by default.",
        |call| {
            let number = call.number(0)?;
            Ok(match call.opt_number(1)? {
                None => number.ln(),
                Some(2.0) => number.log2(),
                Some(10.0) => number.log10(),
                Some(base) => number.ln() / base.ln(),
            }
            .into())
        },
    ),
    Native::inline("pow", "number base, number exponent", (2, Some(2)), "The power, as `**`.", |call| {
        Ok(call.number(0)?.powf(call.number(1)?).into())
    }),
    Native::inline(
        "round",
        "number [, number decimals = 0]",
        (1, Some(2)),
        "The nearest number with so many decimals; halves go away from zero.",
        round,
    ),
];

fn round(call: &mut Call<'_>) -> Result<Value, Fault> {
    let number = call.number(0)?;
    let decimals = call.opt_integer(1)?.unwrap_or(0).clamp(-400, 400) as i32;
    if decimals == 0 {
        return Ok(number.round().into());
    }
    let scale = 10f64.powi(decimals.abs());
    let rounded =
        if decimals > 0 { (number * scale).round() / scale } else { (number / scale).round() * scale };
    // Where the scale is beyond what numbers hold, there is nothing to round, or nothing left.
    Ok(if rounded.is_finite() || !number.is_finite() {
        rounded
    } else if decimals > 0 {
        number
    } else {
        0.0
    }
    .into())
}
