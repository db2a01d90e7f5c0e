//! Relationship fields (Policy 7): who must be there before whom, and who may replace whose files.

use std::cmp::Ordering;
use std::fmt;

use anyhow::{Result, bail};
use debversion::Version;

/// How a relation restricts a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierEqual,
    /// `=`
    Exactly,
    /// `>=`
    LaterEqual,
    /// `>>`
    Later,
}

impl Operator {
    fn text(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierEqual => "<=",
            Self::Exactly => "=",
            Self::LaterEqual => ">=",
            Self::Later => ">>",
        }
    }
}

/// One name in a relationship field (`libc6:any (>= 2.41)`).
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// Package name, real or virtual.
    pub name: String,
    /// Architecture qualifier (`any`).
    pub arch: Option<String>,
    /// Version restriction.
    pub version: Option<(Operator, Version)>,
}

impl Relation {
    /// Whether a package of this version fulfils the restriction.
    pub fn accepts(&self, version: &Version) -> bool {
        let Some((operator, wanted)) = &self.version else {
            return true;
        };
        let order = version.cmp(wanted);
        match operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierEqual => order != Ordering::Greater,
            Operator::Exactly => order == Ordering::Equal,
            Operator::LaterEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }

    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let (name, version) = match text.split_once('(') {
            None => (text, None),
            Some((name, rest)) => {
                let Some(restriction) = rest.trim_end().strip_suffix(')') else {
                    bail!("`{text}` lacks its closing parenthesis");
                };
                (name.trim_end(), Some(restriction.trim()))
            }
        };
        let (name, arch) = match name.split_once(':') {
            Some((name, arch)) => (name, Some(arch.to_owned())),
            None => (name, None),
        };
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '[' || c == '<') {
            bail!("`{text}` is not a relation of a binary package");
        }
        let version = version.map(restriction).transpose()?;
        Ok(Self {
            name: name.to_owned(),
            arch,
            version,
        })
    }
}

fn restriction(text: &str) -> Result<(Operator, Version)> {
    let digits = text.find(|c| !"<>=".contains(c)).unwrap_or(text.len());
    let operator = match &text[..digits] {
        "<<" => Operator::Earlier,
        // `<` and `>` mean `<=` and `>=`, for history's sake (deb-control(5)).
        "<=" | "<" => Operator::EarlierEqual,
        "=" | "" => Operator::Exactly,
        ">=" | ">" => Operator::LaterEqual,
        ">>" => Operator::Later,
        other => bail!("`{other}` is not a version relation"),
    };
    let version = text[digits..].trim();
    match version.parse() {
        Ok(version) => Ok((operator, version)),
        Err(error) => bail!("`{version}` is not a version: {error}"),
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(arch) = &self.arch {
            write!(f, ":{arch}")?;
        }
        if let Some((operator, version)) = &self.version {
            write!(f, " ({} {version})", operator.text())?;
        }
        Ok(())
    }
}

/// A relationship field: every group must hold, by any of its alternatives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relations(pub Vec<Vec<Relation>>);

impl Relations {
    /// Parses the value of a field; an empty one has no groups.
    pub fn parse(text: &str) -> Result<Self> {
        text.split(',')
            .filter(|group| !group.trim().is_empty())
            .map(|group| group.split('|').map(Relation::parse).collect())
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Every name in the field, whatever its group.
    pub fn flat(&self) -> impl Iterator<Item = &Relation> {
        self.0.iter().flatten()
    }
}

impl fmt::Display for Relations {
    /// As dpkg writes it into its status file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(", ")?;
            }
            for (number, relation) in group.iter().enumerate() {
                if number > 0 {
                    f.write_str(" | ")?;
                }
                write!(f, "{relation}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_written_as_dpkg_writes_them() {
        let relations = Relations::parse("a(>=1:2-3),b:any|c (<< 1~)\n , d (= 2)").unwrap();
        assert_eq!(relations.to_string(), "a (>= 1:2-3), b:any | c (<< 1~), d (= 2)");
        assert!(relations.0[0][0].accepts(&"1:2-3+b1".parse().unwrap()));
        assert!(!relations.0[0][0].accepts(&"2-3".parse().unwrap()));
        assert!(Relations::parse("a (>= ").is_err());
        assert!(Relations::parse("a b").is_err());
    }
}
