//! From a recipe's version to Debian's.

use crate::definition::recipe::{Recipe, VersionSchema};

/// `[epoch:]version[~prerelease][+metadata][-release]`: a semantic version is taken apart first, unless the recipe says
/// that it is none.
pub fn debian(recipe: &Recipe) -> String {
    let mut version = recipe.version.clone();
    let (mut prerelease, mut metadata) = (recipe.prerelease.clone(), recipe.version_metadata.clone());
    if recipe.version_schema == VersionSchema::Semver
        && let Some(parts) = semantic(&recipe.version)
    {
        version = parts.numbers;
        if prerelease.is_empty() {
            parts.prerelease.clone_into(&mut prerelease);
        }
        if metadata.is_empty() {
            parts.metadata.clone_into(&mut metadata);
        }
    }
    let release = match recipe.revision {
        Some(revision) => revision.to_string(),
        None => recipe.release.clone(),
    };
    let part = |sign: &str, part: &str| match part {
        "" => String::new(),
        part => format!("{sign}{part}"),
    };
    let epoch = match recipe.epoch.as_str() {
        "" => String::new(),
        epoch => format!("{epoch}:"),
    };
    let (prerelease, metadata, release) = (part("~", &prerelease), part("+", &metadata), part("-", &release));
    format!("{epoch}{version}{prerelease}{metadata}{release}")
}

/// The parts of a semantic version.
struct Semantic<'a> {
    numbers: String,
    prerelease: &'a str,
    metadata: &'a str,
}

/// Reads a semantic version as leniently as nfpm does (<https://github.com/Masterminds/semver>): `v` before it and
/// missing numbers are no harm.
fn semantic(text: &str) -> Option<Semantic<'_>> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (rest, metadata) = match text.split_once('+') {
        Some((rest, metadata)) => (rest, Some(metadata)),
        None => (text, None),
    };
    let (numbers, prerelease) = match rest.split_once('-') {
        Some((numbers, prerelease)) => (numbers, Some(prerelease)),
        None => (rest, None),
    };
    let numbers: Vec<u64> = numbers
        .split('.')
        .map(|number| {
            number
                .parse()
                .ok()
                .filter(|_| number.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect::<Option<_>>()?;
    if numbers.len() > 3 {
        return None;
    }
    let segments = |part: &str| {
        part.split('.')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    let zero = |word: &str| word.len() > 1 && word.starts_with('0') && word.bytes().all(|b| b.is_ascii_digit());
    if !prerelease.is_none_or(|part| segments(part) && !part.split('.').any(zero)) || !metadata.is_none_or(segments) {
        return None;
    }
    let number = |index: usize| numbers.get(index).copied().unwrap_or(0);
    Some(Semantic {
        numbers: format!("{}.{}.{}", number(0), number(1), number(2)),
        prerelease: prerelease.unwrap_or_default(),
        metadata: metadata.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(recipe: serde_json::Value) -> String {
        debian(&serde_json::from_value(recipe).unwrap())
    }

    #[test]
    fn semantic_versions_are_taken_apart() {
        for (text, expected) in [
            ("v1.2.3", "1.2.3"),
            ("1.2", "1.2.0"),
            ("v1.2.3-beta", "1.2.3~beta"),
            ("v1.0.0-0.1.b1+git.abcdefgh", "1.0.0~0.1.b1+git.abcdefgh"),
            ("2024.01.02", "2024.1.2"),
            // Not semantic: left alone.
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3-01", "1.2.3-01"),
            ("1:2", "1:2"),
            ("v", "v"),
            ("1.+2", "1.+2"),
            ("", ""),
        ] {
            assert_eq!(version(serde_json::json!({ "version": text })), expected, "{text}");
        }
    }

    #[test]
    fn what_is_said_wins() {
        let recipe = serde_json::json!({
            "version": "v1.0.0-rc1+x", "prerelease": "beta", "version_metadata": "git", "release": "3", "epoch": "2",
        });
        assert_eq!(version(recipe), "2:1.0.0~beta+git-3");
        assert_eq!(
            version(serde_json::json!({ "version": "v1.2", "version_schema": "none" })),
            "v1.2"
        );
        assert_eq!(
            version(serde_json::json!({ "version": "1.2", "version_schema": "none", "revision": 4 })),
            "1.2-4"
        );
    }
}
