//! Debian's copyright files: the machine-readable format 1.0 (DEP-5, debian.org/doc/packaging-manuals/copyright-format),
//! and what can be said of free text.

use std::collections::BTreeMap;

use computatom_compose::deb::Stanza;

/// What a copyright file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Copyright {
    /// It is machine-readable.
    Readable {
        /// The short names of its paragraphs, each an expression as written, once and sorted.
        licenses: Vec<String>,
        /// The texts that it gives, by short name.
        texts: BTreeMap<String, String>,
    },
    /// Free text, which refers to these of `/usr/share/common-licenses`.
    Free(Vec<String>),
}

/// An expression of short names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// A short name, with its exception if there is one.
    Name(String),
    /// All of them.
    And(Vec<Expression>),
    /// One of them.
    Or(Vec<Expression>),
}

impl Copyright {
    /// Reads the text of a copyright file; what is not of the format, or breaks it, is free text.
    pub(super) fn parse(text: &str) -> Self {
        Self::readable(text).unwrap_or_else(|| Self::Free(references(text)))
    }

    fn readable(text: &str) -> Option<Self> {
        let stanzas = Stanza::parse_all(text).ok()?;
        let (header, paragraphs) = stanzas.split_first()?;
        header.get("Format").or_else(|| header.get("Format-Specification"))?;
        let mut licenses = Vec::new();
        let mut texts = BTreeMap::new();
        for paragraph in paragraphs {
            let Some(value) = paragraph.get("License") else {
                continue;
            };
            let (name, text) = value.split_once('\n').unwrap_or((value, ""));
            let name = words(name);
            if !text.trim().is_empty() {
                texts.entry(name.clone()).or_insert_with(|| unfold(text));
            }
            if paragraph.get("Files").is_some() {
                licenses.push(name);
            }
        }
        if licenses.is_empty() {
            // The header's is of the package as a whole.
            licenses.extend(
                header
                    .get("License")
                    .map(|value| words(value.lines().next().unwrap_or_default())),
            );
        }
        licenses.retain(|name| !name.is_empty());
        licenses.sort();
        licenses.dedup();
        (!licenses.is_empty()).then_some(Self::Readable { licenses, texts })
    }
}

/// One blank between words.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text of a multi-line field: without its indentation, and empty lines for single dots.
fn unfold(text: &str) -> String {
    let lines = text.trim_start_matches('\n').lines().map(|line| {
        let line = line.strip_prefix([' ', '\t']).unwrap_or(line);
        if line.trim() == "." { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Which of `/usr/share/common-licenses` a text refers to, once and sorted.
fn references(text: &str) -> Vec<String> {
    const FOLDER: &str = "/usr/share/common-licenses/";
    let mut names: Vec<String> = text
        .split(FOLDER)
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-.+".contains(c));
            let name = &rest[..end.unwrap_or(rest.len())];
            // The end of a sentence.
            name.trim_end_matches('.').to_owned()
        })
        .filter(|name| !name.is_empty())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Reads an expression: `and` binds closer than `or`, and both closer than where a comma is before them.
pub(super) fn expression(text: &str) -> Expression {
    // Our own packages have them as SPDX writes them.
    let text = text.replace(" OR ", " or ").replace(" AND ", " and ");
    let mut groups: Vec<(bool, Expression)> = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let (and, part) = match (part.strip_prefix("and "), part.strip_prefix("or ")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            // A mere list.
            (None, None) => (true, part),
        };
        if !part.trim().is_empty() {
            groups.push((and, without_commas(part)));
        }
    }
    // From left to right: `A or B, and C, or D` is `((A or B) and C) or D`.
    let mut all = groups.into_iter();
    let first = all.next().map(|(_, first)| first);
    let first = first.unwrap_or_else(|| Expression::Name(text.trim().to_owned()));
    all.fold(first, |left, (and, right)| {
        let both = vec![left, right];
        if and {
            Expression::And(both)
        } else {
            Expression::Or(both)
        }
    })
}

fn without_commas(text: &str) -> Expression {
    let one_of = text.split(" or ").map(|part| {
        let all = part.split(" and ").map(|name| Expression::Name(name.trim().to_owned()));
        one_or(all.collect(), Expression::And)
    });
    one_or(one_of.collect(), Expression::Or)
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_paragraphs_of_files_count_and_texts_are_kept() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                    Files: *\nCopyright: A\nLicense: GPL-2+\n\n\
                    Files: debian/*\nCopyright: B\nLicense: own\n You may.\n .\n   Or not.\n\n\
                    License: GPL-2+\n The GNU one.\n\nLicense: unused\n Never.\n";
        let Copyright::Readable { licenses, texts } = Copyright::parse(text) else {
            panic!("it is readable");
        };
        assert_eq!(licenses, ["GPL-2+", "own"]);
        assert_eq!(texts["own"], "You may.\n\n  Or not.");
        assert_eq!(texts["GPL-2+"], "The GNU one.");
    }

    #[test]
    fn free_text_refers_to_common_licenses() {
        let text =
            "On Debian systems see /usr/share/common-licenses/LGPL-2.1. And\n`/usr/share/common-licenses/GPL-2'.";
        assert_eq!(
            Copyright::parse(text),
            Copyright::Free(vec!["GPL-2".to_owned(), "LGPL-2.1".to_owned()])
        );
        // It claims the format, and is not of it.
        let broken = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nno field\n";
        assert_eq!(Copyright::parse(broken), Copyright::Free(Vec::new()));
    }

    #[test]
    fn commas_bind_last() {
        let name = |name: &str| Expression::Name(name.to_owned());
        assert_eq!(
            expression("GPL-2+ or AFL-2.1, and Expat and Tcl-BSDish"),
            Expression::And(vec![
                Expression::Or(vec![name("GPL-2+"), name("AFL-2.1")]),
                Expression::And(vec![name("Expat"), name("Tcl-BSDish")]),
            ])
        );
        assert_eq!(
            expression("A and B or C"),
            Expression::Or(vec![Expression::And(vec![name("A"), name("B")]), name("C")])
        );
        assert_eq!(expression("GPL-2 with X exception"), name("GPL-2 with X exception"));
        assert_eq!(expression("A OR B"), expression("A or B"));
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "(Format: x\n\n)?(Files|License|,| and | or |:|\n| |\\.|[a-z]|/usr/share/common-licenses/){0,30}") {
            if let Copyright::Readable { licenses, .. } = Copyright::parse(&text) {
                for license in licenses {
                    let _ = expression(&license);
                }
            }
        }
    }
}
