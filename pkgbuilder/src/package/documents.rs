//! The papers of a package: `copyright`, changelog, lintian overrides.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

use super::data::Entry;
use super::date::ChangelogDate;
use crate::definition::recipe::LintianOverride;

/// Columns of a changelog's line.
const LINE: usize = 78;

/// Lines of a licence are indented by a space, empty ones are dots: the form of a multi-line field.
fn field(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|line| match line.trim_end() {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        })
        .collect()
}

/// What `copyright` says.
#[derive(Clone, Copy, Debug)]
pub struct Copyright<'a> {
    /// Upstream's name of it.
    pub name: &'a str,
    /// Upstream's page; may be empty.
    pub homepage: &'a str,
    /// What it was packaged from; may be empty.
    pub origin: &'a str,
    /// Copyright holder.
    pub holder: &'a str,
    /// SPDX expression.
    pub license: &'a str,
    /// The licence itself.
    pub text: &'a str,
}

/// `copyright` in DEP-5's machine-readable form, with upstream's own licence text.
pub fn copyright(copyright: &Copyright<'_>) -> String {
    let Copyright {
        name,
        homepage,
        origin,
        holder,
        license,
        text,
    } = copyright;
    let line = |field: &str, value: &str| match value {
        "" => String::new(),
        value => format!("{field}: {value}\n"),
    };
    let comment = match *origin {
        "" => String::new(),
        origin => format!("packaged from {origin}"),
    };
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: {name}\n\
         {}{}\n\
         Files: *\n\
         Copyright: {holder}\n\
         License: {license}\n\
         {}",
        line("Source", homepage),
        line("Comment", &comment),
        field(text)
    )
}

/// The Debian changelog with its one entry.
pub fn changelog(name: &str, version: &str, maintainer: &str, origin: &str, epoch: i64) -> String {
    format!(
        "{name} ({version}) trixie; urgency=medium\n\n{}\n -- {maintainer}  {}\n",
        item(&format!("Packaged from {origin}.")),
        ChangelogDate(epoch)
    )
}

/// A change, its lines short enough for a terminal where the words allow it.
fn item(text: &str) -> String {
    let mut lines = vec!["  *".to_owned()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= LINE => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("    {word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// Lintian overrides, each below its reason.
pub fn lintian_overrides<'a>(name: &str, overrides: impl Iterator<Item = &'a LintianOverride>) -> String {
    let lines: Vec<String> = overrides
        .map(|LintianOverride { tag, reason }| format!("# {reason}\n{name}: {tag}\n"))
        .collect();
    lines.concat()
}

/// A file compressed as Policy 12.7 wants it: `gzip -9n`.
pub fn gzip(path: &str, text: &str) -> Result<Entry> {
    let mut gz = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gz.write_all(text.as_bytes()).context("compressing a text")?;
    Ok(Entry::file(path, 0o644, gz.finish().context("compressing a text")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_wrapped_between_words() {
        let origin = format!("Packaged from {} and {}.", "x".repeat(90), "y ".repeat(40).trim_end());
        let text = item(&origin);
        assert_eq!(text.lines().next(), Some("  * Packaged from"));
        let long: Vec<&str> = text.lines().filter(|line| line.len() > LINE).collect();
        assert_eq!(long.len(), 1, "only the word that cannot be broken");
        assert_eq!(text.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), origin);
    }
}
