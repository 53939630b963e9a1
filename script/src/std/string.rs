//! Strings: hsl-stdlib 4. Lengths and offsets count bytes.

use memchr::memmem;

use crate::fault::Fault;
use crate::limits::{MAX_ARRAY_ITEMS, SHORT_STRING_BYTES};
use crate::native::{Call, Native};
use crate::ops;
use crate::value::{Array, Str, Value};

pub(super) static NATIVES: &[Native] = &[
    Native::inline("chr", "number", (1, Some(1)), "A string of one byte.", |call| {
        let byte = ops::to_int32(call.number(0)?) as u8;
        Ok(Value::from(&[byte][..]))
    }),
    Native::inline(
        "ord",
        "string",
        (1, Some(1)),
        "The value of the first byte; none for an empty string.",
        |call| Ok(call.bytes(0)?.first().map(|byte| u32::from(*byte)).into()),
    ),
    Native::inline("str_repeat", "string, number count", (2, Some(2)), "The string `count` times.", |call| {
        let (text, count) = (call.str(0)?, call.number(1)?);
        call.charge(text.len().saturating_mul(count.max(0.0) as usize))?;
        ops::repeat(&text, count).map(Value::Str)
    }),
    Native::sized(
        "str_replace",
        "string search, string replace, string subject",
        (3, Some(3)),
        "Replaces each occurrence of `search`, which is no pattern.",
        REPLACED_BYTES,
        replace,
    ),
    Native::sized(
        "str_split",
        "string, string delimiter [, number limit = 0]",
        (2, Some(3)),
        SPLIT,
        PARTS_BYTES,
        |call| {
            let (text, delimiter) = (call.str(0)?, call.str(1)?);
            split(call, &text, &delimiter)
        },
    ),
    Native::sized(
        "explode",
        "string delimiter, string [, number limit = 0]",
        (2, Some(3)),
        "Old form of `str_split`, with the delimiter first.",
        PARTS_BYTES,
        |call| {
            let (delimiter, text) = (call.str(0)?, call.str(1)?);
            split(call, &text, &delimiter)
        },
    ),
    Native::sized("str_find", FIND_PARAMS, (2, Some(3)), FIND, FIND_BYTES, find),
    Native::sized("strpos", FIND_PARAMS, (2, Some(3)), "Old name of `str_find`.", FIND_BYTES, find),
    Native::sized("str_rfind", FIND_PARAMS, (2, Some(3)), RFIND, FIND_BYTES, rfind),
    Native::sized("strrpos", FIND_PARAMS, (2, Some(3)), "Old name of `str_rfind`.", FIND_BYTES, rfind),
    Native::inline("str_lower", "string", (1, Some(1)), "Letters of US-ASCII in lower case.", lower),
    Native::inline("strtolower", "string", (1, Some(1)), "Old name of `str_lower`.", lower),
    Native::inline("str_upper", "string", (1, Some(1)), "Letters of US-ASCII in upper case.", upper),
    Native::inline("strtoupper", "string", (1, Some(1)), "Old name of `str_upper`.", upper),
    Native::inline("str_slice", SLICE_PARAMS, (2, Some(3)), SLICE, slice),
    Native::inline("substr", SLICE_PARAMS, (2, Some(3)), "Old name of `str_slice`.", slice),
    Native::inline("str_strip", STRIP_PARAMS, (1, Some(2)), STRIP, |call| strip(call, true, true)),
    Native::inline("trim", STRIP_PARAMS, (1, Some(2)), "Old name of `str_strip`.", |call| {
        strip(call, true, true)
    }),
    Native::inline("str_lstrip", STRIP_PARAMS, (1, Some(2)), "As `str_strip`, at the start only.", |call| {
        strip(call, true, false)
    }),
    Native::inline("str_rstrip", STRIP_PARAMS, (1, Some(2)), "As `str_strip`, at the end only.", |call| {
        strip(call, false, true)
    }),
    Native::sized(
        "str_chunk",
        "string, number length [, number first]",
        (2, Some(3)),
        "Cuts a string into pieces of `length` bytes; the first one may have another length.",
        PARTS_BYTES,
        chunk,
    ),
];

/// Longest arguments, on a shard, of what may make a part of each byte.
const PARTS_BYTES: usize = 4 << 10;
/// The same of what may copy each byte by itself.
const REPLACED_BYTES: usize = 8 << 10;
/// The same of what only looks.
const FIND_BYTES: usize = 32 << 10;

const FIND_PARAMS: &str = "string, string search [, number offset = 0]";
const FIND: &str = "The position of the first occurrence at or after `offset`; -1 if there is none.";
const RFIND: &str =
    "The position of the last occurrence, leaving out the last `offset` bytes; -1 if there is none.";
const SPLIT: &str = "The parts between delimiters. With a positive limit at most so many, the last with the rest; with a \
    negative limit at most so many from the end, the first with the rest.";
const SLICE_PARAMS: &str = "string, number offset [, number length]";
const SLICE: &str = "A part of a string. A negative offset counts from the end; a negative length leaves out so many bytes \
    at the end.";
const STRIP_PARAMS: &str = "string [, string chars]";
const STRIP: &str = "Removes bytes out of `chars` at both ends; by default space, tab, CR and LF.";

fn replace(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (search, replacement, subject) = (call.str(0)?, call.str(1)?, call.str(2)?);
    let found: Vec<usize> =
        if search.is_empty() { Vec::new() } else { memmem::find_iter(&subject, search.as_bytes()).collect() };
    if found.is_empty() {
        return Ok(subject.into());
    }
    let length = subject.len() - found.len() * search.len() + found.len().saturating_mul(replacement.len());
    ops::check_length(length)?;
    call.charge(length)?;
    let mut out = Vec::with_capacity(length);
    let mut from = 0;
    for at in found {
        out.extend_from_slice(&subject[from..at]);
        out.extend_from_slice(&replacement);
        from = at + search.len();
    }
    out.extend_from_slice(&subject[from..]);
    Ok(out.into())
}

/// Splits `text`, with the limit from argument 2.
fn split(call: &mut Call<'_>, text: &Str, delimiter: &Str) -> Result<Value, Fault> {
    let limit = call.opt_integer(2)?.unwrap_or(0);
    if delimiter.is_empty() {
        return Err(call.error("the delimiter is empty"));
    }
    let most = usize::try_from(limit.unsigned_abs()).unwrap_or(usize::MAX);
    // One more than may be, so that the check sees it.
    let most = if limit == 0 { MAX_ARRAY_ITEMS } else { (most - 1).min(MAX_ARRAY_ITEMS) };
    let cuts: Vec<usize> = if limit < 0 {
        let mut cuts: Vec<usize> = memmem::rfind_iter(text, delimiter.as_bytes()).take(most).collect();
        cuts.reverse();
        cuts
    } else {
        memmem::find_iter(text, delimiter.as_bytes()).take(most).collect()
    };
    charge_parts(call, cuts.len() + 1)?;
    let mut parts = Vec::with_capacity(cuts.len() + 1);
    let mut from = 0;
    for at in cuts {
        parts.push(Value::from(&text[from..at]));
        from = at + delimiter.len();
    }
    parts.push(if from == 0 { Value::Str(text.clone()) } else { Value::from(&text[from..]) });
    Ok(Array::from_list(parts).into())
}

/// A list of so many short strings is about to be made.
fn charge_parts(call: &mut Call<'_>, parts: usize) -> Result<(), Fault> {
    ops::check_items(parts)?;
    call.charge(parts * (size_of::<Value>() + SHORT_STRING_BYTES))
}

fn find(call: &mut Call<'_>) -> Result<Value, Fault> {
    let offset = call.opt_integer(2)?.unwrap_or(0).max(0) as usize;
    let (text, search) = (call.bytes(0)?, call.bytes(1)?);
    let found = text.get(offset..).and_then(|rest| memmem::find(rest, search));
    Ok(found.map_or(Value::from(-1), |at| Value::from(at + offset)))
}

fn rfind(call: &mut Call<'_>) -> Result<Value, Fault> {
    let offset = call.opt_integer(2)?.unwrap_or(0).max(0) as usize;
    let (text, search) = (call.bytes(0)?, call.bytes(1)?);
    let found = text.len().checked_sub(offset).and_then(|end| memmem::rfind(&text[..end], search));
    Ok(found.map_or(Value::from(-1), Value::from))
}

fn lower(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.bytes(0)?.to_ascii_lowercase().into())
}

fn upper(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(call.bytes(0)?.to_ascii_uppercase().into())
}

fn slice(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (text, offset, length) = (call.bytes(0)?, call.integer(1)?, call.opt_integer(2)?);
    let size = text.len() as i64;
    let start = if offset < 0 { offset.saturating_add(size).max(0) } else { offset.min(size) };
    let end = match length {
        None => size,
        Some(length) if length < 0 => size.saturating_add(length),
        Some(length) => start.saturating_add(length).min(size),
    };
    Ok(Value::from(&text[start as usize..end.max(start) as usize]))
}

fn strip(call: &mut Call<'_>, left: bool, right: bool) -> Result<Value, Fault> {
    let text = call.str(0)?;
    let chars = call.opt_bytes(1)?.unwrap_or(b" \t\r\n");
    let mut stripped = &text[..];
    while left
        && let [first, rest @ ..] = stripped
        && chars.contains(first)
    {
        stripped = rest;
    }
    while right
        && let [rest @ .., last] = stripped
        && chars.contains(last)
    {
        stripped = rest;
    }
    Ok(if stripped.len() == text.len() { Value::Str(text) } else { Value::from(stripped) })
}

fn chunk(call: &mut Call<'_>) -> Result<Value, Fault> {
    let length = call.integer(1)?;
    let first = call.opt_integer(2)?.unwrap_or(length);
    if length < 1 || first < 0 {
        return Err(call.error("lengths are positive"));
    }
    let text = call.str(0)?;
    let (start, rest) = text.split_at(text.len().min(first as usize));
    charge_parts(call, rest.len().div_ceil(length as usize) + 1)?;
    let pieces = rest.chunks(length as usize).map(Value::from);
    let start = (!start.is_empty()).then(|| Value::from(start));
    Ok(start.into_iter().chain(pieces).collect::<Array>().into())
}
