//! `date`, by the tree's own clock.

use super::arguments::Arguments;
use crate::shell::process::{Command, Halt, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[("date", date)];

const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment of UTC in the terms of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    /// 1 to 12.
    month: i64,
    day: i64,
    /// 0 to 6 from Sunday.
    weekday: usize,
    /// 1 to 366.
    yearday: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html>, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Civil {
    fn new(time: i64) -> Self {
        let (day_number, second) = (time.div_euclid(86_400), time.rem_euclid(86_400));
        // Never later than the year looked for.
        let mut year = 1970 + day_number.div_euclid(if day_number < 0 { 365 } else { 366 });
        while days(year + 1, 1, 1) <= day_number {
            year += 1;
        }
        let mut month = 12;
        while days(year, month, 1) > day_number {
            month -= 1;
        }
        Self {
            year,
            month,
            day: day_number - days(year, month, 1) + 1,
            weekday: usize::try_from((day_number + 4).rem_euclid(7)).expect("0 to 6"),
            yearday: day_number - days(year, 1, 1) + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

/// What `date` itself prints (`Thu Nov 13 02:13:20 UTC 2025`) as `YYYY-MM-DD HH:MM:SS`.
fn own_output(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [weekday, month, day, time, "UTC", year] = words[..] else {
        return None;
    };
    let abbreviates = |short: &str, name: &&str| short.len() == 3 && name.starts_with(short);
    DAYS.iter().find(|name| abbreviates(weekday, name))?;
    let month = MONTHS.iter().position(|name| abbreviates(month, name))? + 1;
    Some(format!("{year}-{month}-{day} {time}"))
}

/// Seconds since 1970 for what `-d` takes: `@SECONDS`, `now`, `YYYY-MM-DD`, with a time and a zone of UTC if wanted,
/// or what `date` prints.
pub(super) fn parse(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    if let Some(seconds) = text.strip_prefix('@') {
        return seconds.parse().ok();
    }
    if text == "now" || text.is_empty() {
        return Some(now);
    }
    if let Some(text) = own_output(text) {
        return parse(&text, now);
    }
    let text = text.trim_end_matches("UTC").trim_end_matches('Z').trim_end();
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    let numbers = |text: &str, separator| {
        text.split(separator)
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<i64>>>()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let &[year, month, day] = &date[..] else {
        return None;
    };
    let (&hour, &minute) = (time.first()?, time.get(1)?);
    let second = time.get(2).copied().unwrap_or(0);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    valid.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn date(process: &mut Process<'_>) -> Outcome {
    let args = Arguments::of(
        process,
        &[
            "-u --utc --universal",
            "-d --date =",
            "-r --reference =",
            "-R --rfc-email",
            "-I --iso-8601 [=]",
        ],
    )?;
    let mut time = process.system.tree.now;
    if let Some(name) = args.value("-r") {
        match process.system.tree.stat(&process.path(name)) {
            Ok(inode) => time = inode.mtime,
            Err(error) => return Ok(process.fail(&format!("{name}: {}", error.errno))),
        }
    }
    if let Some(text) = args.value("-d") {
        time = parse(text, time).ok_or_else(|| process.unsupported(format!("date '{text}'")))?;
    }
    let format = match args.operands.first() {
        Some(operand) => match operand.strip_prefix('+') {
            Some(format) => format.to_owned(),
            None => return Err(process.unsupported("setting the clock")),
        },
        None if args.has("-R") => "%a, %d %b %Y %H:%M:%S %z".to_owned(),
        None if args.has("-I") => match args.value("-I") {
            None | Some("date") => "%Y-%m-%d".to_owned(),
            Some("seconds") => "%Y-%m-%dT%H:%M:%S+00:00".to_owned(),
            Some(other) => return Err(process.unsupported(format!("--iso-8601={other}"))),
        },
        None => "%a %b %e %H:%M:%S %Z %Y".to_owned(),
    };
    let line = show(process, &format, time)?;
    process.say(&line);
    Ok(0)
}

fn show(process: &Process<'_>, format: &str, time: i64) -> Result<String, Halt> {
    let now = Civil::new(time);
    let month = MONTHS[usize::try_from(now.month - 1).expect("1 to 12")];
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    while let Some(next) = letters.next() {
        if next != '%' {
            text.push(next);
            continue;
        }
        let bare = letters.next_if_eq(&'-').is_some();
        let padded = |value: i64, width: usize| {
            if bare {
                value.to_string()
            } else {
                format!("{value:0width$}")
            }
        };
        let directive = letters.next();
        let shown = match directive {
            Some('%') => "%".to_owned(),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('a') => DAYS[now.weekday][..3].to_owned(),
            Some('A') => DAYS[now.weekday].to_owned(),
            Some('b' | 'h') => month[..3].to_owned(),
            Some('B') => month.to_owned(),
            Some('d') => padded(now.day, 2),
            Some('e') if bare => now.day.to_string(),
            Some('e') => format!("{:2}", now.day),
            Some('m') => padded(now.month, 2),
            Some('Y') => now.year.to_string(),
            Some('y') => padded(now.year.rem_euclid(100), 2),
            Some('j') => padded(now.yearday, 3),
            Some('u') => if now.weekday == 0 { 7 } else { now.weekday }.to_string(),
            Some('w') => now.weekday.to_string(),
            Some('H') => padded(now.hour, 2),
            Some('M') => padded(now.minute, 2),
            Some('S') => padded(now.second, 2),
            Some('N') => "000000000".to_owned(),
            Some('s') => time.to_string(),
            Some('z') => "+0000".to_owned(),
            Some('Z') => "UTC".to_owned(),
            Some('F') => format!("{}-{:02}-{:02}", now.year, now.month, now.day),
            Some('T') => format!("{:02}:{:02}:{:02}", now.hour, now.minute, now.second),
            Some('R') => format!("{:02}:{:02}", now.hour, now.minute),
            Some('D') => format!("{:02}/{:02}/{:02}", now.month, now.day, now.year.rem_euclid(100)),
            other => return Err(process.unsupported(format!("format %{}", other.unwrap_or('%')))),
        };
        text.push_str(&shown);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::oracle::{ours, same};

    #[test]
    fn does_what_date_does() {
        let all = "+%a %A %b %B %d %-d %e %m %-m %Y %y %j %u %w %H %M %S %s %z %Z %F %T %R %D %%";
        for time in [
            0_i64,
            1,
            951_782_400,
            1_709_251_199,
            1_732_147_200,
            4_102_444_799,
            -86_401,
            1_704_067_199,
        ] {
            same(&[], &["date", "-u", "-d", &format!("@{time}"), all], "");
        }
        same(&[], &["date", "-u", "-d", "2024-02-29 12:30:05", "+%s"], "");
        same(&[], &["date", "-u", "-d", "2025-03-01", "+%s"], "");
        same(&[], &["date", "-u", "-d", "Thu Nov 13 02:13:20 UTC 2025", "+%s"], "");
        same(&[], &["date", "-u", "-R", "-d", "@1000000000"], "");
        same(&[], &["date", "-u", "-Iseconds", "-d", "@1000000000"], "");
        same(&[], &["date", "-u", "-d", "@1000000000"], "");
    }

    #[test]
    fn the_clock_is_the_trees() {
        assert_eq!(ours(&[], &["date", "+%s"], "").stdout, "1700000000\n");
    }

    proptest::proptest! {
        #[test]
        fn every_moment_survives_the_calendar(time in -100_000_000_000_i64..100_000_000_000) {
            let now = Civil::new(time);
            let text = format!("{}-{}-{} {}:{}:{}", now.year, now.month, now.day, now.hour, now.minute, now.second);
            if now.year >= 0 {
                proptest::prop_assert_eq!(parse(&text, 0), Some(time));
            }
        }
    }
}
