//! Broken-down time of the proleptic Gregorian calendar, as `strftime` and `strptime` need it.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A moment in a zone, with everything that a format may ask for.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Wall-clock date and time in the zone.
    pub(super) local: DateTime,
    /// Seconds east of UTC.
    pub(super) offset_seconds: i32,
    /// Name of the zone at that time, such as `UTC` or `CEST`.
    pub(super) zone: String,
    /// Whole seconds since the epoch.
    pub(super) unix_seconds: i64,
}

impl Moment {
    /// The moment `seconds` after the epoch; none outside of the years -9999 to 9999.
    pub(super) fn new(seconds: f64, zone: &TimeZone) -> Option<Moment> {
        let whole = seconds.floor();
        if !(-1e15..1e15).contains(&whole) {
            return None;
        }
        let timestamp = Timestamp::from_second(whole as i64).ok()?;
        let info = zone.to_offset_info(timestamp);
        Some(Moment {
            local: info.offset().to_datetime(timestamp),
            offset_seconds: info.offset().seconds(),
            zone: info.abbreviation().to_owned(),
            unix_seconds: whole as i64,
        })
    }

    /// Seconds since the epoch of a wall-clock time: one that occurs twice is the first, one that was skipped moves
    /// on by the gap.
    pub(super) fn unix_seconds(local: DateTime, zone: &TimeZone) -> Option<f64> {
        let timestamp = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(timestamp.as_second() as f64)
    }

    /// Week of the year from 0 on, where week 1 begins with the first `first_day` (0 = Sunday).
    pub(super) fn week_of_year(&self, first_day: i32) -> i32 {
        let day = i32::from(self.local.day_of_year()) - 1;
        let weekday = (self.weekday() - first_day).rem_euclid(7);
        (day + 7 - weekday) / 7
    }

    /// Day of the week, 0 = Sunday.
    pub(super) fn weekday(&self) -> i32 {
        i32::from(self.local.weekday().to_sunday_zero_offset())
    }
}

/// The day number of a year, counted from 1, as a date.
pub(super) fn from_day_of_year(year: i16, day: i32) -> Option<Date> {
    let first = Date::new(year, 1, 1).ok()?;
    if !(1..=i32::from(first.days_in_year())).contains(&day) {
        return None;
    }
    first.checked_add(jiff::Span::new().days(day - 1)).ok()
}
