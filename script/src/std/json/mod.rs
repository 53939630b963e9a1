//! JSON: hsl-stdlib 8.2.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::fmt;

pub use decode::decode;
pub use encode::{JsonStyle, encode};

use crate::fault::Fault;
use crate::native::{Call, Native, NativeRun, Step, exceeds};
use crate::value::Value;

/// On one core of a busy machine decoding runs at 60 MB/s and encoding at 110 MB/s; an idle one is twice as fast.
const INLINE_BYTES: usize = 16 << 10;

/// The natives of this folder.
pub static NATIVES: &[Native] = &[
    Native::offloading(
        "json_encode",
        "any value [, array options]",
        (1, Some(2)),
        "JSON text of a value; none for what JSON cannot express. Options: `ensure_ascii` (true), `pretty_print` (false). \
         An array with the keys 0, 1, 2… in this order is a JSON array, as is the empty one; any other is an object.",
        (INLINE_BYTES, "the value"),
        json_encode,
    ),
    Native::sized(
        "json_decode",
        "string text [, array options]",
        (1, Some(2)),
        "The value of a JSON text; none if it is malformed. Option: `allow_comments` (false) takes // and /* */.",
        INLINE_BYTES,
        json_decode,
    ),
];

/// What is wrong with a text or a value, and at which byte of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    pub(crate) problem: &'static str,
    pub(crate) at: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.at)
    }
}

impl std::error::Error for JsonError {}

/// What runs on another thread.
static ENCODE: Native = Native {
    name: "json_encode",
    params: "any value [, array options]",
    doc: "",
    min_args: 1,
    max_args: Some(2),
    run: NativeRun::Sized { above_bytes: INLINE_BYTES, run: encoded },
};

fn json_encode(call: &mut Call<'_>) -> Result<Step, Fault> {
    if !exceeds(call.args(), None, INLINE_BYTES) {
        return encoded(call).map(Step::Return);
    }
    // What cannot go to another thread is nothing that JSON can express: too deep, or with functions or objects in it.
    Ok(Step::offload(&ENCODE, call).unwrap_or(Step::Return(Value::None)))
}

fn encoded(call: &mut Call<'_>) -> Result<Value, Fault> {
    let options = call.options(1)?;
    let style = JsonStyle {
        ensure_ascii: options.boolean("ensure_ascii", true)?,
        pretty_print: options.boolean("pretty_print", false)?,
    };
    let mut out = Vec::new();
    Ok(encode(call.arg(0), style, &mut out).map_or(Value::None, |()| Value::from(out)))
}

fn json_decode(call: &mut Call<'_>) -> Result<Value, Fault> {
    let allow_comments = call.options(1)?.boolean("allow_comments", false)?;
    Ok(decode(call.bytes(0)?, allow_comments).unwrap_or(Value::None))
}
