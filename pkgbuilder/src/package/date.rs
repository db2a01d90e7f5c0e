//! Dates as package files write them, without the clock or the time zone of the machine.

use std::fmt;

const DAY: i64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment, displayed as changelogs have it (RFC 5322 in UTC: `Tue, 09 Sep 2025 14:36:45 +0000`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangelogDate(pub i64);

impl fmt::Display for ChangelogDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, "+0000")
    }
}

/// A moment, displayed as a repository's `Release` has it: as in changelogs, but for the zone's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseDate(pub i64);

impl fmt::Display for ReleaseDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, "UTC")
    }
}

fn write(f: &mut fmt::Formatter<'_>, epoch: i64, zone: &str) -> fmt::Result {
    let (days, seconds) = (epoch.div_euclid(DAY), epoch.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    // 1970-01-01 was a Thursday.
    let weekday = WEEKDAYS[usize::try_from(days.rem_euclid(7)).expect("0 to 6")];
    let month = MONTHS[usize::from(month) - 1];
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(
        f,
        "{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} {zone}"
    )
}

/// Seconds since 1970 of a date and time in UTC; `None` where there is no such moment.
pub fn seconds(year: i64, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Option<i64> {
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && (1970..10_000).contains(&year);
    valid.then(|| days(year, month, day) * DAY + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

/// Reads an RFC 3339 moment in UTC (`2025-09-09T14:36:45Z`), as Go's module proxies write it.
pub fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let time = time.split('.').next()?;
    let mut time = time.splitn(3, ':');
    let (hour, minute, second) = (time.next()?, time.next()?, time.next()?);
    seconds(
        year.parse().ok()?,
        month.parse().ok()?,
        day.parse().ok()?,
        hour.parse().ok()?,
        minute.parse().ok()?,
        second.parse().ok()?,
    )
}

/// The moment as [`rfc3339`] reads it.
pub fn to_rfc3339(epoch: i64) -> String {
    let (year, month, day) = civil(epoch.div_euclid(DAY));
    let seconds = epoch.rem_euclid(DAY);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The moment as Go's pseudo-versions have it: `20250909143645`.
pub fn compact(epoch: i64) -> String {
    let (year, month, day) = civil(epoch.div_euclid(DAY));
    let seconds = epoch.rem_euclid(DAY);
    format!(
        "{year:04}{month:02}{day:02}{:02}{:02}{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Days since 1970 of a date of the Gregorian calendar
/// (`days_from_civil` of <https://howardhinnant.github.io/date_algorithms.html>).
fn days(year: i64, month: u8, day: u8) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of days since 1970 (`civil_from_days` of the same page).
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = u8::try_from(day_of_year - (153 * shifted + 2) / 5 + 1).expect("1 to 31");
    let month = u8::try_from(if shifted < 10 { shifted + 3 } else { shifted - 9 }).expect("1 to 12");
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        let moment = rfc3339("2025-09-09T14:36:45Z").unwrap();
        assert_eq!(moment, 1_757_428_605);
        assert_eq!(ChangelogDate(moment).to_string(), "Tue, 09 Sep 2025 14:36:45 +0000");
        assert_eq!(ReleaseDate(moment).to_string(), "Tue, 09 Sep 2025 14:36:45 UTC");
        assert_eq!(compact(moment), "20250909143645");
        assert_eq!(ChangelogDate(0).to_string(), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc3339("2024-02-29T00:00:00.5Z"), Some(1_709_164_800));
        for wrong in [
            "",
            "2025-09-09",
            "2025-13-09T14:36:45Z",
            "2025-09-09T14:36:45+02:00",
            "x-y-zT1:2:3Z",
        ] {
            assert_eq!(rfc3339(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(day in 0_i64..3_000_000) {
            let (year, month, of_month) = civil(day);
            prop_assert_eq!(days(year, month, of_month), day);
        }
    }
}
