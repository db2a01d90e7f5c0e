//! Boot EEPROMs by their date: what each can do (github.com/raspberrypi/rpi-eeprom, release notes of `firmware-2711` and
//! `firmware-2712`).

use std::fmt;
use std::str::FromStr;

use super::models::{Board, Loader};
use crate::{bail_input, input_error};

/// A date, ordered as days are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    const fn new(year: u16, month: u8, day: u8) -> Self {
        Self { year, month, day }
    }
}

/// The newest whose decisions were measured: what an EEPROM is taken for if nothing is said.
pub(super) const NEWEST: Date = Date::new(2026, 5, 17);

/// What came with a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feature {
    /// The one-shot flag, which chooses `tryboot.txt`.
    Flag,
    /// Sections of autoboot.txt, and `tryboot_a_b`; before that the last line wins.
    Sections,
    /// `PARTITION_WALK`: on from a partition that cannot be booted to the next.
    Walk,
    /// … which is on if nothing is said.
    WalkByDefault,
    /// `BOOT_WATCHDOG_TIMEOUT` and `BOOT_WATCHDOG_PARTITION`.
    BootWatchdog,
}

/// First release with each.
const SINCE: &[(Feature, Date)] = &[
    (Feature::Flag, Date::new(2020, 10, 28)),
    (Feature::Sections, Date::new(2022, 12, 1)),
    (Feature::Walk, Date::new(2025, 2, 11)),
    (Feature::BootWatchdog, Date::new(2025, 7, 3)),
    (Feature::WalkByDefault, Date::new(2025, 8, 13)),
];

/// A boot EEPROM: its date, and its settings (`rpi-eeprom-config`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eeprom {
    /// Of the release.
    pub date: Date,
    /// `PARTITION_WALK`, where it is set.
    pub partition_walk: Option<bool>,
    /// `BOOT_WATCHDOG_TIMEOUT` in seconds; 0 is off.
    pub boot_watchdog_timeout: u32,
    /// `BOOT_WATCHDOG_PARTITION`
    pub boot_watchdog_partition: u8,
}

impl Default for Eeprom {
    fn default() -> Self {
        Self::of(NEWEST)
    }
}

impl Eeprom {
    /// The release of a date, with no settings.
    pub fn of(date: Date) -> Self {
        Self {
            date,
            partition_walk: None,
            boot_watchdog_timeout: 0,
            boot_watchdog_partition: 0,
        }
    }

    /// The release of a date on a board.
    ///
    /// # Errors
    ///
    /// A date before the board's first release, and a board without an EEPROM, are wrong input.
    pub fn on(board: Board, date: Date) -> anyhow::Result<Self> {
        let model = board.model();
        let Loader::Eeprom(oldest) = model.loader else {
            bail_input!(
                "a {} has no boot EEPROM: its first program is bootcode.bin, on the card; leave --eeprom out",
                model.title
            );
        };
        if date < oldest.parse()? {
            bail_input!(
                "the oldest boot EEPROM of a {} is of {oldest}: there was none on {date}",
                model.title
            );
        }
        Ok(Self::of(date))
    }

    /// Takes a setting as `rpi-eeprom-config` shows it.
    ///
    /// # Errors
    ///
    /// A setting that the model does not know, or a value that is none, is wrong input.
    pub fn set(&mut self, setting: &str) -> anyhow::Result<()> {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let wrong = || input_error!("`{setting}`: {key} wants a number");
        match key.trim() {
            "PARTITION_WALK" => self.partition_walk = Some(value.trim().parse::<u8>().map_err(|_| wrong())? != 0),
            "BOOT_WATCHDOG_TIMEOUT" => self.boot_watchdog_timeout = value.trim().parse().map_err(|_| wrong())?,
            "BOOT_WATCHDOG_PARTITION" => self.boot_watchdog_partition = value.trim().parse().map_err(|_| wrong())?,
            other => bail_input!(
                "`{other}` is no setting of the EEPROM that the model knows: PARTITION_WALK, BOOT_WATCHDOG_TIMEOUT, \
                 BOOT_WATCHDOG_PARTITION"
            ),
        }
        Ok(())
    }

    pub(super) fn has(&self, feature: Feature) -> bool {
        SINCE
            .iter()
            .any(|(known, since)| *known == feature && self.date >= *since)
    }

    /// Whether it goes on from a partition that cannot be booted.
    pub(super) fn walks(&self) -> bool {
        let set = self.partition_walk.unwrap_or_else(|| self.has(Feature::WalkByDefault));
        set && self.has(Feature::Walk)
    }

    /// Seconds until it resets a board whose kernel has not started, if it does.
    pub(super) fn watchdog(&self) -> Option<u32> {
        (self.has(Feature::BootWatchdog) && self.boot_watchdog_timeout > 0).then_some(self.boot_watchdog_timeout)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.splitn(3, '-');
        let mut next = |digits: usize| -> Option<u16> {
            let part = parts.next()?;
            let fits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_| fits)
        };
        let date = (|| {
            let (year, month, day) = (next(4)?, next(2)?, next(2)?);
            let date = Self::new(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?);
            ((1..=12).contains(&month) && (1..=31).contains(&day) && year >= 2012).then_some(date)
        })();
        date.ok_or_else(|| {
            input_error!(
                "`{text}` is not the date of a boot EEPROM, as in 2021-04-29 (`vcgencmd bootloader_version` shows it)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_what_came_with_them() {
        let eeprom = |date: &str| Eeprom::of(date.parse().unwrap());
        assert!(!eeprom("2020-09-03").has(Feature::Flag) && eeprom("2020-10-28").has(Feature::Flag));
        assert!(!eeprom("2022-11-30").has(Feature::Sections) && eeprom("2022-12-01").has(Feature::Sections));
        let mut walking = eeprom("2025-02-11");
        assert!(!walking.walks() && eeprom("2025-08-13").walks());
        walking.set("PARTITION_WALK=1").unwrap();
        assert!(walking.walks());
        for (date, seconds) in [("2025-07-02", None), ("2025-07-03", Some(45))] {
            let mut eeprom = eeprom(date);
            eeprom.set("BOOT_WATCHDOG_TIMEOUT=45").unwrap();
            assert_eq!(eeprom.watchdog(), seconds);
        }
        for wrong in [
            "",
            "yesterday",
            "2021-4-29",
            "2021-13-01",
            "2021-04-32",
            "2021-04-29x",
            "1999-01-01",
            "+021-04-29",
        ] {
            let error = wrong.parse::<Date>().unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2, "{wrong}");
        }
        let date: Date = "2021-04-29".parse().unwrap();
        assert!(
            Eeprom::on(Board::Pi3, date)
                .unwrap_err()
                .to_string()
                .contains("no boot EEPROM")
        );
        assert!(
            Eeprom::on(Board::Pi5, date)
                .unwrap_err()
                .to_string()
                .contains("is of 2023-09-13")
        );
        assert!(eeprom("2026-05-17").set("BOOT_ORDER=0xf41").is_err());
        assert!(eeprom("2026-05-17").set("PARTITION_WALK=yes").is_err());
    }
}
