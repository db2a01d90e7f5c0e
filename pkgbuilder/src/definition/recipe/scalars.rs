//! Modes and moments as recipes write them.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::package::date;

/// Permissions of a file, written in octal: `0644` in YAML, `'0644'` in Jsonnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mode(pub u32);

impl Mode {
    /// Reads an octal number of three or four digits, with or without `0o`. A number that only a reader of decimals
    /// would take (`644` means 01204 to nfpm) is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let explicit = digits.len() < text.len() || digits.starts_with('0') || digits.len() == 4;
        let octal = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
        (explicit && octal)
            .then(|| u32::from_str_radix(digits, 8).ok())
            .flatten()
            .filter(|mode| *mode <= 0o7777)
            .map(Self)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Octal;
        impl Visitor<'_> for Octal {
            type Value = Mode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an octal mode such as `0644` (in Jsonnet in quotes)")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Mode, E> {
                Mode::parse(text).ok_or_else(|| {
                    E::custom(format!(
                        "`{text}` is not an octal mode such as `0644`, with its leading zero"
                    ))
                })
            }
        }
        deserializer.deserialize_str(Octal)
    }
}

/// A moment in seconds since 1970: `2023-01-02`, or RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// Reads `2023-01-02`, `2023-01-02T15:04:05Z` and `2023-01-02T15:04:05+02:00`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == "2023-01-02".len() {
            return date::rfc3339(&format!("{text}T00:00:00Z")).map(Self);
        }
        let zone = text
            .len()
            .checked_sub("+02:00".len())
            .filter(|&at| text.is_char_boundary(at));
        if let Some((local, zone)) = zone.map(|at| text.split_at(at))
            && let Some((hours, minutes)) = zone.get(1..)?.split_once(':')
            && let sign @ ("+" | "-") = zone.get(..1)?
        {
            let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
            let ahead = (hours * 60 + minutes) * 60;
            let ahead = if sign == "+" { ahead } else { -ahead };
            return date::rfc3339(&format!("{local}Z")).map(|seconds| Self(seconds - ahead));
        }
        date::rfc3339(text).map(Self)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&date::to_rfc3339(self.0))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is not a time such as `2023-01-02` or `2023-01-02T15:04:05Z`, since 1970"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn modes_are_octal_or_refused() {
        for (text, mode) in [
            ("0644", 0o644),
            ("0o755", 0o755),
            ("04755", 0o4755),
            ("1777", 0o1777),
            ("0", 0),
        ] {
            assert_eq!(Mode::parse(text), Some(Mode(mode)), "{text}");
        }
        for wrong in ["644", "420", "0888", "rw-r--r--", "", "-1", "010000", "0x1ff", "17777"] {
            assert_eq!(Mode::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_in_jsonnet_is_told_about_quotes() {
        let error = serde_json::from_str::<Mode>("755").unwrap_err().to_string();
        assert!(error.contains("in quotes"), "{error}");
        assert_eq!(serde_json::from_str::<Mode>("\"0755\"").unwrap(), Mode(0o755));
        assert_eq!(serde_json::to_string(&Mode(0o755)).unwrap(), "\"0755\"");
    }

    #[test]
    fn moments_are_days_or_seconds() {
        assert_eq!(Moment::parse("2023-01-02"), Some(Moment(1_672_617_600)));
        assert_eq!(Moment::parse("2023-01-02T00:00:01Z"), Some(Moment(1_672_617_601)));
        assert_eq!(Moment::parse("2023-01-02T02:00:01+02:00"), Some(Moment(1_672_617_601)));
        assert_eq!(Moment::parse("2023-01-01T22:30:01-01:30"), Some(Moment(1_672_617_601)));
        assert_eq!(Moment::parse("yesterday"), None);
        assert_eq!(Moment::parse("ä23-01-02"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0_i64..200_000_000_000, mode in 0_u32..=0o7777) {
            let moment = Moment(seconds);
            prop_assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
            prop_assert_eq!(Mode::parse(&Mode(mode).to_string()), Some(Mode(mode)));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "[0-9T:+Zä-]{0,30}") {
            let _ = (Moment::parse(&text), Mode::parse(&text));
        }
    }
}
