use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::super::testing::{StillHost, call, call_with, text};
use super::civil::Moment;
use super::{duration, format, parse};
use crate::value::{Array, Value};

fn utc() -> Value {
    let mut options = Array::new();
    options.set_str("local", false);
    Value::from(options)
}

/// UTC+1 with summer time from the end of March to the end of October.
fn stockholm() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn formatted(verbs: &str, seconds: f64, zone: &TimeZone) -> String {
    let moment = Moment::new(seconds, zone).unwrap();
    String::from_utf8(format::format(verbs.as_bytes(), &moment)).unwrap()
}

/// What glibc's strftime gives in the C locale for the same moments.
#[test]
fn every_conversion_is_that_of_strftime() {
    let zone = stockholm();
    // Sunday 2024-12-29 23:05:09 UTC, in the first ISO week of 2025 at local time.
    let at = 1_735_513_509.75;
    let cases = [
        ("%A %a", "Monday Mon"),
        ("%B %b %h", "December Dec Dec"),
        ("%C %y %Y", "20 24 2024"),
        ("%d|%e|%j", "30|30|365"),
        ("%H|%I|%k|%l", "00|12| 0|12"),
        ("%M:%S %p", "05:09 AM"),
        ("%G-W%V-%u %g %w", "2025-W01-1 25 1"),
        ("%U %W", "52 53"),
        ("%s", "1735513509"),
        ("%Z %z", "CET +0100"),
        ("%D %F %x", "12/30/24 2024-12-30 12/30/24"),
        ("%R %r %T %X", "00:05 12:05:09 AM 00:05:09 00:05:09"),
        ("%c", "Mon Dec 30 00:05:09 2024"),
        ("%v", "30-Dec-2024"),
        ("%+", "Mon Dec 30 00:05:09 CET 2024"),
        ("%n%t%%", "\n\t%"),
        ("%-d %-H %_m %_H %0e", "30 0 12  0 30"),
        ("%Ey %Od", "24 30"),
        ("%Q %", "Q %"),
        ("å", "å"),
    ];
    for (verbs, expected) in cases {
        assert_eq!(formatted(verbs, at, &zone), expected, "{verbs}");
    }
    assert_eq!(formatted("%Z %z", 1_720_000_000.0, &zone), "CEST +0200");
    assert_eq!(formatted("%e %l %k", 1_704_099_600.0, &TimeZone::UTC), " 1  9  9");
    assert_eq!(formatted("%F %T", -0.5, &TimeZone::UTC), "1969-12-31 23:59:59");
}

#[test]
fn the_first_days_of_years_fall_into_weeks() {
    // 2023-01-01 was a Sunday, 2024-01-01 a Monday, 2021-01-01 a Friday.
    for (seconds, expected) in
        [(1_672_531_200.0, "01 00 52"), (1_704_067_200.0, "00 01 01"), (1_609_459_200.0, "00 00 53")]
    {
        assert_eq!(formatted("%U %W %V", seconds, &TimeZone::UTC), expected);
    }
}

#[test]
fn a_formatted_time_ends_at_100_bytes() {
    assert_eq!(text(call("strftime", ["%Y".repeat(90).into(), 0.0.into(), utc()])).len(), 100);
    assert!(call("strftime", ["%c".repeat(5000).into()]).is_err());
    for beyond in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e18, -1e13] {
        assert!(call("strftime", ["%c".into(), beyond.into()]).is_err(), "{beyond}");
    }
}

#[test]
fn texts_mean_times() {
    let today = date(2023, 11, 14);
    let zone = stockholm();
    let cases = [
        ("1971-01-01 00:00:00", "%Y-%m-%d %H:%M:%S", Some(31_532_400.0)),
        ("2024-07-01T12:00:00Z", "%FT%T%z", Some(1_719_835_200.0)),
        ("2024-07-01T12:00:00+02:00", "%FT%T%z", Some(1_719_828_000.0)),
        ("2024-07-01 12:00 GMT", "%F %R %Z", Some(1_719_835_200.0)),
        ("2024-07-01 12:00 CEST", "%F %R %Z", Some(1_719_828_000.0)),
        ("Mon, 1 Jul 2024 12:00:00 -0700", "%a, %d %b %Y %H:%M:%S %z", Some(1_719_860_400.0)),
        ("monday july 1 24", "%A %B %e %y", Some(1_719_784_800.0)),
        ("07/01/24 01:02:03 PM", "%D %r", Some(1_719_831_723.0)),
        ("12 am 1", "%I %p %d", Some(1_698_793_200.0)),
        ("2024 183", "%Y %j", Some(1_719_784_800.0)),
        ("2024 26 1", "%Y %W %u", Some(1_719_180_000.0)),
        ("1719835200", "%s", Some(1_719_835_200.0)),
        ("-1", "%s", Some(-1.0)),
        ("14:30", "%H:%M", Some(1_699_968_600.0)),
        ("2024-07-01 trailing", "%F", Some(1_719_784_800.0)),
        ("  2024 -  07-01", "%Y - %m-%d", Some(1_719_784_800.0)),
        ("100%", "%j%%", Some(1_681_077_600.0)),
        ("2024-02-30", "%F", None),
        ("2023 366", "%Y %j", None),
        ("2024-13-01", "%F", None),
        ("25:00", "%H:%M", None),
        ("12:60", "%H:%M", None),
        ("noon", "%H", None),
        ("", "%H", None),
        ("x", "%Q", None),
        ("x", "%", None),
        ("99999999999999999999", "%s", None),
        ("+99:00", "%z", None),
    ];
    for (text, verbs, expected) in cases {
        assert_eq!(
            parse::parse(text.as_bytes(), verbs.as_bytes(), today, &zone),
            expected,
            "{text:?} {verbs}"
        );
    }
}

#[test]
fn hours_that_the_change_of_time_skips_or_repeats_have_an_answer() {
    let today = date(2023, 11, 14);
    // 2024-03-31 02:30 did not exist; 2024-10-27 02:30 was there twice.
    for (text, expected) in [("2024-03-31 02:30", 1_711_848_600.0), ("2024-10-27 02:30", 1_729_989_000.0)] {
        assert_eq!(parse::parse(text.as_bytes(), b"%F %R", today, &stockholm()), Some(expected), "{text}");
    }
}

#[test]
fn the_local_zone_is_the_default() {
    let mut host = StillHost { zone: stockholm(), ..StillHost::default() };
    assert_eq!(text(call_with(&mut host, "strftime", ["%R".into()])), "23:13");
    assert_eq!(text(call_with(&mut host, "strftime", ["%R".into(), Value::None, utc()])), "22:13");
    assert_eq!(text(call_with(&mut host, "timelocal", [])), "1700003600.25");
    assert_eq!(text(call_with(&mut host, "strptime", ["22:13".into(), "%R".into(), utc()])), "1699999980");
    assert_eq!(text(call("time", [])), "1700000000.25");
    assert_eq!(text(call("uptime", [])), "1000.5");
    assert_eq!(text(call("executiontime", [])), "0.125");
}

#[test]
fn durations_are_sums() {
    for (text, expected) in [
        ("1h30m", Some(5400.0)),
        ("1d2h3m4s", Some(93_784.0)),
        ("90s", Some(90.0)),
        ("0s", Some(0.0)),
        ("1.5h", Some(5400.0)),
        ("", None),
        ("60", None),
        ("h", None),
        ("1h30", None),
        ("1 h", None),
        ("-1h", None),
        ("1w", None),
        ("1..5s", None),
    ] {
        assert_eq!(duration::parse(text.as_bytes()), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_formatted_reads_back(seconds in -60_000_000_000i64..250_000_000_000) {
        for verbs in ["%Y-%m-%d %H:%M:%S", "%s", "%Y %j %T", "%a %d %b %Y %r"] {
            let text = formatted(verbs, seconds as f64, &TimeZone::UTC);
            let read = parse::parse(text.as_bytes(), verbs.as_bytes(), date(2000, 1, 1), &TimeZone::UTC);
            prop_assert_eq!(read, Some(seconds as f64), "{}", text);
        }
    }

    #[test]
    fn any_text_and_format_end(text in "\\PC{0,30}", verbs in "(%?\\PC){0,12}") {
        let _ = parse::parse(text.as_bytes(), verbs.as_bytes(), date(2000, 2, 29), &TimeZone::UTC);
        let _ = duration::parse(text.as_bytes());
        formatted(&verbs, 0.0, &TimeZone::UTC);
    }
}
