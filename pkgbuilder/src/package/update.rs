//! Newer versions of components: which there are, which may be taken, and why the others may not.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use semver::Version;

use super::sources::{self, Attempt, Listed, Workbench};
use super::{allowed, pins};
use crate::definition::image::Component;
use crate::definition::range::{self, VersionRange};
use crate::resolve::lock::LockedComponent;

/// Versions named in one reason.
const NAMED: usize = 3;

/// What becomes of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Its name.
    pub name: String,
    /// The version it has now.
    pub from: String,
    /// The version it is to have: the same one where there is no newer.
    pub to: String,
    /// The range that was searched.
    pub range: String,
    /// Who lists the versions.
    pub by: String,
    /// Newer versions that are not taken: the versions, and why.
    pub passed_over: Vec<(Vec<String>, String)>,
}

impl Move {
    /// Whether it goes anywhere.
    pub fn is_one(&self) -> bool {
        self.from != self.to
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            from,
            to,
            range,
            by,
            ..
        } = self;
        if self.is_one() {
            write!(f, "{name}: {from} -> {to} (range {range}, listed by {by})")?;
        } else {
            write!(f, "{name}: {from} is the newest (range {range}, listed by {by})")?;
        }
        for (versions, why) in &self.passed_over {
            let named: Vec<&str> = versions.iter().take(NAMED).map(String::as_str).collect();
            write!(f, "\n  not {}", named.join(", "))?;
            if versions.len() > NAMED {
                write!(f, " and {} more", versions.len() - NAMED)?;
            }
            write!(f, ": {why}")?;
        }
        Ok(())
    }
}

/// The versions that a publisher lists, told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Judged {
    /// Newer ones that may be taken, newest first.
    candidates: Vec<String>,
    /// Newer ones that may not, by reason.
    passed_over: BTreeMap<Reason, Vec<String>>,
}

/// Why a version may not be taken; in the order in which people are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Refused(String),
    Outside,
    PreRelease,
    Enterprise,
}

impl Reason {
    fn text(&self, range: &VersionRange) -> String {
        match self {
            Self::Refused(why) => format!("refused: {why}"),
            Self::Outside => format!("outside of the range {range}"),
            Self::PreRelease => "pre-release".to_owned(),
            Self::Enterprise => "another edition (enterprise builds need a licence)".to_owned(),
        }
    }
}

/// Tells the listed versions apart; those that are not newer than `current` are not worth a word.
fn judge(current: &Version, range: &VersionRange, refused: &BTreeMap<String, String>, listed: &[String]) -> Judged {
    let mut newer: Vec<(Version, &String)> = listed
        .iter()
        .filter_map(|text| Some((range::parse(text)?, text)))
        .filter(|(version, _)| version.cmp_precedence(current).is_gt())
        .collect();
    newer.sort_by(|(a, _), (b, _)| b.cmp(a));
    newer.dedup_by(|(a, _), (b, _)| a == b);
    let mut judged = Judged::default();
    for (version, text) in newer {
        let plain = Version::new(version.major, version.minor, version.patch);
        let reason = if let Some(why) = refused.get(text) {
            Reason::Refused(why.clone())
        } else if !range.holds(&plain) {
            Reason::Outside
        } else if !version.build.is_empty() && version.build.as_str() != "incompatible" {
            Reason::Enterprise
        } else if !version.pre.is_empty() {
            Reason::PreRelease
        } else {
            judged.candidates.push(text.clone());
            continue;
        };
        let worth_a_word = reason != Reason::Outside || (version.pre.is_empty() && version.build.is_empty());
        if worth_a_word {
            judged.passed_over.entry(reason).or_default().push(text.clone());
        }
    }
    judged
}

/// A component at another version, and what is pinned of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// What becomes of it.
    pub change: Move,
    /// What the lock is to say; `None` where it stays.
    pub pinned: Option<LockedComponent>,
}

/// Finds the newest version of `component` (as it now is) that its range holds and that a source has for every one of
/// `benches`' architectures; the inner error says why nobody could be asked. `at` evaluates the definition again with
/// another version of it.
pub fn find(
    benches: &[Workbench<'_>],
    component: &Component,
    only: &super::Options,
    at: &dyn Fn(&str) -> Result<Component>,
) -> Result<std::result::Result<Found, String>> {
    let (Some(bench), Some(range), Some(current)) =
        (benches.first(), &component.range, range::parse(&component.version))
    else {
        return Ok(Err("it has no range of versions".to_owned()));
    };
    let mut reasons = Vec::new();
    let mut listed = None;
    for source in allowed(component, only) {
        match sources::versions(bench, component, source)? {
            Some(Listed::Versions { versions, by }) => {
                listed = Some((versions, by));
                break;
            }
            Some(Listed::Unreachable(reason)) => reasons.push(format!("{}: {reason}", source.name())),
            None => {}
        }
    }
    let Some((versions, by)) = listed else {
        if reasons.is_empty() {
            reasons.push("none of its sources has a list of versions".to_owned());
        }
        return Ok(Err(reasons.join("; ")));
    };
    let judged = judge(&current, range, &component.refused, &versions);
    let mut change = Move {
        name: component.name.clone(),
        from: component.version.clone(),
        to: component.version.clone(),
        range: range.to_string(),
        by,
        passed_over: Vec::new(),
    };
    let mut pinned = None;
    for version in judged.candidates {
        match pin(benches, &at(&version)?, only)? {
            Ok(found) => {
                change.to = version;
                pinned = Some(found);
                break;
            }
            Err(why) => change.passed_over.push((vec![version], why)),
        }
    }
    let others = judged.passed_over.into_iter();
    change
        .passed_over
        .extend(others.map(|(reason, versions)| (versions, reason.text(range))));
    Ok(Ok(Found { change, pinned }))
}

/// Pins a component from every source that has it; the reason where none has it for one of the architectures.
fn pin(
    benches: &[Workbench<'_>],
    component: &Component,
    only: &super::Options,
) -> Result<std::result::Result<LockedComponent, String>> {
    let mut pinned = pins::of(component, None, false)?;
    let mut reasons = Vec::new();
    for bench in benches {
        for source in allowed(component, only) {
            if let Some(Attempt::Absent(reason) | Attempt::Unreachable(reason)) =
                sources::pin(bench, component, source, &mut pinned)?
            {
                reasons.push(format!("{}: {reason}", source.name()));
            }
            if let Some(Attempt::Absent(reason) | Attempt::Unreachable(reason)) =
                sources::release::confirm(bench, component, source, &pinned)?
            {
                pinned.release.clear();
                reasons.push(format!("{}: {reason}", source.name()));
            }
        }
        if pinned.go_module.is_none() && !pinned.release.contains_key(&bench.arch) {
            reasons.push(format!("no source has it for {}", bench.arch));
            reasons.dedup();
            return Ok(Err(reasons.join("; ")));
        }
    }
    Ok(Ok(pinned))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn judged(range: &str, listed: &[&str]) -> Judged {
        let refused = BTreeMap::from([("1.10.8".to_owned(), "it loses state; take 1.10.9".to_owned())]);
        let current = range::parse("1.10.5").unwrap();
        judge(&current, &range.parse().unwrap(), &refused, &strings(listed))
    }

    #[test]
    fn the_newest_in_the_range_is_the_first_candidate() {
        let judged = judged(
            "~1.10",
            &[
                "1.9.9",
                "1.10.5",
                "1.10.10",
                "1.10.6",
                "1.10.5+ent",
                "1.10.9+ent",
                "1.10.9+ent.hsm",
                "1.11.0",
                "1.11.1-rc.1",
                "1.10.11-beta.1",
                "1.10.8",
                "2.0.0",
                "2.0.0+ent",
                "nightly",
            ],
        );
        assert_eq!(judged.candidates, ["1.10.10", "1.10.6"]);
        let reasons: Vec<(Reason, Vec<String>)> = judged.passed_over.into_iter().collect();
        assert_eq!(
            reasons,
            [
                (
                    Reason::Refused("it loses state; take 1.10.9".to_owned()),
                    strings(&["1.10.8"])
                ),
                (Reason::Outside, strings(&["2.0.0", "1.11.0"])),
                (Reason::PreRelease, strings(&["1.10.11-beta.1"])),
                (Reason::Enterprise, strings(&["1.10.9+ent.hsm", "1.10.9+ent"])),
            ]
        );
    }

    #[test]
    fn an_exact_version_stays() {
        assert_eq!(judged("1.10.5", &["1.10.5", "1.10.6"]).candidates, Vec::<String>::new());
    }

    #[test]
    fn the_plan_says_what_and_why_not() {
        let mut change = Move {
            name: "nomad".to_owned(),
            from: "1.10.5".to_owned(),
            to: "1.10.7".to_owned(),
            range: "~1.10".to_owned(),
            by: "module proxy".to_owned(),
            passed_over: vec![(strings(&["1", "2", "3", "4", "5"]), "pre-release".to_owned())],
        };
        assert_eq!(
            change.to_string(),
            "nomad: 1.10.5 -> 1.10.7 (range ~1.10, listed by module proxy)\n  not 1, 2, 3 and 2 more: pre-release"
        );
        change.to = change.from.clone();
        assert!(!change.is_one());
        assert!(
            change
                .to_string()
                .starts_with("nomad: 1.10.5 is the newest (range ~1.10")
        );
    }

    proptest! {
        #[test]
        fn a_candidate_is_newer_plain_inside_and_not_refused(
            listed in proptest::collection::vec("(1\\.(9|10|11)\\.[0-9]{1,2}|\\PC{0,6})(-rc\\.1)?(\\+ent)?", 0..30)
        ) {
            let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
            let judged = judged("~1.10", &listed);
            for text in &judged.candidates {
                let version = range::parse(text).unwrap();
                prop_assert!(version > Version::new(1, 10, 5) && version < Version::new(1, 11, 0));
                prop_assert!(version.pre.is_empty() && version.build.is_empty() && text != "1.10.8");
            }
            let sorted = judged.candidates.windows(2).all(|pair| range::parse(&pair[0]) > range::parse(&pair[1]));
            prop_assert!(sorted);
        }
    }
}
