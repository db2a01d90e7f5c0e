//! Relationships between packages (Debian Policy, chapter 7).

use std::cmp::Ordering;

use anyhow::{Context, Result};
use debversion::Version;

use crate::input_error;

/// How a version must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "<<" => Self::Earlier,
            // Policy 7.1: `<` and `>` are obsolete spellings of `<=` and `>=`.
            "<=" | "<" => Self::EarlierOrEqual,
            "=" => Self::Equal,
            ">=" | ">" => Self::LaterOrEqual,
            ">>" => Self::Later,
            _ => return None,
        })
    }

    fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Earlier => ordering.is_lt(),
            Self::EarlierOrEqual => ordering.is_le(),
            Self::Equal => ordering.is_eq(),
            Self::LaterOrEqual => ordering.is_ge(),
            Self::Later => ordering.is_gt(),
        }
    }
}

/// One package name, with the versions that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Package or virtual package; an architecture qualifier (`:any`) is dropped, there is one architecture.
    pub name: &'a str,
    /// Operator and version; `None` for any.
    pub version: Option<(Operator, Version)>,
    /// The version part as written (`(>= 1.2)`), for messages.
    pub text: &'a str,
}

impl<'a> Relation<'a> {
    fn parse(text: &'a str) -> Result<Self> {
        let bad = || input_error!("`{text}` is not a package relationship");
        let text = text.trim();
        let (name, rest) = match text.find(['(', '[', '<', ' ', '\t']) {
            Some(end) => (&text[..end], text[end..].trim()),
            None => (text, ""),
        };
        let name = name.split(':').next().unwrap_or(name);
        let valid = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if name.is_empty() || !name.chars().all(valid) {
            return Err(bad());
        }
        let version = if rest.is_empty() {
            None
        } else {
            let inner = rest
                .strip_prefix('(')
                .and_then(|rest| rest.strip_suffix(')'))
                .ok_or_else(bad)?;
            let inner = inner.trim();
            let digits = inner.find(|c: char| !"<>=".contains(c)).ok_or_else(bad)?;
            let operator = Operator::parse(&inner[..digits]).ok_or_else(bad)?;
            Some((operator, parse_version(inner[digits..].trim())?))
        };
        Ok(Self {
            name,
            version,
            text: rest,
        })
    }

    /// Whether a package of this name and version is meant.
    pub fn admits(&self, version: &Version) -> bool {
        match &self.version {
            None => true,
            Some((operator, bound)) => operator.admits(version.cmp(bound)),
        }
    }

    /// Whether something that is provided is meant: a versioned relationship needs a versioned provision (Policy 7.5).
    pub fn admits_provided(&self, version: Option<&Version>) -> bool {
        match (&self.version, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(version)) => self.admits(version),
        }
    }
}

/// Reads a Debian version.
pub fn parse_version(text: &str) -> Result<Version> {
    text.parse()
        .map_err(|error| input_error!("`{text}` is not a Debian version: {error}"))
}

/// Reads `a (>= 1) | b, c`: all of a list, each satisfied by one of its alternatives.
pub fn parse_list(text: &str) -> Result<Vec<Vec<Relation<'_>>>> {
    text.split(',')
        .filter(|clause| !clause.trim().is_empty())
        .map(|clause| {
            let alternatives: Result<Vec<_>> = clause.split('|').map(Relation::parse).collect();
            alternatives.with_context(|| format!("reading `{}`", clause.trim()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_with_alternatives_versions_and_qualifiers() {
        let list = parse_list("libc6 (>= 2.34), python3:any (<< 3.14), awk | mawk(=1), x,").unwrap();
        let names: Vec<Vec<&str>> = list
            .iter()
            .map(|clause| clause.iter().map(|r| r.name).collect())
            .collect();
        assert_eq!(names, [vec!["libc6"], vec!["python3"], vec!["awk", "mawk"], vec!["x"]]);
        assert!(list[0][0].admits(&"2.41-12".parse().unwrap()));
        assert!(!list[1][0].admits(&"3.14".parse().unwrap()));
        assert!(list[2][1].admits(&"1".parse().unwrap()));
    }

    #[test]
    fn a_versioned_relationship_needs_a_versioned_provision() {
        let list = parse_list("a (>= 1), b").unwrap();
        assert!(!list[0][0].admits_provided(None));
        assert!(list[0][0].admits_provided(Some(&"2".parse().unwrap())));
        assert!(list[1][0].admits_provided(None));
    }

    #[test]
    fn what_is_no_relationship_is_an_error() {
        for bad in ["a (1)", "a (>= )", "a (>= 1", "(>= 1)", "a | ", "a [amd64]", "ä", "a b"] {
            assert!(parse_list(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = parse_list(&text);
        }
    }
}
