//! `strptime`: text into a moment, by the conversions of BSD and POSIX in the C locale.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};

use super::civil::{Moment, from_day_of_year};
use super::format::expansion;
use super::names::{DAYS, MONTHS};

/// Seconds since the epoch of `text`, or none when it does not begin as `format` says.
///
/// What follows the match is ignored, as in C. A date that the format leaves out is `today`'s, part by part;
/// a time of day that it leaves out is zero. `%z` and a `%Z` that says UTC or GMT overrule `zone`.
pub(super) fn parse(text: &[u8], format: &[u8], today: Date, zone: &TimeZone) -> Option<f64> {
    let mut parser = Parser { text, fields: Fields::default() };
    parser.run(format, 0)?;
    parser.fields.unix_seconds(today, zone)
}

#[derive(Default)]
struct Fields {
    century: Option<i32>,
    year_of_century: Option<i32>,
    year: Option<i32>,
    month: Option<i32>,
    day: Option<i32>,
    day_of_year: Option<i32>,
    /// Week of the year and the day it begins on (0 = Sunday).
    week: Option<(i32, i32)>,
    weekday: Option<i32>,
    hour: Option<i32>,
    hour12: Option<i32>,
    afternoon: Option<bool>,
    minute: Option<i32>,
    second: Option<i32>,
    offset_seconds: Option<i32>,
    unix_seconds: Option<i64>,
}

impl Fields {
    fn unix_seconds(&self, today: Date, zone: &TimeZone) -> Option<f64> {
        if let Some(seconds) = self.unix_seconds {
            return Timestamp::from_second(seconds).ok().map(|timestamp| timestamp.as_second() as f64);
        }
        let time =
            Time::new(self.hour() as i8, self.minute.unwrap_or(0) as i8, self.second.unwrap_or(0) as i8, 0);
        let local = self.date(today)?.to_datetime(time.ok()?);
        match self.offset_seconds {
            Some(seconds) => {
                let timestamp = Offset::from_seconds(seconds).ok()?.to_timestamp(local).ok()?;
                Some(timestamp.as_second() as f64)
            }
            None => Moment::unix_seconds(local, zone),
        }
    }

    fn hour(&self) -> i32 {
        match (self.hour, self.hour12) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 },
            (None, None) => 0,
        }
    }

    fn date(&self, today: Date) -> Option<Date> {
        let year = i16::try_from(self.year(today)).ok()?;
        if let Some(day) = self.day_of_year {
            return from_day_of_year(year, day);
        }
        if let (Some((week, first_day)), None, None) = (self.week, self.month, self.day) {
            return self.date_of_week(year, week, first_day);
        }
        let month = self.month.unwrap_or_else(|| i32::from(today.month()));
        let day = self.day.unwrap_or_else(|| i32::from(today.day()));
        Date::new(year, month as i8, day as i8).ok()
    }

    fn year(&self, today: Date) -> i32 {
        match (self.year, self.century, self.year_of_century) {
            (Some(year), ..) => year,
            (None, Some(century), year) => century * 100 + year.unwrap_or(0),
            (None, None, Some(year)) => year + if year < 69 { 2000 } else { 1900 },
            (None, None, None) => i32::from(today.year()),
        }
    }

    fn date_of_week(&self, year: i16, week: i32, first_day: i32) -> Option<Date> {
        let january = Date::new(year, 1, 1).ok()?;
        let first = i32::from(january.weekday().to_sunday_zero_offset());
        let start = (first_day - first).rem_euclid(7);
        let weekday = (self.weekday.unwrap_or(first_day) - first_day).rem_euclid(7);
        from_day_of_year(year, 1 + start + (week - 1) * 7 + weekday)
    }
}

struct Parser<'a> {
    text: &'a [u8],
    fields: Fields,
}

impl Parser<'_> {
    fn run(&mut self, format: &[u8], depth: u8) -> Option<()> {
        let mut bytes = format.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte.is_ascii_whitespace() {
                self.skip_space();
            } else if byte != b'%' {
                self.literal(byte)?;
            } else {
                let verb = bytes.find(|byte| !matches!(byte, b'-' | b'_' | b'0' | b'E' | b'O'))?;
                match expansion(verb).filter(|_| depth == 0) {
                    Some(expansion) => self.run(expansion, depth + 1)?,
                    None => self.verb(verb)?,
                }
            }
        }
        Some(())
    }

    fn verb(&mut self, verb: u8) -> Option<()> {
        match verb {
            b'%' => return self.literal(b'%'),
            b'n' | b't' => self.skip_space(),
            b'A' | b'a' => self.fields.weekday = Some(self.name(&DAYS)?),
            b'B' | b'b' | b'h' => self.fields.month = Some(self.name(&MONTHS)? + 1),
            b'p' => self.fields.afternoon = Some(self.name_of(&["AM", "PM"])? == 1),
            b's' => self.fields.unix_seconds = Some(self.number(18, i64::MIN, i64::MAX)?),
            b'z' => self.fields.offset_seconds = Some(self.offset()?),
            b'Z' => self.zone(),
            _ => self.numeric(verb)?,
        }
        Some(())
    }

    fn numeric(&mut self, verb: u8) -> Option<()> {
        let (digits, least, most) = match verb {
            b'C' | b'g' | b'y' => (2, 0, 99),
            b'd' | b'e' => (2, 1, 31),
            b'G' | b'Y' => (4, 0, 9999),
            b'H' | b'k' => (2, 0, 23),
            b'I' | b'l' => (2, 1, 12),
            b'j' => (3, 1, 366),
            b'M' => (2, 0, 59),
            b'm' => (2, 1, 12),
            b'S' => (2, 0, 60),
            b'U' | b'V' | b'W' => (2, 0, 53),
            b'u' => (1, 1, 7),
            b'w' => (1, 0, 6),
            _ => return None,
        };
        let number = self.number(digits, least, most)? as i32;
        let fields = &mut self.fields;
        match verb {
            b'C' => fields.century = Some(number),
            b'y' => fields.year_of_century = Some(number),
            b'd' | b'e' => fields.day = Some(number),
            b'Y' => fields.year = Some(number),
            b'H' | b'k' => fields.hour = Some(number),
            b'I' | b'l' => fields.hour12 = Some(number),
            b'j' => fields.day_of_year = Some(number),
            b'M' => fields.minute = Some(number),
            b'm' => fields.month = Some(number),
            // A leap second is the last one of its minute.
            b'S' => fields.second = Some(number.min(59)),
            b'U' => fields.week = Some((number, 0)),
            b'W' => fields.week = Some((number, 1)),
            b'u' | b'w' => fields.weekday = Some(number % 7),
            // ISO weeks and their years are read and, as in C, not used.
            _ => {}
        }
        Some(())
    }

    fn literal(&mut self, byte: u8) -> Option<()> {
        let (&first, rest) = self.text.split_first()?;
        self.text = rest;
        (first == byte).then_some(())
    }

    fn skip_space(&mut self) {
        self.text = self.text.trim_ascii_start();
    }

    /// A number with an optional sign, after white space, of at most `digits` digits.
    fn number(&mut self, digits: usize, least: i64, most: i64) -> Option<i64> {
        self.skip_space();
        let negative = least < 0 && self.text.first() == Some(&b'-');
        if negative {
            self.text = &self.text[1..];
        }
        let length = self.text.iter().take(digits).take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let number =
            self.text[..length].iter().fold(0i64, |number, byte| number * 10 + i64::from(byte - b'0'));
        self.text = &self.text[length..];
        let number = if negative { -number } else { number };
        (least..=most).contains(&number).then_some(number)
    }

    /// A full name or its first three letters, in any case.
    fn name(&mut self, names: &[&str]) -> Option<i32> {
        self.name_of(names).or_else(|| {
            let short: Vec<&str> = names.iter().map(|name| &name[..3]).collect();
            self.name_of(&short)
        })
    }

    fn name_of(&mut self, names: &[&str]) -> Option<i32> {
        self.skip_space();
        let starts = |name: &&str| {
            self.text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        };
        let found = names.iter().position(starts)?;
        self.text = &self.text[names[found].len()..];
        i32::try_from(found).ok()
    }

    /// `+hhmm`, `+hh:mm`, `+hh` or `Z`.
    fn offset(&mut self) -> Option<i32> {
        self.skip_space();
        let (&sign, rest) = self.text.split_first()?;
        self.text = rest;
        let sign = match sign {
            b'+' => 1,
            b'-' => -1,
            b'Z' => return Some(0),
            _ => return None,
        };
        let hours = self.two_digits()?;
        if self.text.first() == Some(&b':') {
            self.text = &self.text[1..];
        }
        let minutes = self.two_digits().unwrap_or(0);
        (hours <= 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }

    fn two_digits(&mut self) -> Option<i32> {
        let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = self.text else { return None };
        self.text = rest;
        Some(i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    }

    /// A zone's name; only those of UTC are unambiguous, others say nothing.
    fn zone(&mut self) {
        self.skip_space();
        let length = self.text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let name = &self.text[..length];
        if [&b"UTC"[..], b"GMT", b"Z"].iter().any(|utc| name.eq_ignore_ascii_case(utc)) {
            self.fields.offset_seconds = Some(0);
        }
        self.text = &self.text[length..];
    }
}
