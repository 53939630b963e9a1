//! Small modules that scripts import from `extras://…`: HSL, and what HSL cannot do by itself.

mod absent;
mod argon2;
#[cfg(test)]
mod authentication_tests;
#[cfg(test)]
mod clients_tests;
mod des;
#[cfg(test)]
mod formats_tests;
#[cfg(test)]
mod guide_tests;
#[cfg(test)]
mod report_tests;
mod sasl;
#[cfg(test)]
mod tests;
mod zip;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use script::fault::Fault;
use script::native::{Call, Native};
use script::value::Value;

pub(crate) use absent::{ABSENT_MODULES, why_absent};

use crate::library::Family;

/// The natives are for the modules: scripts see them under the names that the modules give them.
pub(crate) static FAMILY: Family = Family {
    natives: &[
        Native::inline(
            "__time_rfc2822",
            "[number unixtime [, string location]]",
            (0, Some(2)),
            "What time_rfc2822 of extras://time-rfc2822 runs.",
            time_rfc2822,
        ),
        Native::inline("__getenv", "string name", (1, Some(1)), "What getenv of extras://env runs.", getenv),
        argon2::VERIFY,
        des::ENCRYPT,
        des::DECRYPT,
        zip::ZIP,
        sasl::CRAM_MD5,
        sasl::SCRAM_FIRST,
        sasl::SCRAM_FINAL,
    ],
    modules: &[
        ("extras://__stream", include_str!("stream.hsl")),
        ("extras://arc", include_str!("arc.hsl")),
        ("extras://arf", include_str!("arf.hsl")),
        ("extras://argon2", include_str!("argon2.hsl")),
        ("extras://authentication-results", include_str!("authentication_results.hsl")),
        ("extras://batv", include_str!("batv.hsl")),
        ("extras://bimi", include_str!("bimi.hsl")),
        ("extras://bimi-helper", include_str!("bimi_helper.hsl")),
        ("extras://bounce-classifier", include_str!("bounce_classifier.hsl")),
        ("extras://bounce-normalizer", include_str!("bounce_normalizer.hsl")),
        ("extras://clamav", include_str!("clamav.hsl")),
        ("extras://des", include_str!("des.hsl")),
        ("extras://dmarc", include_str!("dmarc.hsl")),
        ("extras://dovecot", include_str!("dovecot.hsl")),
        ("extras://dsn", include_str!("dsn.hsl")),
        ("extras://emailconsul", include_str!("emailconsul.hsl")),
        ("extras://env", include_str!("env.hsl")),
        ("extras://handlebars", include_str!("handlebars.hsl")),
        ("extras://history-elastic", include_str!("history_elastic.hsl")),
        ("extras://milter", include_str!("milter.hsl")),
        ("extras://mta-sts", include_str!("mta_sts.hsl")),
        ("extras://proxytlv", include_str!("proxytlv.hsl")),
        ("extras://s3", include_str!("s3.hsl")),
        ("extras://sasl", include_str!("sasl.hsl")),
        ("extras://sophos", include_str!("sophos.hsl")),
        ("extras://spamassassin", include_str!("spamassassin.hsl")),
        ("extras://srs", include_str!("srs.hsl")),
        ("extras://time-rfc2822", include_str!("time_rfc2822.hsl")),
        ("extras://tls-rpt", include_str!("tls_rpt.hsl")),
        ("extras://tracking", include_str!("tracking.hsl")),
        ("extras://ulid", include_str!("ulid.hsl")),
        ("extras://zip", include_str!("zip.hsl")),
    ],
    ..Family::EMPTY
};

/// The date of a message (RFC 5322, section 3.3), in the local zone or that of a place such as `Europe/Stockholm`.
fn time_rfc2822(call: &mut Call<'_>) -> Result<Value, Fault> {
    let seconds = call.opt_number(0)?;
    let zone = match call.opt_str(1)? {
        None => call.host().timezone().clone(),
        Some(name) => TimeZone::get(&name.to_string_lossy())
            .map_err(|_| call.error(format!("unknown time zone {:?}", name.to_string_lossy())))?,
    };
    let seconds = seconds.unwrap_or_else(|| call.host().now());
    let moment = Timestamp::from_second(seconds.floor() as i64)
        .map_err(|_| call.wrong(0, "a time within the years -9999 to 9999"))?
        .to_zoned_datetime(zone);
    Ok(Value::from(moment.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()))
}

fn getenv(call: &mut Call<'_>) -> Result<Value, Fault> {
    let name = call.str(0)?.to_string_lossy().into_owned();
    // The standard library refuses these with a panic.
    if name.is_empty() || name.contains(['=', '\0']) {
        return Ok(Value::None);
    }
    Ok(std::env::var_os(name).map_or(Value::None, |value| Value::from(value.as_encoded_bytes())))
}
