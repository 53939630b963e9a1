//! `template % values`: hsl-language 6.4.

use super::concat::check_length;
use super::{bits, numeric};
use crate::fault::Fault;
use crate::limits::MAX_STRING_BYTES;
use crate::value::{Array, Str, Value, write_number};

/// One directive between `%` and its type.
#[derive(Default)]
struct Directive {
    index: Option<usize>,
    fill: Option<u8>,
    align: Option<Align>,
    width: usize,
    precision: Option<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Align {
    Left,
    Right,
    Centre,
    AfterSign,
}

/// Fills in a template.
pub fn format(template: &[u8], values: &Array) -> Result<Str, Fault> {
    let mut out = Vec::with_capacity(template.len() + 16);
    let mut rest = template;
    let mut next = 0;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"%") {
            out.push(b'%');
            rest = after;
            continue;
        }
        let (directive, kind, after) = parse(rest)?;
        rest = after;
        let index = directive.index.unwrap_or(next);
        next = index + 1;
        let value = values.at(index).map(|(_, value)| value).ok_or_else(|| {
            Fault::error(format!("operator %: there is no value {index} for %{}", char::from(kind)))
        })?;
        write(&mut out, &directive, kind, &value)?;
        check_length(out.len())?;
    }
    out.extend_from_slice(rest);
    Ok(Str::from_vec(out))
}

fn parse(text: &[u8]) -> Result<(Directive, u8, &[u8]), Fault> {
    let mut directive = Directive::default();
    let mut rest = text;
    if let [b'[', after @ ..] = rest {
        let (index, after) = digits(after)?;
        directive.index = Some(index.ok_or_else(bad_directive)?);
        rest = after.strip_prefix(b"]").ok_or_else(bad_directive)?;
    }
    if let [b'\'', fill, after @ ..] = rest {
        directive.fill = Some(*fill);
        rest = after;
    }
    if let [first, after @ ..] = rest
        && let Some(align) = alignment(*first)
    {
        directive.align = Some(align);
        rest = after;
    } else if directive.fill.is_some() {
        return Err(bad_directive());
    }
    let (width, after) = digits(rest)?;
    directive.width = width.unwrap_or(0);
    rest = after;
    if let [b'.', after @ ..] = rest {
        let (precision, after) = digits(after)?;
        directive.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    match rest {
        [kind @ (b's' | b'f' | b'x' | b'c' | b'b'), after @ ..] => Ok((directive, *kind, after)),
        _ => Err(bad_directive()),
    }
}

fn alignment(byte: u8) -> Option<Align> {
    match byte {
        b'<' => Some(Align::Left),
        b'>' => Some(Align::Right),
        b'^' => Some(Align::Centre),
        b'=' => Some(Align::AfterSign),
        _ => None,
    }
}

/// Leading decimal digits and what follows them.
fn digits(text: &[u8]) -> Result<(Option<usize>, &[u8]), Fault> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(count);
    if count == 0 {
        return Ok((None, rest));
    }
    let number = digits
        .iter()
        .fold(0usize, |sum, digit| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
    if number > MAX_STRING_BYTES {
        return Err(bad_directive());
    }
    Ok((Some(number), rest))
}

#[cold]
fn bad_directive() -> Fault {
    Fault::error(
        "operator %: bad directive; they are %[index]'fill align width .precision and one of s f x c b",
    )
}

fn write(out: &mut Vec<u8>, directive: &Directive, kind: u8, value: &Value) -> Result<(), Fault> {
    let mut text = Vec::new();
    let number = || {
        numeric(value).ok_or_else(|| {
            Fault::error(format!(
                "operator %: %{} needs a number, not {}",
                char::from(kind),
                value.type_name()
            ))
        })
    };
    match kind {
        b's' => {
            if value.is_none() {
                return Err(Fault::error("operator %: %s needs a value, not none"));
            }
            value.write_text(&mut text)?;
            text.truncate(directive.precision.unwrap_or(usize::MAX));
        }
        b'f' => write_decimal(&mut text, number()?, directive.precision),
        b'x' => text.extend_from_slice(format!("{:x}", unsigned(number()?)).as_bytes()),
        b'b' => text.extend_from_slice(format!("{:b}", unsigned(number()?)).as_bytes()),
        _ => text.push(bits::to_int32(number()?) as u8),
    }
    let default = if matches!(kind, b's' | b'c') { Align::Left } else { Align::Right };
    pad(out, &text, directive, directive.align.unwrap_or(default));
    Ok(())
}

/// Negative numbers are 32-bit two's complement; positive ones may be larger.
fn unsigned(number: f64) -> u64 {
    if number < 0.0 { u64::from(bits::to_int32(number) as u32) } else { number as u64 }
}

fn write_decimal(out: &mut Vec<u8>, number: f64, precision: Option<usize>) {
    match precision {
        // More digits than a double has are zeros.
        Some(precision) if number.is_finite() => {
            let digits = precision.min(1100);
            out.extend_from_slice(format!("{number:.digits$}").as_bytes());
            out.resize(out.len() + precision - digits, b'0');
        }
        _ => write_number(number, out),
    }
}

fn pad(out: &mut Vec<u8>, text: &[u8], directive: &Directive, align: Align) {
    let missing = directive.width.saturating_sub(text.len());
    let fill = directive.fill.unwrap_or(b' ');
    let before = match align {
        Align::Left => 0,
        Align::Right | Align::AfterSign => missing,
        Align::Centre => missing / 2,
    };
    let sign = usize::from(align == Align::AfterSign && matches!(text.first(), Some(b'-' | b'+')));
    out.extend_from_slice(&text[..sign]);
    out.resize(out.len() + before, fill);
    out.extend_from_slice(&text[sign..]);
    out.resize(out.len() + missing - before, fill);
}
