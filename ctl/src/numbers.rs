//! Numbers and dates with operators, as selectors take them: `>3`, `>=3`, `<3`, `<=3`, `=3`, `3`, `1..3`.

use control::smtpd::NumberMatch;
use control::smtpd::number_match::Operator;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::Failure;

/// A condition on a number.
pub(crate) fn number(option: &str, text: &str) -> Result<NumberMatch, Failure> {
    condition(text, |text| text.parse().ok().filter(|number: &f64| number.is_finite())).ok_or_else(|| {
        usage(option, text, "is not a number, one with >, >=, <, <= or = before it, or a range LOW..HIGH")
    })
}

/// A condition on a time: as RFC 3339 writes it, with `Z` or an offset; without either in the time zone of the host; or
/// seconds since 1970.
pub(crate) fn date(option: &str, text: &str) -> Result<NumberMatch, Failure> {
    condition(text, moment).ok_or_else(|| {
        usage(
            option,
            text,
            "is not a time like 2026-03-01T14:00:00Z, one with an operator, or a range FROM..TO",
        )
    })
}

/// A condition on a pair of metadata: `KEY=VALUE`, or a comparison of numbers like `KEY>=3`.
pub(crate) fn pair(option: &str, text: &str) -> Result<(String, Result<String, NumberMatch>), Failure> {
    let wrong = || usage(option, text, "is not KEY=VALUE, or KEY and a comparison like >=3");
    let at = text.find(['=', '<', '>']).filter(|at| *at > 0).ok_or_else(wrong)?;
    let (key, rest) = text.split_at(at);
    let value = match rest.strip_prefix('=') {
        Some(value) => Ok(value.to_owned()),
        None => Err(number(option, rest).map_err(|_| wrong())?),
    };
    Ok((key.to_owned(), value))
}

fn condition(text: &str, value: impl Fn(&str) -> Option<f64>) -> Option<NumberMatch> {
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (value(low)?, value(high)?);
        let range = NumberMatch { min: Some(low), max: Some(high), ..NumberMatch::default() };
        return (low <= high).then_some(range);
    }
    let operators = [
        (">=", Operator::Ge),
        (">", Operator::Gt),
        ("<=", Operator::Le),
        ("<", Operator::Lt),
        ("=", Operator::Eq),
        ("", Operator::Eq),
    ];
    let (rest, operator) =
        operators.into_iter().find_map(|(sign, operator)| Some((text.strip_prefix(sign)?, operator)))?;
    Some(NumberMatch {
        value: Some(value(rest.trim())?),
        operator: operator.into(),
        ..NumberMatch::default()
    })
}

/// Seconds since 1970.
fn moment(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::system().to_timestamp(civil).ok()
    })?;
    Some(timestamp.as_millisecond() as f64 / 1000.0)
}

fn usage(option: &str, text: &str, why: &str) -> Failure {
    Failure::Usage(format!("--{option}: \"{}\" {why}", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(value: f64, operator: Operator) -> NumberMatch {
        NumberMatch { value: Some(value), operator: operator.into(), ..NumberMatch::default() }
    }

    #[test]
    fn operators_and_ranges() {
        for (text, wanted) in [
            ("3", compared(3.0, Operator::Eq)),
            ("=3", compared(3.0, Operator::Eq)),
            (">3", compared(3.0, Operator::Gt)),
            (">=3", compared(3.0, Operator::Ge)),
            ("<3.5", compared(3.5, Operator::Lt)),
            ("<= 3", compared(3.0, Operator::Le)),
            ("1..2", NumberMatch { min: Some(1.0), max: Some(2.0), ..NumberMatch::default() }),
        ] {
            assert_eq!(number("age", text), Ok(wanted), "{text}");
        }
        for text in ["", ">", "x", "1..", "..2", "1...2", "3..2", "inf", ">nan", "1h"] {
            let Err(Failure::Usage(said)) = number("age", text) else { panic!("{text}") };
            assert!(said.starts_with("--age: "), "{said}");
        }
    }

    #[test]
    fn dates_are_seconds_since_1970() {
        let wanted = 1_772_373_600.0;
        for text in ["2026-03-01T14:00:00Z", "2026-03-01T15:00:00+01:00", "1772373600"] {
            assert_eq!(date("ts", text), Ok(compared(wanted, Operator::Eq)), "{text}");
        }
        let range = date("ts", "2026-03-01T14:00:00Z..2026-03-01T15:00:00Z").unwrap();
        assert_eq!((range.min, range.max), (Some(wanted), Some(wanted + 3600.0)));
        assert!(date("ts", "2026-03-01").is_ok());
        assert!(date("ts", "yesterday").is_err());
    }

    #[test]
    fn metadata_is_compared_as_text_or_as_a_number() {
        assert_eq!(pair("metadata", "qid=a=b"), Ok(("qid".to_owned(), Ok("a=b".to_owned()))));
        assert_eq!(pair("metadata", "n>=3"), Ok(("n".to_owned(), Err(compared(3.0, Operator::Ge)))));
        assert!(pair("metadata", "=x").is_err());
        assert!(pair("metadata", "x").is_err());
    }
}
