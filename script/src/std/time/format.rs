//! `strftime`: the conversions of BSD and POSIX, in the C locale.

use super::civil::Moment;
use super::names::{DAYS, MONTHS};
use crate::limits::MAX_STRFTIME_BYTES;

/// Formats a moment. The result ends at 100 bytes; an unknown conversion stands for its letter.
pub(super) fn format(format: &[u8], moment: &Moment) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    let mut writer = Writer { out: &mut out, moment };
    writer.run(format, 0);
    out.truncate(MAX_STRFTIME_BYTES);
    out
}

/// How a number is filled up: `%-d`, `%_d` and `%0d` override what the conversion does by itself.
#[derive(Clone, Copy)]
enum Pad {
    Zero,
    Space,
    None,
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    moment: &'a Moment,
}

impl Writer<'_> {
    fn run(&mut self, format: &[u8], depth: u8) {
        let mut bytes = format.iter().copied();
        while let Some(byte) = bytes.next() {
            if self.out.len() >= MAX_STRFTIME_BYTES {
                return;
            }
            if byte != b'%' {
                self.out.push(byte);
                continue;
            }
            let mut pad = None;
            let verb = loop {
                match bytes.next() {
                    Some(b'-') => pad = Some(Pad::None),
                    Some(b'_') => pad = Some(Pad::Space),
                    Some(b'0') => pad = Some(Pad::Zero),
                    Some(b'E' | b'O') => {}
                    other => break other,
                }
            };
            match verb {
                Some(verb) => self.verb(verb, pad, depth),
                None => self.out.push(b'%'),
            }
        }
    }

    fn verb(&mut self, verb: u8, pad: Option<Pad>, depth: u8) {
        if let Some(expansion) = expansion(verb).filter(|_| depth == 0) {
            return self.run(expansion, depth + 1);
        }
        match verb {
            b'A' => self.text(DAYS[self.moment.weekday() as usize]),
            b'a' => self.text(&DAYS[self.moment.weekday() as usize][..3]),
            b'B' => self.text(MONTHS[self.month()]),
            b'b' | b'h' => self.text(&MONTHS[self.month()][..3]),
            b'p' => self.text(if self.moment.local.hour() < 12 { "AM" } else { "PM" }),
            b'Z' => self.text(&self.moment.zone),
            b'z' => self.offset(),
            b'n' => self.out.push(b'\n'),
            b't' => self.out.push(b'\t'),
            b's' => self.text(&self.moment.unix_seconds.to_string()),
            _ => match self.number(verb) {
                Some((number, width, usual)) => self.padded(number, width, pad.unwrap_or(usual)),
                None => self.out.push(verb),
            },
        }
    }

    /// A numeric conversion: value, width, and how it is filled up.
    fn number(&self, verb: u8) -> Option<(i32, usize, Pad)> {
        let local = &self.moment.local;
        let hour = i32::from(local.hour());
        let hour12 = if hour % 12 == 0 { 12 } else { hour % 12 };
        let iso = local.date().iso_week_date();
        let year = i32::from(local.year());
        Some(match verb {
            b'C' => (year.div_euclid(100), 2, Pad::Zero),
            b'd' => (i32::from(local.day()), 2, Pad::Zero),
            b'e' => (i32::from(local.day()), 2, Pad::Space),
            b'G' => (i32::from(iso.year()), 4, Pad::Zero),
            b'g' => (i32::from(iso.year()).rem_euclid(100), 2, Pad::Zero),
            b'H' => (hour, 2, Pad::Zero),
            b'I' => (hour12, 2, Pad::Zero),
            b'j' => (i32::from(local.day_of_year()), 3, Pad::Zero),
            b'k' => (hour, 2, Pad::Space),
            b'l' => (hour12, 2, Pad::Space),
            b'M' => (i32::from(local.minute()), 2, Pad::Zero),
            b'm' => (i32::from(local.month()), 2, Pad::Zero),
            b'S' => (i32::from(local.second()), 2, Pad::Zero),
            b'U' => (self.moment.week_of_year(0), 2, Pad::Zero),
            b'u' => ((self.moment.weekday() + 6) % 7 + 1, 1, Pad::Zero),
            b'V' => (i32::from(iso.week()), 2, Pad::Zero),
            b'W' => (self.moment.week_of_year(1), 2, Pad::Zero),
            b'w' => (self.moment.weekday(), 1, Pad::Zero),
            b'Y' => (year, 4, Pad::Zero),
            b'y' => (year.rem_euclid(100), 2, Pad::Zero),
            _ => return None,
        })
    }

    fn month(&self) -> usize {
        (self.moment.local.month() as usize).saturating_sub(1)
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn padded(&mut self, number: i32, width: usize, pad: Pad) {
        let text = match pad {
            Pad::Zero => format!("{number:0width$}"),
            Pad::Space => format!("{number:width$}"),
            Pad::None => number.to_string(),
        };
        self.text(&text);
    }

    fn offset(&mut self) {
        let seconds = self.moment.offset_seconds;
        let minutes = seconds.abs() / 60;
        let sign = if seconds < 0 { '-' } else { '+' };
        self.text(&format!("{sign}{:02}{:02}", minutes / 60, minutes % 60));
    }
}

/// Conversions that are short for others.
pub(super) fn expansion(verb: u8) -> Option<&'static [u8]> {
    Some(match verb {
        b'c' => b"%a %b %e %H:%M:%S %Y",
        b'D' | b'x' => b"%m/%d/%y",
        b'F' => b"%Y-%m-%d",
        b'R' => b"%H:%M",
        b'r' => b"%I:%M:%S %p",
        b'T' | b'X' => b"%H:%M:%S",
        b'v' => b"%e-%b-%Y",
        b'+' => b"%a %b %e %H:%M:%S %Z %Y",
        _ => return None,
    })
}
