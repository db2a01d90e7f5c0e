//! Licences of packages, from the copyright file that each of Debian's (and each of ours) has, as SPDX expressions.
//!
//! What a copyright file lists is what its *source* package holds: a single binary package may be of fewer licences.

/// Copyright files.
mod copyright;

/// Debian's names of licences, and SPDX'.
mod names;

use std::collections::BTreeMap;

use anyhow::Result;

use self::copyright::{Copyright, Expression};
use super::{Root, text};
use crate::verify::Sha256;

/// Texts of licences that are not on SPDX' list, by `LicenseRef-…`.
pub type Texts = BTreeMap<String, Text>;

/// A licence that is not on SPDX' list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// What the copyright file calls it.
    pub name: String,
    /// The licence itself.
    pub text: String,
}

/// The licences of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// An SPDX expression; empty where none can be told.
    pub expression: String,
    /// Where it is from, or what was found instead.
    pub from: String,
    /// The texts of the `LicenseRef`s in the expression.
    pub texts: Texts,
}

impl Found {
    /// What the catalog says of a package of our own.
    pub fn declared(expression: String) -> Self {
        Self {
            expression,
            from: "the catalog".to_owned(),
            texts: Texts::new(),
        }
    }
}

/// The licences of an installed package.
///
/// # Errors
///
/// Fails where its copyright file cannot be read.
pub fn of(root: &dyn Root, package: &str) -> Result<Found> {
    let path = format!("/usr/share/doc/{package}/copyright");
    Ok(match text(root, &path)? {
        Some(text) => parse(&text),
        None => Found {
            from: "no copyright file in the image".to_owned(),
            ..Found::default()
        },
    })
}

/// The texts of all licences of `packages` that are not on SPDX' list.
///
/// # Errors
///
/// Fails where a copyright file cannot be read.
pub fn texts<'a>(root: &dyn Root, packages: impl Iterator<Item = &'a str>) -> Result<Texts> {
    let mut all = Texts::new();
    for package in packages {
        all.extend(of(root, package)?.texts);
    }
    Ok(all)
}

/// What a copyright file says.
pub fn parse(text: &str) -> Found {
    match Copyright::parse(text) {
        Copyright::Readable { licenses, texts } => {
            let mut found = Found {
                from: "its machine-readable copyright file".to_owned(),
                ..Found::default()
            };
            let mut parts: Vec<String> = Vec::new();
            for license in &licenses {
                // Whatever holds for all of it, each for itself.
                for part in conjuncts(copyright::expression(license)) {
                    parts.push(spdx(&part, &texts, &mut found.texts, true));
                }
            }
            parts.sort();
            parts.dedup();
            if let [single] = parts.as_mut_slice()
                && let Some(inner) = single.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
            {
                *single = inner.to_owned();
            }
            found.expression = parts.join(" AND ");
            found
        }
        Copyright::Free(references) => Found {
            from: if references.is_empty() {
                "its copyright file is free text".to_owned()
            } else {
                format!(
                    "its copyright file is free text and refers to {}",
                    references.join(", ")
                )
            },
            ..Found::default()
        },
    }
}

/// The parts that an expression needs all of.
fn conjuncts(expression: Expression) -> Vec<Expression> {
    match expression {
        Expression::And(parts) => parts.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}

/// An expression in SPDX' words, in parentheses where it is `inside` another one; what SPDX does not know is put into
/// `unknown` with its text.
fn spdx(expression: &Expression, texts: &BTreeMap<String, String>, unknown: &mut Texts, inside: bool) -> String {
    let (parts, word) = match expression {
        Expression::Name(name) => {
            let known = names::spdx(name).unwrap_or_else(|| reference(name, texts, unknown));
            return if inside && known.contains(" OR ") {
                format!("({known})")
            } else {
                known
            };
        }
        Expression::And(parts) => (parts, " AND "),
        Expression::Or(parts) => (parts, " OR "),
    };
    let parts: Vec<String> = parts.iter().map(|part| spdx(part, texts, unknown, true)).collect();
    let joined = parts.join(word);
    if inside { format!("({joined})") } else { joined }
}

/// The `LicenseRef` of a licence that SPDX does not know. Its text is part of the name: packages call different licences
/// `permissive`.
fn reference(name: &str, texts: &BTreeMap<String, String>, unknown: &mut Texts) -> String {
    let text = texts.get(name).cloned().unwrap_or_else(|| {
        format!("The copyright file calls this licence `{name}` and gives no text under that name.")
    });
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .take(60)
        .collect();
    let digest = hex::encode(&Sha256::of(format!("{name}\n{text}").as_bytes()).as_bytes()[..4]);
    let id = format!("LicenseRef-{clean}-{digest}");
    let name = name.to_owned();
    unknown.entry(id.clone()).or_insert(Text { name, text });
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n";

    #[test]
    fn expressions_are_spdx_and_what_it_does_not_know_has_its_text() {
        let text = format!(
            "{FORMAT}Files: *\nCopyright: A\nLicense: GPL-1+ or Artistic\n\nFiles: a\nCopyright: A\nLicense: Expat\n\n\
             Files: b\nCopyright: A\nLicense: MIT\n\nFiles: c\nCopyright: A\nLicense: permissive & free\n Do.\n"
        );
        let found = parse(&text);
        let reference = found.texts.keys().next().unwrap();
        assert_eq!(
            found.expression,
            format!("(GPL-1.0-or-later OR Artistic-1.0-Perl) AND {reference} AND MIT")
        );
        assert!(reference.starts_with("LicenseRef-permissive---free-"), "{reference}");
        assert_eq!(found.texts[reference].text, "Do.");
        // Another text is another licence.
        let other = parse(&text.replace("Do.", "Do not."));
        assert_ne!(other.texts.keys().next().unwrap(), reference);
    }

    #[test]
    fn a_single_choice_needs_no_parentheses_and_nested_ones_do() {
        let of = |license: &str| parse(&format!("{FORMAT}Files: *\nCopyright: A\nLicense: {license}\n")).expression;
        assert_eq!(of("GPL-2+ or Expat"), "GPL-2.0-or-later OR MIT");
        assert_eq!(
            of("GPL-2+ or AFL-2.1, and Expat and ISC"),
            "(GPL-2.0-or-later OR AFL-2.1) AND ISC AND MIT"
        );
        assert_eq!(of("Perl and ISC"), "(Artistic-1.0-Perl OR GPL-1.0-or-later) AND ISC");
    }

    #[test]
    fn free_text_is_no_guess() {
        let found = parse("See /usr/share/common-licenses/GPL-2 there.");
        assert_eq!(found.expression, "");
        assert_eq!(found.from, "its copyright file is free text and refers to GPL-2");
    }
}
