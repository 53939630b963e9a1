//! The date-time of RFC 5322 3.3, from a time that the caller knows.

const DAY_S: i64 = 86_400;

/// `Thu, 01 Jan 1970 00:00:00 +0000` for a Unix time and the offset of the local zone.
pub fn format(unix_s: i64, offset_min: i32) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // From the year 0 to 9999, beyond which the format has no digits.
    let local = unix_s.clamp(-62_167_000_000, 253_402_000_000) + i64::from(offset_min) * 60;
    let (days, second) = (local.div_euclid(DAY_S), local.rem_euclid(DAY_S));
    let (year, month, day) = civil(days);
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let sign = if offset_min < 0 { '-' } else { '+' };
    let (zone_hour, zone_minute) = (offset_min.unsigned_abs() / 60 % 100, offset_min.unsigned_abs() % 60);
    let month = MONTHS[month as usize - 1];
    format!(
        "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} {sign}{zone_hour:02}{zone_minute:02}"
    )
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: years are counted from March so
/// that the leap day is the last one.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn dates_have_the_form_of_rfc_5322() {
        assert_eq!(format(0, 0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(format(880_127_706, -360), "Fri, 21 Nov 1997 09:55:06 -0600");
        assert_eq!(format(951_782_400, 0), "Tue, 29 Feb 2000 00:00:00 +0000");
        assert_eq!(format(4_107_542_400, 330), "Mon, 01 Mar 2100 05:30:00 +0530");
        assert_eq!(format(-1, 0), "Wed, 31 Dec 1969 23:59:59 +0000");
    }

    #[test]
    fn times_out_of_range_give_a_date_all_the_same() {
        for time in [i64::MIN, i64::MAX] {
            assert_eq!(format(time, 0).len(), 31);
        }
    }
}
