//! Date and time: hsl-stdlib 7 without `sleep`.

mod civil;
mod duration;
mod format;
mod names;
mod parse;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;

use self::civil::Moment;
use crate::fault::Fault;
use crate::native::{Call, Native};
use crate::value::Value;

/// The natives of this folder.
pub static NATIVES: &[Native] = &[
    Native::inline("time", "", (0, Some(0)), "Seconds since 1970 in UTC, with their fraction.", time),
    Native::inline("timelocal", "", (0, Some(0)), "time() plus the offset of the local zone.", timelocal),
    Native::inline("uptime", "", (0, Some(0)), "Seconds since the system started.", uptime),
    Native::inline("executiontime", "", (0, Some(0)), "Seconds since this execution began.", executiontime),
    Native::inline(
        "strftime",
        "string format [, number time [, array options]]",
        (1, Some(3)),
        "Formats a time (now) by the conversions of strftime(3) in the C locale, in the local zone or, with `local` \
         false, in UTC. The result ends at 100 bytes.",
        strftime,
    ),
    Native::inline(
        "strptime",
        "string text, string format [, array options]",
        (2, Some(3)),
        "The time that a text means by the conversions of strptime(3); a date that the format leaves out is today's, a \
         time of day is 0. Zone as for strftime. None if the text does not match.",
        strptime,
    ),
    Native::inline(
        "strpduration",
        "string text",
        (1, Some(1)),
        "Seconds of a duration such as 1d, 1h30m or 60s; none for anything else.",
        strpduration,
    ),
];

/// Formats and texts longer than this are no dates; formatting stops at 100 bytes anyway.
const MAX_FORMAT_BYTES: usize = 4 << 10;

fn time(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(call.host().now()))
}

fn timelocal(call: &mut Call<'_>) -> Result<Value, Fault> {
    let now = call.host().now();
    let offset = Moment::new(now, call.host().timezone()).map_or(0, |moment| moment.offset_seconds);
    Ok(Value::from(now + f64::from(offset)))
}

fn uptime(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(call.host().uptime()))
}

fn executiontime(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(Value::from(call.host().execution_time()))
}

fn strftime(call: &mut Call<'_>) -> Result<Value, Fault> {
    let format = call.str(0)?;
    if format.len() > MAX_FORMAT_BYTES {
        return Err(call.error("the format is too long"));
    }
    let seconds = call.opt_number(1)?;
    let zone = zone(call, 2)?;
    let seconds = seconds.unwrap_or_else(|| call.host().now());
    let moment =
        Moment::new(seconds, &zone).ok_or_else(|| call.wrong(1, "a time within the years -9999 to 9999"))?;
    Ok(Value::from(format::format(&format, &moment)))
}

fn strptime(call: &mut Call<'_>) -> Result<Value, Fault> {
    let (text, format) = (call.str(0)?, call.str(1)?);
    if format.len() > MAX_FORMAT_BYTES {
        return Err(call.error("the format is too long"));
    }
    let zone = zone(call, 2)?;
    let Some(today) = Moment::new(call.host().now(), &zone) else { return Ok(Value::None) };
    Ok(parse::parse(&text, &format, today.local.date(), &zone).map_or(Value::None, Value::from))
}

fn strpduration(call: &mut Call<'_>) -> Result<Value, Fault> {
    Ok(duration::parse(call.bytes(0)?).map_or(Value::None, Value::from))
}

/// The zone that the option `local` asks for.
fn zone(call: &mut Call<'_>, options: usize) -> Result<TimeZone, Fault> {
    let local = call.options(options)?.boolean("local", true)?;
    Ok(if local { call.host().timezone().clone() } else { TimeZone::UTC })
}
