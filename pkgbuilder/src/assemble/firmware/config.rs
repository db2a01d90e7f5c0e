//! `config.txt` and `autoboot.txt`: `key=value` lines under conditional sections.
//!
//! A section is a condition of a kind (model, trial, partition). Conditions of different kinds must all hold, a new one of
//! the same kind takes the place of the old, `[all]` drops them all (config_txt.html, "Conditional filters").

use std::collections::BTreeSet;

/// What conditions are compared with.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The sections of the model; empty where models are no condition (autoboot.txt).
    pub(super) models: &'static [&'static str],
    /// A trial boot.
    pub(super) tryboot: bool,
    /// Where the file was read; known in config.txt only.
    pub(super) partition: Option<u8>,
}

/// Settings that hold, in their order.
#[derive(Debug, Default)]
pub(super) struct Config {
    settings: Vec<(String, String)>,
    initramfs: Option<String>,
}

/// Kinds of conditions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Never,
    Model,
    Tryboot,
    Partition,
    /// What the model of the firmware cannot judge (a display, a pin) counts as not met.
    Other,
}

/// The kinds whose condition is not met at a line.
#[derive(Default)]
struct Unmet(BTreeSet<Kind>);

impl Unmet {
    fn enter(&mut self, section: &str, state: &State) {
        let models = [
            "pi1", "pi2", "pi3", "pi3+", "pi4", "pi5", "pi0", "pi0w", "pi02", "pi400", "pi500", "cm4", "cm4s", "cm5",
        ];
        let (kind, met) = match section {
            "all" => return self.0.clear(),
            "none" => (Kind::Never, false),
            "tryboot" => (Kind::Tryboot, state.tryboot),
            model if models.contains(&model) => (Kind::Model, state.models.contains(&model)),
            other => match other.strip_prefix("boot_partition=") {
                Some(number) => (
                    Kind::Partition,
                    state.partition.is_some_and(|here| number == here.to_string()),
                ),
                None => (Kind::Other, false),
            },
        };
        if met {
            self.0.remove(&kind);
        } else {
            self.0.insert(kind);
        }
    }
}

impl Config {
    /// The settings of `text` that hold in `state`.
    pub(super) fn parse(text: &str, state: &State) -> Self {
        let mut config = Self::default();
        let mut unmet = Unmet::default();
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                unmet.enter(section.trim_end_matches(']'), state);
            } else if unmet.0.is_empty() {
                config.line(line);
            }
        }
        config
    }

    /// All settings of `text`, as if there were no sections.
    pub(super) fn without_sections(text: &str) -> Self {
        let mut config = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('[')) {
            config.line(line);
        }
        config
    }

    fn line(&mut self, line: &str) {
        if line.starts_with('#') {
            return;
        }
        // The one setting without an equals sign.
        if let Some(rest) = line.strip_prefix("initramfs ") {
            self.initramfs = rest.split_whitespace().next().map(str::to_owned);
        } else if let Some((key, value)) = line.split_once('=') {
            self.settings.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }

    /// The last value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let last = self.settings.iter().rev().find(|(name, _)| name == key)?;
        Some(&last.1)
    }

    /// All values of a key, in order.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let settings = self.settings.iter().filter(move |(name, _)| name == key);
        settings.map(|(_, value)| value.as_str())
    }

    /// Whether a key is set to something other than 0.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != "0")
    }

    /// The file of the `initramfs` line.
    pub(super) fn initramfs(&self) -> Option<&str> {
        self.initramfs.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state(model: &'static str, tryboot: bool) -> State {
        let models: &'static [&'static str] = match model {
            "pi3" => &["pi3"],
            _ => &["pi4"],
        };
        State {
            models,
            tryboot,
            partition: Some(2),
        }
    }

    #[test]
    fn sections_of_different_kinds_must_all_hold() {
        let text = "a=1\n[pi4]\na=2\n[tryboot]\na=3\n[pi3]\na=4\n[all]\nb=1\n[none]\nb=2\n[all]\n[boot_partition=2]\nc=2\n[boot_partition=3]\nc=3\n";
        let get = |state: &State, key: &str| Config::parse(text, state).get(key).map(str::to_owned);
        assert_eq!(get(&state("pi4", false), "a").unwrap(), "2");
        assert_eq!(get(&state("pi4", true), "a").unwrap(), "3");
        assert_eq!(get(&state("pi3", true), "a").unwrap(), "4");
        assert_eq!(get(&state("pi3", false), "a").unwrap(), "1");
        assert_eq!(get(&state("pi3", false), "b").unwrap(), "1");
        assert_eq!(get(&state("pi3", false), "c").unwrap(), "2");
    }

    #[test]
    fn comments_and_the_initramfs_line() {
        let config = Config::parse(
            "#kernel=no\ninitramfs a.img followkernel\narm_64bit=1\nx=0",
            &state("pi3", false),
        );
        assert_eq!(config.initramfs(), Some("a.img"));
        assert!(config.flag("arm_64bit") && !config.flag("x") && !config.flag("kernel"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Config::parse(&text, &state("pi3", true)).get("kernel");
        }
    }
}
