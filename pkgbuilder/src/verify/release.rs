//! A suite's signed table of contents: `InRelease` (<https://wiki.debian.org/DebianRepository/Format>).

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use deb822_fast::Deb822;

use super::digest::Sha256;
use super::openpgp::Keyring;
use crate::definition::apt_source::is_flat;
use crate::{bail_input, input_error};

/// How far the clocks of the archive and of this machine may be apart, in seconds.
const CLOCK_TOLERANCE: i64 = 24 * 3600;

/// Which suite of whom is expected, and whose signatures count.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The suite that was asked for.
    pub suite: &'a str,
    /// The further source that it is of; `None` for Debian's own.
    pub source: Option<&'a str>,
    /// Who may sign.
    pub keyring: &'a Keyring,
}

impl Expected<'_> {
    /// What the table of contents is called in messages.
    pub fn name(&self) -> String {
        match self.source {
            Some(source) => format!("InRelease of {} (apt source `{source}`)", self.suite),
            None => format!("InRelease of {}", self.suite),
        }
    }

    /// How another place is named.
    pub fn remedy(&self) -> String {
        match self.source {
            Some(source) => format!("`--apt-source {source}=URL`"),
            None => "`--mirror URL`".to_owned(),
        }
    }

    /// What to do where nobody who is trusted signed.
    fn whom_to_trust(&self) -> String {
        match self.source {
            Some(source) => format!(
                "it takes a good signature of {}: name another place by `--apt-source {source}=URL`, or give the publisher's key in \
                 `debian.sources.{source}.signed_by`",
                self.keyring.fingerprints().join(", ")
            ),
            None => "name another mirror by `--mirror URL`, or the key of an archive of your own by `--keyring FILE`"
                .to_owned(),
        }
    }
}

/// The content of an `InRelease` whose signature is good.
#[derive(Clone, Debug)]
pub struct Release {
    /// What it is called in messages.
    name: String,
    /// `Codename` (`trixie`, `trixie-security`), which Debian's own have.
    codename: Option<String>,
    /// `Suite` (`stable-backports`), under which others are asked for as well.
    suite: Option<String>,
    /// `Date`, seconds since 1970.
    pub date: i64,
    /// `Valid-Until`, seconds since 1970.
    pub valid_until: Option<i64>,
    /// Whether indexes also lie under their digest (`Acquire-By-Hash`).
    pub by_hash: bool,
    indexes: BTreeMap<String, Index>,
}

/// An index file that a release lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// Digest of the file.
    pub sha256: Sha256,
    /// Size in bytes.
    pub size: u64,
}

impl Release {
    /// Verifies and reads an `InRelease`; `now` in seconds since 1970.
    pub fn verify(expected: &Expected<'_>, message: &[u8], now: i64) -> Result<Self> {
        let next = expected.whom_to_trust();
        let text = expected.keyring.verify_cleartext(&expected.name(), message, &next)?;
        Self::read(expected, &text, now)
    }

    /// Verifies and reads a `Release` whose signature lies beside it, in `Release.gpg`.
    pub fn verify_detached(expected: &Expected<'_>, message: &[u8], signature: &[u8], now: i64) -> Result<Self> {
        let name = expected.name().replacen("InRelease", "Release.gpg", 1);
        expected.keyring.verify_detached(&name, message, signature)?;
        let text = std::str::from_utf8(message).map_err(|_| input_error!("{} is not text", expected.name()))?;
        Self::read(expected, text, now)
    }

    fn read(expected: &Expected<'_>, text: &str, now: i64) -> Result<Self> {
        let what = expected.name();
        let mut release = Self::parse(text).map_err(|error| input_error!("{what} cannot be read: {error:#}"))?;
        release.check_suite(expected)?;
        if release.date > now + CLOCK_TOLERANCE {
            bail_input!(
                "{what} is dated {}, which is in the future: set this machine's clock (it says {})",
                readable(release.date),
                readable(now)
            );
        }
        release.name = what;
        Ok(release)
    }

    /// A mirror that answers with another suite's (well signed) file would downgrade us.
    fn check_suite(&self, expected: &Expected<'_>) -> Result<()> {
        let asked = expected.suite;
        let named = |name: &Option<String>| name.as_deref().is_some_and(|name| name == asked);
        let says = match (expected.source, &self.codename, &self.suite) {
            (None, None, _) => bail_input!("{} cannot be read: it has no Codename", expected.name()),
            (_, codename, _) if named(codename) => return Ok(()),
            (None, Some(codename), _) => codename,
            // Others are asked for by either name, and a flat repository is a folder, whatever it calls itself.
            (Some(_), _, suite) if named(suite) || is_flat(asked) => return Ok(()),
            (Some(_), Some(name), _) | (Some(_), None, Some(name)) => name,
            (Some(_), None, None) => return Ok(()),
        };
        bail_input!(
            "{} is the one of `{says}`: the mirror is mixed up, or someone swaps suites",
            expected.name()
        );
    }

    /// Fails if `now` is past `Valid-Until`: a mirror that is not updated any more, or one that hides updates; `remedy`
    /// is how another place is named.
    pub fn check_validity(&self, now: i64, remedy: &str) -> Result<()> {
        if let Some(until) = self.valid_until
            && until < now
        {
            bail_input!(
                "{} was valid until {} only, and this machine's clock says {}: the mirror is stale (take another one by \
                 {remedy}, or believe this one by `--allow-expired`), or the clock is wrong",
                self.name,
                readable(until),
                readable(now)
            );
        }
        Ok(())
    }

    fn parse(text: &str) -> Result<Self> {
        let document: Deb822 = text.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
        let fields = document.iter().next().context("it is empty")?;
        let date = fields.get("Date").context("it has no Date")?;
        let valid_until = fields.get("Valid-Until").map(parse_date).transpose()?;
        let mut indexes = BTreeMap::new();
        for line in fields.get("SHA256").context("it lists no SHA-256 digests")?.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(sha256), Some(size), Some(path)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let index = Index {
                sha256: sha256.parse()?,
                size: size.parse().with_context(|| format!("reading size `{size}`"))?,
            };
            indexes.insert(path.to_owned(), index);
        }
        Ok(Self {
            name: String::new(),
            codename: fields.get("Codename").map(str::to_owned),
            suite: fields.get("Suite").map(str::to_owned),
            date: parse_date(date)?,
            valid_until,
            by_hash: fields.get("Acquire-By-Hash") == Some("yes"),
            indexes,
        })
    }

    /// The index at `path`, relative to the suite's folder.
    pub fn index(&self, path: &str) -> Option<Index> {
        self.indexes.get(path).copied()
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Reads `Sat, 12 Sep 2026 07:55:41 UTC` (RFC 5322 as the archive writes it; `GMT` as HTTP has it), giving seconds
/// since 1970.
pub(crate) fn parse_date(text: &str) -> Result<i64> {
    let parts: Vec<&str> = text
        .split_once(',')
        .map_or(text, |(_, rest)| rest)
        .split_ascii_whitespace()
        .collect();
    let parsed = match parts.as_slice() {
        [day, month, year, time, "UTC" | "GMT" | "+0000"] => seconds(day, month, year, time),
        _ => None,
    };
    parsed.with_context(|| format!("`{text}` is not a date"))
}

fn seconds(day: &str, month: &str, year: &str, time: &str) -> Option<i64> {
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<i64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock.as_slice() else {
        return None;
    };
    let plausible = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(hour)
        && (0..60).contains(minute)
        && (0..=60).contains(second);
    plausible.then(|| days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970-01-01 (<https://howardhinnant.github.io/date_algorithms.html>).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month, day of a day counted from 1970-01-01 (same source).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

/// `12 Sep 2026 07:55:41 UTC`, for people.
pub fn readable(seconds: i64) -> String {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let clock = seconds.rem_euclid(86_400);
    let name = usize::try_from(month - 1).map_or("?", |month| MONTHS[month]);
    format!(
        "{day} {name} {year} {:02}:{:02}:{:02} UTC",
        clock / 3_600,
        clock / 60 % 60,
        clock % 60
    )
}

/// `20260912T075541Z`, as snapshot archives name their folders.
pub fn timestamp(seconds: i64) -> String {
    let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
    let clock = seconds.rem_euclid(86_400);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        clock / 3_600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_as_the_archive_writes_them() {
        // `date -u -d '2026-09-12 07:55:41' +%s`
        assert_eq!(parse_date("Sat, 12 Sep 2026 07:55:41 UTC").unwrap(), 1_789_199_741);
        assert_eq!(parse_date("Thu, 01 Jan 1970 00:00:00 UTC").unwrap(), 0);
        assert_eq!(timestamp(1_789_199_741), "20260912T075541Z");
        for bad in [
            "",
            "Sat",
            "Sat, 12 Sep 2026",
            "Sat, 12 Sep 2026 7 UTC",
            "Sat, 12 Foo 2026 07:55:41 UTC",
        ] {
            assert!(parse_date(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn days_round_trip(days in -700_000_i64..3_000_000) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = Release::parse(&text);
            let _ = parse_date(&text);
        }
    }
}
