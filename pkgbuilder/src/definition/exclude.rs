//! The `exclude` rules: which paths of the packages are not unpacked.
//!
//! They are dpkg's `path-exclude` and `path-include` (dpkg(1)): shell globs over absolute paths in which `*` and `?` match
//! `/` too; of the rules that match a path the last one decides; a directory stays where a later rule may bring back
//! something in it. What is left out is not in the tree, but in the package's list of files, as with dpkg. What
//! maintainer scripts write is not unpacked, and so not left out.

use computatom_compose::path_filter::{PathFilters, PathRule};

/// The rules as dpkg has them; a leading `!` is `path-include`. Fails with the mistake of the first that is wrong.
pub fn rules(exclude: &[String]) -> Result<Vec<PathRule>, String> {
    let rules: Vec<PathRule> = exclude
        .iter()
        .map(|rule| {
            let (pattern, kind): (&str, fn(String) -> PathRule) = match rule.strip_prefix('!') {
                Some(pattern) => (pattern, PathRule::Include),
                None => (rule, PathRule::Exclude),
            };
            if !pattern.starts_with('/') {
                return Err(format!("`{rule}` is not absolute: begin it with `/` or `!/`"));
            }
            Ok(kind(pattern.to_owned()))
        })
        .collect::<Result<_, String>>()?;
    PathFilters::new(&rules).map_err(|error| format!("{error:#}"))?;
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(exclude: &[&str]) -> Result<PathFilters, String> {
        let exclude: Vec<String> = exclude.iter().map(|&rule| rule.to_owned()).collect();
        Ok(PathFilters::new(&rules(&exclude)?).unwrap())
    }

    #[test]
    fn the_last_match_decides_and_stars_cross_folders() {
        let rules = read(&["/usr/share/doc/*", "!/usr/share/doc/*/copyright"]).unwrap();
        assert!(rules.excludes("/usr/share/doc/nomad/changelog.gz", false));
        assert!(!rules.excludes("/usr/share/doc/nomad/copyright", false));
        assert!(!rules.excludes("/usr/share/doc/nomad/examples/copyright", false));
        assert!(!rules.excludes("/usr/bin/nomad", false));
    }

    #[test]
    fn mistakes_are_told() {
        assert!(read(&["usr/share"]).unwrap_err().contains("not absolute"));
        assert!(read(&["!usr/share"]).unwrap_err().contains("begin it with `/` or `!/`"));
        assert!(read(&["/usr/[a"]).unwrap_err().contains("`/usr/[a`"));
    }
}
