//! `.`, interpolation and repeated strings.

use crate::fault::Fault;
use crate::limits::MAX_STRING_BYTES;
use crate::value::{Str, Value};

/// `left . right`. Works in place when nobody shares the left string.
#[inline]
pub fn concat(mut left: Value, right: &Value) -> Result<Value, Fault> {
    append(&mut left, right)?;
    Ok(left)
}

/// `left .= right`
#[inline]
pub fn append(left: &mut Value, right: &Value) -> Result<(), Fault> {
    if let (Value::Str(text), Value::Str(more)) = (&mut *left, right) {
        check_length(text.len() + more.len())?;
        text.push(more);
        return Ok(());
    }
    append_converted(left, right)
}

fn append_converted(left: &mut Value, right: &Value) -> Result<(), Fault> {
    if left.is_none() || right.is_none() {
        return Err(super::mismatch(".", left, right));
    }
    if !matches!(left, Value::Str(_)) {
        *left = Value::Str(left.to_text()?);
    }
    let Value::Str(text) = left else { return Ok(()) };
    let mut more = Vec::new();
    right.write_text(&mut more)?;
    check_length(text.len() + more.len())?;
    text.push(&more);
    Ok(())
}

/// The operands one after the other: what an interpolated string is.
pub fn join(parts: &[Value]) -> Result<Str, Fault> {
    let known: usize = parts.iter().map(|part| part.as_str().map_or(8, |text| text.len())).sum();
    check_length(known)?;
    let mut out = Vec::with_capacity(known);
    for part in parts {
        if part.is_none() {
            return Err(Fault::error("none cannot be part of a string"));
        }
        part.write_text(&mut out)?;
        check_length(out.len())?;
    }
    Ok(Str::from_vec(out))
}

/// `text * count`: empty for a count below 1.
pub fn repeat(text: &[u8], count: f64) -> Result<Str, Fault> {
    let count = count.max(0.0) as usize;
    check_length(text.len().saturating_mul(count))?;
    Ok(if text.is_empty() { Str::default() } else { Str::from_vec(text.repeat(count)) })
}

#[inline]
pub(crate) fn check_length(bytes: usize) -> Result<(), Fault> {
    if bytes <= MAX_STRING_BYTES { Ok(()) } else { Err(too_long()) }
}

#[cold]
fn too_long() -> Fault {
    Fault::error(format!("a string would exceed {MAX_STRING_BYTES} bytes"))
}
