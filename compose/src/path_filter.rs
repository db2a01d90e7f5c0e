//! dpkg's `path-exclude` and `path-include`: files that a package lists but that are not unpacked.

use anyhow::{Context as _, Result};
use globset::{GlobBuilder, GlobMatcher};

/// One rule, as written in `dpkg.cfg.d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRule {
    /// `path-exclude=PATTERN`
    Exclude(String),
    /// `path-include=PATTERN`: takes back what an earlier rule excluded.
    Include(String),
}

/// Rules in order; of those that match a path the last one decides. `*` and `?` match `/` too (dpkg(1)).
#[derive(Debug, Default)]
pub struct PathFilters {
    rules: Vec<(bool, String, GlobMatcher)>,
}

impl PathFilters {
    /// Compiles rules.
    pub fn new(rules: &[PathRule]) -> Result<Self> {
        let rules = rules.iter().map(|rule| {
            let (exclude, pattern) = match rule {
                PathRule::Exclude(pattern) => (true, pattern),
                PathRule::Include(pattern) => (false, pattern),
            };
            let matcher = GlobBuilder::new(&as_glob(pattern))
                .literal_separator(false)
                .backslash_escape(true)
                .build()
                .with_context(|| format!("reading the path filter `{pattern}`"))?
                .compile_matcher();
            Ok((exclude, pattern.clone(), matcher))
        });
        Ok(Self {
            rules: rules.collect::<Result<_>>()?,
        })
    }

    /// Whether the entry `path` is left out. A directory stays if an include rule may match below it.
    pub fn excludes(&self, path: &str, is_dir: bool) -> bool {
        let last = self.rules.iter().rev().find(|(_, _, matcher)| matcher.is_match(path));
        let Some((true, ..)) = last else {
            return false;
        };
        !(is_dir
            && self
                .rules
                .iter()
                .any(|(exclude, pattern, _)| !exclude && may_reach(pattern, path)))
    }
}

/// Whether `pattern` may match something below `dir`: its literal start agrees with it (dpkg's
/// `filter_should_skip`).
fn may_reach(pattern: &str, dir: &str) -> bool {
    let literal = &pattern[..pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len())];
    let dir = format!("{dir}/");
    literal.starts_with(&dir) || dir.starts_with(literal)
}

/// `fnmatch(3)` knows neither `{a,b}` nor `**`.
fn as_glob(pattern: &str) -> String {
    let mut glob = String::new();
    for c in pattern.chars() {
        match c {
            '{' | '}' => glob.extend(['[', c, ']']),
            '*' if glob.ends_with('*') => {}
            c => glob.push(c),
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_matching_rule_decides() {
        let filters = PathFilters::new(&[
            PathRule::Exclude("/usr/share/doc/*".to_owned()),
            PathRule::Include("/usr/share/doc/*/copyright".to_owned()),
            PathRule::Exclude("/usr/share/locale/{de}/**".to_owned()),
        ])
        .unwrap();
        assert!(filters.excludes("/usr/share/doc/bash/examples/a.gz", false));
        assert!(!filters.excludes("/usr/share/doc/bash/copyright", false));
        assert!(!filters.excludes("/usr/share/doc/bash", true));
        assert!(!filters.excludes("/usr/share/doc", true));
        assert!(!filters.excludes("/usr/share/docs/x", false));
        assert!(filters.excludes("/usr/share/locale/{de}/x", false));
        assert!(!filters.excludes("/usr/share/locale/de/x", false));
    }
}
