//! The `exclude` rules: which paths of the packages stay out of the root.

use globset::{GlobBuilder, GlobMatcher};

/// Rules in order; the last that matches a path decides, as with dpkg's `--path-exclude` and `--path-include`.
#[derive(Clone, Debug)]
pub struct Excludes {
    rules: Vec<(GlobMatcher, bool)>,
}

impl Excludes {
    /// Compiles globs of absolute paths: `*` stays within a folder, `**` crosses folders, a leading `!` keeps what an
    /// earlier rule left out. Fails with the glob's mistake.
    pub fn new(rules: &[String]) -> Result<Self, String> {
        let rules = rules
            .iter()
            .map(|rule| {
                let (pattern, excludes) = match rule.strip_prefix('!') {
                    Some(pattern) => (pattern, false),
                    None => (rule.as_str(), true),
                };
                if !pattern.starts_with('/') {
                    return Err(format!("`{rule}` is not absolute: begin it with `/` or `!/`"));
                }
                let glob = GlobBuilder::new(pattern)
                    .literal_separator(true)
                    .backslash_escape(true)
                    .build()
                    .map_err(|error| format!("`{rule}` is not a glob: {}", error.kind()))?;
                Ok((glob.compile_matcher(), excludes))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { rules })
    }

    /// Whether the absolute `path` of a file is left out.
    pub fn excluded(&self, path: &str) -> bool {
        self.rules
            .iter()
            .rev()
            .find(|(glob, _)| glob.is_match(path))
            .is_some_and(|(_, excludes)| *excludes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[&str]) -> Result<Excludes, String> {
        Excludes::new(&rules.iter().map(|&rule| rule.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_last_match_decides() {
        let excludes = rules(&["/usr/share/doc/**", "!/usr/share/doc/*/copyright"]).unwrap();
        assert!(excludes.excluded("/usr/share/doc/nomad/changelog.gz"));
        assert!(!excludes.excluded("/usr/share/doc/nomad/copyright"));
        assert!(
            excludes.excluded("/usr/share/doc/nomad/examples/copyright"),
            "`*` stays within a folder"
        );
        assert!(!excludes.excluded("/usr/bin/nomad"));
    }

    #[test]
    fn mistakes_are_told() {
        assert!(rules(&["usr/share"]).unwrap_err().contains("not absolute"));
        assert!(rules(&["/usr/[a"]).unwrap_err().contains("not a glob"));
    }
}
