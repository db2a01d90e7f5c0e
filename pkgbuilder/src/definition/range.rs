//! Which versions a component may be moved to.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

/// A range of upstream versions: `1.10.5` (that one), `~1.10` (1.10 and its patch releases), `>=1.10, <1.12`, `^1.10`
/// (below 2.0), `*`. Operators mean what they mean in Cargo (<https://doc.rust-lang.org/cargo/reference/specifying-dependencies.html>),
/// but for a bare version, which is that version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VersionRange {
    text: String,
    requirement: VersionReq,
}

impl VersionRange {
    /// Whether it holds a version; a pre-release only where the range names one of the same version.
    pub fn holds(&self, version: &Version) -> bool {
        self.requirement.matches(version)
    }
}

impl FromStr for VersionRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bare = text.starts_with(|first: char| first.is_ascii_digit());
        let requirement = match parse(text) {
            Some(version) if bare => VersionReq {
                comparators: vec![semver::Comparator {
                    op: semver::Op::Exact,
                    major: version.major,
                    minor: Some(version.minor),
                    patch: Some(version.patch),
                    pre: version.pre,
                }],
            },
            _ => text.parse().map_err(|_| {
                format!("`{text}` is not a range of versions: write `1.10.5`, `~1.10` or `>=1.10, <1.12`")
            })?,
        };
        Ok(Self {
            text: text.to_owned(),
            requirement,
        })
    }
}

impl TryFrom<String> for VersionRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<VersionRange> for String {
    fn from(range: VersionRange) -> Self {
        range.text
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// An upstream version: up to three numbers (missing ones are 0), with or without `v` before them, and what SemVer has
/// behind them; `None` where it is none.
pub fn parse(text: &str) -> Option<Version> {
    let text = text.trim().strip_prefix('v').unwrap_or(text.trim());
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let count = numbers.split('.').count();
    if count > 3 {
        return None;
    }
    let padding = ".0".repeat(3 - count);
    Version::parse(&format!("{numbers}{padding}{rest}")).ok()
}

/// The version without its edition, and the edition, where `text` is an enterprise build as HashiCorp writes them:
/// `1.10.5+ent`, `1.10.5+ent.hsm` (<https://releases.hashicorp.com/nomad/>), formerly `+pro` and `+prem`.
pub fn enterprise(text: &str) -> Option<(&str, &str)> {
    let (plain, edition) = text.split_once('+')?;
    let first = edition.split('.').next().unwrap_or(edition);
    ["ent", "pro", "prem"].contains(&first).then_some((plain, edition))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(range: &str, version: &str) -> bool {
        range.parse::<VersionRange>().unwrap().holds(&parse(version).unwrap())
    }

    #[test]
    fn ranges_hold_what_they_say() {
        for (range, inside, outside) in [
            ("1.10.5", vec!["1.10.5"], vec!["1.10.6", "1.10.4", "1.10.5-rc.1"]),
            ("1.10", vec!["1.10.0"], vec!["1.10.1", "1.11.0"]),
            (
                "~1.10",
                vec!["1.10.0", "1.10.99"],
                vec!["1.9.9", "1.11.0", "1.10.6-rc.1"],
            ),
            ("~1.10.5", vec!["1.10.5", "1.10.6"], vec!["1.10.4", "1.11.0"]),
            (
                ">=1.10, <1.12",
                vec!["1.10.0", "1.11.3"],
                vec!["1.12.0", "1.9.0", "2.0.0"],
            ),
            ("^1.10", vec!["1.10.5", "1.99.0"], vec!["2.0.0", "1.9.0"]),
            ("*", vec!["0.0.1", "99.0.0"], vec!["1.0.0-beta.1"]),
        ] {
            assert!(inside.iter().all(|version| holds(range, version)), "{range}");
            assert!(!outside.iter().any(|version| holds(range, version)), "{range}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_examples() {
        for bad in ["", "new", ">", "1.10.5.6", "~", "1.10 1.11", ">=1.10; <2"] {
            let error = bad.parse::<VersionRange>().unwrap_err();
            assert!(error.contains("write `1.10.5`, `~1.10`"), "{bad}: {error}");
        }
    }

    #[test]
    fn versions_as_publishers_write_them() {
        let version = |text| parse(text).map(|version| version.to_string());
        assert_eq!(version("v1.10.5").as_deref(), Some("1.10.5"));
        assert_eq!(version("1.8").as_deref(), Some("1.8.0"));
        assert_eq!(version("1.7.0+ent.hsm").as_deref(), Some("1.7.0+ent.hsm"));
        assert_eq!(version("1.10.0-beta.1").as_deref(), Some("1.10.0-beta.1"));
        for bad in ["", "v", "1.2.3.4", "latest", "01.2.3", "1..2"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }

    #[test]
    fn enterprise_builds_are_known_by_their_edition() {
        assert_eq!(enterprise("1.10.5+ent"), Some(("1.10.5", "ent")));
        assert_eq!(enterprise("1.7.0+ent.hsm"), Some(("1.7.0", "ent.hsm")));
        assert_eq!(enterprise("0.8.7+pro"), Some(("0.8.7", "pro")));
        for other in ["1.10.5", "2.0.0+incompatible", "1.30.2+k3s1", "1.0+entry", "+", ""] {
            assert_eq!(enterprise(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[~^<>=*v0-9. ,+-]{0,12}|\\PC*") {
            if let Ok(range) = text.parse::<VersionRange>() {
                prop_assert_eq!(range.to_string().parse::<VersionRange>().unwrap(), range);
            }
            let _ = parse(&text);
        }

        #[test]
        fn a_bare_version_holds_itself_alone(a in 0..50_u64, b in 0..50_u64, c in 0..50_u64, d in 1..9_u64) {
            let range: VersionRange = format!("{a}.{b}.{c}").parse().unwrap();
            prop_assert!(range.holds(&Version::new(a, b, c)));
            prop_assert!(!range.holds(&Version::new(a, b, c + d)));
            prop_assert!(!range.holds(&Version::new(a, b + d, c)));
        }
    }
}
