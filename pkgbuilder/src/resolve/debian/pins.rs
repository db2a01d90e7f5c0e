//! Which packages are taken from which further source.
//!
//! As with apt_preferences(5), where every further source has `Pin-Priority: -1` and the packages of a pin a priority
//! above that of Debian's own suites: of the pins that match a package which their source has, the first decides; of a
//! package without such a pin, nothing is taken from further sources.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use globset::GlobMatcher;

use crate::definition::image::Pin;
use crate::input_error;

/// Pins, ready to match.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    pins: Vec<(Vec<GlobMatcher>, String)>,
}

impl Pins {
    /// Those of a definition.
    pub fn new(pins: &[Pin]) -> Result<Self> {
        let pins = pins
            .iter()
            .map(|pin| {
                let matchers = pin.matchers().map_err(|text| input_error!("a pin: {text}"))?;
                Ok((matchers, pin.source.clone()))
            })
            .collect::<Result<_>>()?;
        Ok(Self { pins })
    }

    /// The source that `name` is taken from, among those that `offered` says to have it.
    fn source<'a>(&'a self, name: &str, offered: &Offered<'_>) -> Option<&'a str> {
        let sources = offered.sources.get(name)?;
        let mut pins = self.pins.iter();
        let (_, source) = pins.find(|(matchers, source)| {
            sources.contains(source.as_str()) && matchers.iter().any(|matcher| matcher.is_match(name))
        })?;
        Some(source)
    }

    /// Each glob that matches nothing its source offers, with the source's name; sources of which nothing is known are
    /// left out.
    pub fn idle<'a>(&'a self, offered: &Offered<'_>, known: &[&str]) -> Vec<(&'a str, &'a str)> {
        let mut idle = Vec::new();
        for (matchers, source) in &self.pins {
            if !known.contains(&source.as_str()) {
                continue;
            }
            for matcher in matchers {
                let mut names = offered.sources.iter();
                let used = names.any(|(name, sources)| sources.contains(source.as_str()) && matcher.is_match(name));
                if !used {
                    idle.push((matcher.glob().glob(), source.as_str()));
                }
            }
        }
        idle
    }
}

/// Which package the further sources offer.
#[derive(Clone, Debug, Default)]
pub struct Offered<'a> {
    sources: HashMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Offered<'a> {
    /// Remembers that `source` has a package.
    pub fn add(&mut self, name: &'a str, source: &'a str) {
        self.sources.entry(name).or_default().insert(source);
    }

    /// The sources that have a package, by name.
    pub fn by(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.sources.get(name).into_iter().flatten().copied()
    }

    /// Whether `name` out of `source` (`None`: Debian's own suites) takes part in the choice.
    pub fn admits(&self, pins: &Pins, name: &str, source: Option<&str>) -> bool {
        pins.source(name, self) == source
    }
}

/// The pins that take these packages (name and source), as a definition would say it.
pub fn written<'a>(packages: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut by_source: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, source) in packages {
        by_source.entry(source).or_default().insert(name);
    }
    let pins: Vec<String> = by_source
        .into_iter()
        .map(|(source, names)| {
            let names: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
            format!("{{ packages: [{}], source: '{source}' }}", names.join(", "))
        })
        .collect();
    format!("`debian+: {{ pins+: [{}] }}`", pins.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(list: &[(&str, &str)]) -> Pins {
        let pins: Vec<Pin> = list
            .iter()
            .map(|(packages, source)| Pin {
                packages: packages.split(' ').map(str::to_owned).collect(),
                source: (*source).to_owned(),
            })
            .collect();
        Pins::new(&pins).unwrap()
    }

    #[test]
    fn the_first_pin_whose_source_has_the_package_decides() {
        let mut offered = Offered::default();
        for (name, source) in [
            ("linux-image-arm64", "a"),
            ("linux-image-arm64", "b"),
            ("linux-libc-dev", "b"),
        ] {
            offered.add(name, source);
        }
        let pins = pins(&[("linux-*", "a"), ("linux-* other", "b")]);
        assert!(offered.admits(&pins, "linux-image-arm64", Some("a")));
        assert!(!offered.admits(&pins, "linux-image-arm64", Some("b")));
        assert!(!offered.admits(&pins, "linux-image-arm64", None));
        assert!(offered.admits(&pins, "linux-libc-dev", Some("b")));
        // The source does not have it: Debian's own.
        assert!(offered.admits(&pins, "other", None));
        assert!(offered.admits(&pins, "less", None));
        assert_eq!(pins.idle(&offered, &["a", "b"]), [("other", "b")]);
        assert_eq!(pins.idle(&offered, &["a"]), []);
    }

    #[test]
    fn without_a_pin_nothing_is_taken() {
        let mut offered = Offered::default();
        offered.add("less", "a");
        assert!(offered.admits(&Pins::default(), "less", None));
        assert!(!offered.admits(&Pins::default(), "less", Some("a")));
    }

    #[test]
    fn pins_are_written_as_a_definition_has_them() {
        assert_eq!(
            written([("b", "x"), ("a", "x"), ("c", "y")].into_iter()),
            "`debian+: { pins+: [{ packages: ['a', 'b'], source: 'x' }, { packages: ['c'], source: 'y' }] }`"
        );
    }
}
